use crate::store::id::{IssuerId, MountId};
use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_800_000_000;
const MOUNT: MountId = MountId::new([1; 16]);
const ISSUER: IssuerId = IssuerId::new([2; 16]);
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

fn mount() -> MountState {
    MountState { id: MOUNT, lists: Vec::new(), intents: Vec::new(), tidy: None }
}

fn state(mount: MountState) -> JobState {
    JobState { started: NOW - DAY, mounts: vec![mount], ..JobState::default() }
}

fn list(this_update: i64) -> ListState {
    ListState {
        issuer: ISSUER,
        this_update,
        latest: this_update,
        renew_at: this_update.saturating_add(36 * HOUR),
    }
}

const TIDY: TidyState = TidyState {
    interval: 12 * HOUR,
    buffer: 72 * HOUR,
    startup_backoff: 300,
    last: Some(NOW),
    put_off: false,
};

#[test]
fn a_plan_without_a_due_job_plans_again_within_a_minute() {
    let plan = plan(&state(mount()), at(NOW));
    assert_eq!(plan, Plan { due: vec![], next: at(NOW + LONGEST_WAIT) });
}

#[test]
fn a_data_key_is_due_at_half_of_its_bound() {
    for (values_sealed, due) in [(0, vec![]), (ROTATE_AT - 1, vec![])]
        .into_iter()
        .chain([ROTATE_AT, u64::MAX].map(|many| (many, vec![Job::RotateDataKey])))
    {
        let state = JobState { values_sealed, ..state(mount()) };
        assert_eq!(plan(&state, at(NOW)).due, due, "{values_sealed}");
    }
    assert_eq!(ROTATE_AT, 1 << 31);
}

#[test]
fn a_crl_is_due_in_the_second_half_of_its_lifetime_or_if_it_is_in_the_future() {
    let job = Job::RenewCrl { mount: MOUNT, issuer: ISSUER };
    let year = MAX_READER_GAP;
    for (this_update, due) in [
        (NOW, false),
        (NOW - 36 * HOUR + 1, false),
        (NOW - 36 * HOUR, true),
        (NOW - 300 * DAY, true),
        (NOW - year, true),
        (NOW - year - 1, false),
        (NOW + CLOCK_STEP, false),
        (NOW + CLOCK_STEP + 1, true),
        (i64::MAX, true),
        (i64::MIN, false),
    ] {
        let lists = vec![list(this_update)];
        let plan = plan(&state(MountState { lists, ..mount() }), at(NOW));
        assert_eq!(plan.due, if due { vec![job] } else { vec![] }, "{}", this_update - NOW);
    }
    let lists = vec![list(NOW - 36 * HOUR + 7)];
    assert_eq!(plan(&state(MountState { lists, ..mount() }), at(NOW)).next, at(NOW + 7));
}

#[test]
fn a_crl_whose_time_went_back_is_measured_by_the_latest_one() {
    let late = ListState { latest: NOW - DAY, ..list(NOW - 2 * MAX_READER_GAP) };
    let plan = plan(&state(MountState { lists: vec![late], ..mount() }), at(NOW));
    assert_eq!(plan.due.len(), 1);
}

#[test]
fn an_intent_is_logged_first_and_removed_after_three_days() {
    for (name, recorded, logged_at, to_log, over) in [
        ("of an earlier process", NOW - 2 * DAY, None, true, false),
        ("in progress", NOW - 1, None, false, false),
        ("for an hour", NOW - HOUR, None, true, false),
        ("logged", NOW - 2 * DAY, Some(NOW - DAY), false, false),
        ("logged long ago", NOW - 9 * DAY, Some(NOW - 3 * DAY), false, true),
        ("recorded in the future", NOW + DAY, None, true, false),
        ("logged in the future", NOW - DAY - 1, Some(NOW + DAY), true, false),
    ] {
        let intent = IntentState { at: recorded, logged_at };
        let started = NOW - DAY;
        assert_eq!(intent.must_be_logged(started, NOW), to_log, "{name}");
        assert_eq!(intent.is_over(started, NOW), over, "{name}");
        let plan = plan(&state(MountState { intents: vec![intent], ..mount() }), at(NOW));
        assert_eq!(plan.due.len(), usize::from(to_log || over), "{name}");
    }
}

