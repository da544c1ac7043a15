//! The possible states after requests that were not answered or that overlapped.

/// What an answer says about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It was acknowledged: it was executed.
    Done,
    /// It was refused: it was not executed.
    Refused,
    /// It may have been executed.
    Unknown,
}

/// Maps a state to the next one.
pub(crate) type Transition<'a, T> = Box<dyn Fn(&T) -> T + 'a>;

/// A requested change and what its answer says.
pub(crate) struct Change<'a, T> {
    pub(crate) apply: Transition<'a, T>,
    pub(crate) effect: Effect,
}

/// Every state that may be the current one; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Outcomes<T>(Vec<T>);

impl<T: Clone + PartialEq> Outcomes<T> {
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

    /// The states that a request may have seen while the changes were in flight.
    pub(crate) fn during(&self, changes: &[Change<'_, T>]) -> Self {
        let mut states = self.0.clone();
        for _ in changes {
            for state in states.clone() {
                for change in changes {
                    add(&mut states, (change.apply)(&state));
                }
            }
        }
        Self(states)
    }

    /// The possible states after all changes, in any order.
    pub(crate) fn after(&self, changes: &[Change<'_, T>]) -> Self {
        let mut left = Vec::new();
        for state in &self.0 {
            apply_all(state, changes, &mut vec![false; changes.len()], &mut left);
        }
        Self(left)
    }
}

/// Applies the remaining changes in every order; changes of unknown effect are also left out.
fn apply_all<T: Clone + PartialEq>(
    state: &T,
    changes: &[Change<'_, T>],
    applied: &mut Vec<bool>,
    states: &mut Vec<T>,
) {
    let remaining: Vec<usize> = (0..changes.len()).filter(|at| !applied[*at]).collect();
    if !remaining.iter().any(|at| changes[*at].effect == Effect::Done) {
        add(states, state.clone());
    }
    for at in remaining.into_iter().filter(|at| changes[*at].effect != Effect::Refused) {
        applied[at] = true;
        apply_all(&(changes[at].apply)(state), changes, applied, states);
        applied[at] = false;
    }
}

fn add<T: PartialEq>(states: &mut Vec<T>, state: T) {
    if !states.contains(&state) {
        states.push(state);
    }
}

/// A state as far as the answers determine it.
#[derive(Clone, Debug)]
pub(crate) struct Tracked<T> {
    /// The possible states now that no request is in flight.
    pub(crate) now: Outcomes<T>,
    /// The possible states at any time during the last step.
    pub(crate) during: Outcomes<T>,
}

impl<T: Clone + PartialEq> Tracked<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { now: Outcomes::only(state.clone()), during: Outcomes::only(state) }
    }

    /// Applies the changes of one step.
    pub(crate) fn settle(&mut self, changes: &[Change<'_, T>]) {
        self.during = self.now.during(changes);
        self.now = self.now.after(changes);
    }

    /// Adds the states that a request of the last step may also have seen.
    pub(crate) fn include_during(&mut self, other: &Self) {
        for state in &other.during.0 {
            add(&mut self.during.0, state.clone());
        }
    }
}
