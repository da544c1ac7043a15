//! What may be the case when a request was not answered, or two of them overlapped.

/// How a request that changes something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was acknowledged: it happened.
    Done,
    /// It was refused: it did not happen.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// From a state to the next one.
pub(crate) type Making<'a, T> = Box<dyn Fn(&T) -> T + 'a>;

/// A change and how it ended.
pub(crate) struct Change<'a, T> {
    pub(crate) make: Making<'a, T>,
    pub(crate) ending: Ending,
}

/// Every state that may be the present one; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Possible<T>(Vec<T>);

impl<T: Clone + PartialEq> Possible<T> {
    pub(crate) fn only(state: T) -> Self {
        Self(vec![state])
    }

    pub(crate) fn any(&self, holds: impl Fn(&T) -> bool) -> bool {
        self.0.iter().any(holds)
    }

    pub(crate) fn all(&self, holds: impl Fn(&T) -> bool) -> bool {
        self.0.iter().all(holds)
    }

    pub(crate) fn each(&self, visit: impl FnMut(&T)) {
        self.0.iter().for_each(visit);
    }

    /// The states that a request could have met while the changes were under way.
    pub(crate) fn during(&self, changes: &[Change<'_, T>]) -> Self {
        let mut states = self.0.clone();
        for _ in changes {
            for state in states.clone() {
                for change in changes {
                    add(&mut states, (change.make)(&state));
                }
            }
        }
        Self(states)
    }

    /// The states that may be left when all changes have ended, in whatever order they came.
    pub(crate) fn after(&self, changes: &[Change<'_, T>]) -> Self {
        let mut left = Vec::new();
        for state in &self.0 {
            follow(state, changes, &mut vec![false; changes.len()], &mut left);
        }
        Self(left)
    }
}

/// Every order of the changes that remain; those that may not have happened are left out, too.
fn follow<T: Clone + PartialEq>(
    state: &T,
    changes: &[Change<'_, T>],
    taken: &mut Vec<bool>,
    left: &mut Vec<T>,
) {
    let open: Vec<usize> = (0..changes.len()).filter(|at| !taken[*at]).collect();
    if !open.iter().any(|at| changes[*at].ending == Ending::Done) {
        add(left, state.clone());
    }
    for at in open.into_iter().filter(|at| changes[*at].ending != Ending::Refused) {
        taken[at] = true;
        follow(&(changes[at].make)(state), changes, taken, left);
        taken[at] = false;
    }
}

fn add<T: PartialEq>(states: &mut Vec<T>, state: T) {
    if !states.contains(&state) {
        states.push(state);
    }
}

/// A state that changes, as far as one can know it from outside.
#[derive(Clone, Debug)]
pub(crate) struct Tracked<T> {
    /// What may be the case now that everything is quiet.
    pub(crate) now: Possible<T>,
    /// What may have been the case at some moment of the last step.
    pub(crate) during: Possible<T>,
}

impl<T: Clone + PartialEq> Tracked<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { now: Possible::only(state.clone()), during: Possible::only(state) }
    }

    /// The changes of one step.
    pub(crate) fn settle(&mut self, changes: &[Change<'_, T>]) {
        self.during = self.now.during(changes);
        self.now = self.now.after(changes);
    }

    /// Somebody could also have met these states.
    pub(crate) fn was_also(&mut self, other: &Self) {
        for state in &other.during.0 {
            add(&mut self.during.0, state.clone());
        }
    }
}