#[test]
fn a_tidy_runs_after_its_interval_while_the_clock_is_plausible() {
    use TidyStep::{PutOff, Run, Wait};
    let quick = TidyState { interval: 0, buffer: 1, ..TIDY };
    let put_off = TidyState { put_off: true, ..TIDY };
    let started = NOW - DAY;
    for (name, tidy, later, step) in [
        ("too early", TIDY, 12 * HOUR - 1, Wait(NOW + 12 * HOUR)),
        ("on time", TIDY, 12 * HOUR, Run),
        ("after two days without a server", TIDY, 2 * DAY, Run),
        ("at the end of the buffer", TIDY, 72 * HOUR, Run),
        ("past the buffer", TIDY, 72 * HOUR + 1, PutOff),
        ("years later", TIDY, 9000 * DAY, PutOff),
        ("a corrected clock", TIDY, -CLOCK_STEP, Wait(NOW + 12 * HOUR)),
        ("a clock that went back", TIDY, -CLOCK_STEP - 1, PutOff),
        ("without an interval", quick, 0, Run),
        ("without an interval, late", quick, HOUR + 300, Run),
        ("without an interval, too late", quick, HOUR + 301, PutOff),
        ("put off", put_off, 11 * HOUR, Wait(NOW + 12 * HOUR)),
        ("put off, and then on time", put_off, 12 * HOUR, Run),
        (
            "put off without an interval",
            TidyState { put_off: true, ..quick },
            HOUR,
            Wait(NOW + 12 * HOUR),
        ),
        ("without a record", TidyState { last: None, ..TIDY }, DAY, PutOff),
        ("of a record from the end of time", TidyState { last: Some(i64::MAX), ..TIDY }, 0, PutOff),
        ("with an endless interval", TidyState { interval: i64::MAX, ..TIDY }, DAY, Wait(i64::MAX)),
    ] {
        assert_eq!(tidy.step(started, NOW + later), step, "{name}");
    }
}

#[test]
fn a_tidy_waits_after_the_start_of_the_server() {
    let now = NOW + 12 * HOUR;
    assert_eq!(TIDY.step(now - 299, now), TidyStep::Wait(now + 1));
    assert_eq!(TIDY.step(now - 300, now), TidyStep::Run);
    assert_eq!(TIDY.step(now + DAY, now), TidyStep::Run, "a start in the future is not used");
}

#[test]
fn a_failed_job_is_retried_after_a_growing_delay() {
    let full = JobState { values_sealed: ROTATE_AT, ..state(mount()) };
    let mut failed = None;
    for delay in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
        let now = Failed::after(failed, at(NOW));
        assert_eq!(now.delay(), delay);
        failed = Some(now);
        let state = JobState { failed: [(Job::RotateDataKey, now)].into(), ..full.clone() };
        for (later, is_due) in [(delay - 1, false), (delay, true), (-2 * DAY, true)] {
            assert_eq!(!plan(&state, at(NOW + later)).due.is_empty(), is_due, "{later}");
        }
    }
    let forever = Failed { times: u32::MAX, at: NOW };
    assert_eq!(Failed::after(Some(forever), at(NOW)).delay(), 3600);
}

#[test]
fn a_failed_job_does_not_delay_the_others() {
    let lists = vec![list(NOW - 2 * DAY)];
    let tidy = Some(TidyState { last: Some(NOW - DAY), ..TIDY });
    let mut state = state(MountState { lists, tidy, ..mount() });
    state.values_sealed = ROTATE_AT;
    state.mounts.push(MountState { id: MountId::new([9; 16]), tidy, ..mount() });
    let all = plan(&state, at(NOW)).due;
    assert_eq!(all.len(), 4);
    for job in &all {
        state.failed = [(*job, Failed { times: 3, at: NOW })].into();
        let others: Vec<_> = all.iter().filter(|other| *other != job).copied().collect();
        assert_eq!(plan(&state, at(NOW)).due, others);
    }
}

/// Applies the effect of the jobs to the state; returns the mounts whose tidy removed something.
fn run(state: &mut JobState, due: &[Job], now: i64) -> Vec<MountId> {
    let mut ran = Vec::new();
    for job in due {
        match job {
            Job::RotateDataKey => state.values_sealed = 0,
            Job::RenewCrl { mount, issuer } => {
                let mounts = state.mounts.iter_mut().filter(|other| other.id == *mount);
                for list in mounts.flat_map(|mount| &mut mount.lists) {
                    if list.issuer == *issuer {
                        list.this_update = now;
                        list.latest = list.latest.max(now);
                        list.renew_at = now.saturating_add(36 * HOUR);
                    }
                }
            }
            Job::RemoveIntents { mount } => {
                let started = state.started;
                for mount in state.mounts.iter_mut().filter(|other| other.id == *mount) {
                    mount.intents.retain(|intent| !intent.is_over(started, now));
                    for intent in &mut mount.intents {
                        if intent.must_be_logged(started, now) {
                            intent.logged_at = Some(now);
                        }
                    }
                }
            }
            Job::Tidy { mount } => {
                let started = state.started;
                for other in state.mounts.iter_mut().filter(|other| other.id == *mount) {
                    let Some(tidy) = &mut other.tidy else { continue };
                    let step = tidy.step(started, now);
                    assert!(!matches!(step, TidyStep::Wait(_)), "a tidy that is not due");
                    tidy.put_off = step == TidyStep::PutOff;
                    tidy.last = Some(now);
                    if step == TidyStep::Run {
                        ran.push(*mount);
                    }
                }
            }
        }
    }
    ran
}

/// A time that a clock may show: near the present, or anywhere.
fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => NOW - 90 * DAY..NOW + 90 * DAY,
        1 => NOW - 40_000 * DAY..NOW + 40_000 * DAY,
        1 => any::<i64>(),
    ]
}

fn any_mount(id: u8) -> impl Strategy<Value = MountState> {
    let list = (any_time(), any_time()).prop_map(|(this_update, latest)| ListState {
        latest: latest.max(this_update),
        ..list(this_update)
    });
    let intent = (any_time(), proptest::option::of(any_time()))
        .prop_map(|(at, logged_at)| IntentState { at, logged_at });
    let spans = prop_oneof![Just(0), 1_i64..100 * HOUR];
    let tidy = (
        spans,
        1_i64..200 * HOUR,
        0_i64..2 * HOUR,
        proptest::option::of(any_time()),
        any::<bool>(),
    )
        .prop_map(|(interval, buffer, startup_backoff, last, put_off)| TidyState {
            interval,
            buffer,
            startup_backoff,
            last,
            put_off,
        });
    let (lists, intents) =
        (proptest::collection::vec(list, 0..2), proptest::collection::vec(intent, 0..3));
    (lists, intents, proptest::option::of(tidy)).prop_map(move |(lists, intents, tidy)| {
        MountState { id: MountId::new([id; 16]), lists, intents, tidy }
    })
}

fn any_state() -> impl Strategy<Value = JobState> {
    let failed = proptest::option::of((any::<u32>(), any_time()));
    (any_time(), any::<u64>(), any_mount(1), any_mount(2), failed).prop_map(
        |(started, values_sealed, one, other, failed)| JobState {
            started,
            values_sealed,
            mounts: vec![one, other],
            failed: failed
                .map(|(times, at)| (Job::RotateDataKey, Failed { times, at }))
                .into_iter()
                .collect(),
        },
    )
}

proptest! {
    /// From any state: once the clock advances evenly, every job runs.
    #[test]
    fn no_due_job_is_starved(mut state in any_state(), from in NOW..NOW + 1000 * DAY) {
        let (mut now, mut tidied) = (from, std::collections::BTreeSet::new());
        state.started = from;
        let spans = state.mounts.iter().filter_map(|mount| mount.tidy);
        let longest = spans.map(|tidy| tidy.interval + tidy.startup_backoff).max().unwrap_or(0);
        while now < from + 76 * HOUR + 2 * longest + 2 * MIN_DELAY_AFTER_PUT_OFF {
            let plan = plan(&state, at(now));
            prop_assert!(at(now) < plan.next && plan.next <= at(now + LONGEST_WAIT));
            tidied.extend(run(&mut state, &plan.due, now));
            now += 600;
        }
        prop_assert!(state.values_sealed < ROTATE_AT);
        for mount in &state.mounts {
            prop_assert!(mount.intents.is_empty());
            prop_assert_eq!(mount.tidy.is_some(), tidied.contains(&mount.id));
            for list in &mount.lists {
                // A CRL whose latest time is more than a year old waits for an operator.
                let silent = now - list.latest > MAX_READER_GAP;
                prop_assert!(silent || (now - 37 * HOUR..=now).contains(&list.this_update));
            }
        }
    }

    /// With any jumps of the clock: no plan runs a job twice at one time, and a tidy runs neither
    /// before its interval is over nor later than its buffer or one missed run allows.
    #[test]
    fn no_job_runs_twice_within_its_interval(
        mut state in any_state(),
        clock in proptest::collection::vec(any_time(), 1..40),
    ) {
        for now in clock {
            let plan = plan(&state, at(now));
            let before = state.clone();
            let ran = run(&mut state, &plan.due, now);
            for (mount, before) in state.mounts.iter().zip(&before.mounts) {
                if let Some(tidy) = before.tidy.filter(|_| ran.contains(&mount.id)) {
                    let since = now.saturating_sub(tidy.last.unwrap_or(i64::MIN));
                    prop_assert!(since >= tidy.interval);
                    let expected = tidy.interval.max(MIN_DELAY_AFTER_PUT_OFF) + tidy.startup_backoff + MAX_DELAY;
                    prop_assert!(since <= expected.max(tidy.buffer));
                }
            }
            let again = super::plan(&state, at(now));
            let repeated: Vec<_> = again.due.iter().filter(|job| plan.due.contains(job)).collect();
            let may_repeat = |job: &Job| match job {
                // Without an interval it is due again at once.
                Job::Tidy { mount } => state.mounts.iter().any(|other| {
                    other.id == *mount && other.tidy.is_some_and(|tidy| tidy.interval == 0 && !tidy.put_off)
                }),
                _ => false,
            };
            prop_assert!(repeated.into_iter().all(may_repeat), "{:?}", again);
        }
    }

    /// If the buffer is longer than the interval, one jump of the clock removes nothing valid.
    #[test]
    fn one_jump_of_the_clock_removes_nothing_that_is_valid(
        interval in 0_i64..60 * HOUR,
        longer in 2 * HOUR..100 * HOUR,
        since in 0_i64..200 * HOUR,
        jump in 1_i64..9000 * DAY,
        put_off in any::<bool>(),
    ) {
        let buffer = interval.max(MIN_DELAY_AFTER_PUT_OFF) + longer;
        let tidy = TidyState { interval, buffer, put_off, ..TIDY };
        let (truth, shown) = (NOW + since, NOW + since + jump);
        if tidy.step(NOW - 300 * DAY, shown) == TidyStep::Run {
            prop_assert!(shown - buffer <= truth, "what ends at {truth} would be removed");
        }
    }
}
