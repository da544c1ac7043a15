//! Runs that failed once. A failing run is printed in this form.

use crate::names::Rules;
use crate::run::run;
use crate::steps::{Op::*, Step, Step::*, StoreFault::*};

/// A mount with a root, a role and one certificate.
const PREPARED: [Step; 4] = [
    Do(Enable { mount: 0 }),
    Do(Root { mount: 0, name: 0, same_key: false, ttl: 31_536_000 }),
    Do(WriteRole { mount: 0, role: 0, rules: Rules::GENEROUS }),
    Do(Issue { mount: 0, role: 0, names: 0, ttl: 0, issuer: None }),
];

#[track_caller]
fn holds(seed: u64, steps: &[Step]) {
    if let (_, Err(finding)) = run(seed, steps) {
        panic!("{finding}");
    }
}

#[track_caller]
fn holds_after_preparation(steps: &[Step]) {
    holds(1, &[&PREPARED, steps].concat());
}

#[test]
fn a_recorded_revocation_that_was_not_published_is_on_the_next_crl() {
    for fault in [NotDone, LostRequest, LostResponse] {
        holds_after_preparation(&[
            Do(ReadCrl { mount: 0, issuer: Some(0) }),
            Inject(2, fault),
            Do(Revoke { mount: 0, certificate: 0 }),
            Do(Revoke { mount: 0, certificate: 0 }),
            Do(ReadCrl { mount: 0, issuer: Some(0) }),
        ]);
    }
}

#[test]
fn this_update_goes_back_after_a_crl_that_was_not_read() {
    holds_after_preparation(&[
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
        Jump(54),
        Do(Revoke { mount: 0, certificate: 0 }),
        Jump(-88),
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
    ]);
}

#[test]
fn this_update_goes_back_only_if_it_was_in_the_future() {
    holds_after_preparation(&[
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
        Jump(-60),
        Do(Revoke { mount: 0, certificate: 0 }),
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
        Jump(-3600),
        Do(Revoke { mount: 0, certificate: 0 }),
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
        Jump(-40 * 86_400),
        Do(Root { mount: 0, name: 1, same_key: false, ttl: 0 }),
        Do(ReadCrl { mount: 0, issuer: Some(1) }),
    ]);
}

#[test]
fn issuers_with_one_name_and_key_share_one_sequence_of_crl_numbers() {
    for seed in 1..9 {
        let steps = [
            Do(Revoke { mount: 0, certificate: 0 }),
            Do(ReadCrl { mount: 0, issuer: Some(0) }),
            Do(Root { mount: 0, name: 0, same_key: true, ttl: 31_536_000 }),
            Do(ReadCrl { mount: 0, issuer: Some(0) }),
            Do(Usage { mount: 0, issuer: 1, issues: true, signs_crls: false }),
            Do(ReadCrl { mount: 0, issuer: Some(0) }),
            Do(Usage { mount: 0, issuer: 1, issues: true, signs_crls: true }),
            Do(Usage { mount: 0, issuer: 0, issues: true, signs_crls: false }),
            Do(ReadCrl { mount: 0, issuer: Some(1) }),
        ];
        holds(seed, &[&PREPARED[..], &steps].concat());
    }
}

#[test]
fn a_certificate_revoked_while_no_issuer_signs_crls_is_on_the_next_one() {
    holds_after_preparation(&[
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
        Do(Usage { mount: 0, issuer: 0, issues: true, signs_crls: false }),
        Do(Revoke { mount: 0, certificate: 0 }),
        Do(Usage { mount: 0, issuer: 0, issues: true, signs_crls: true }),
        Do(ReadCrl { mount: 0, issuer: Some(0) }),
    ]);
}

#[test]
fn a_revocation_stays_on_the_crl_of_its_name_and_key_when_its_issuer_is_deleted() {
    for seed in 1..5 {
        let steps = [
            Do(Revoke { mount: 0, certificate: 0 }),
            Do(Root { mount: 0, name: 0, same_key: true, ttl: 31_536_000 }),
            Do(DeleteIssuer { mount: 0, issuer: 1 }),
            Do(ReadCrl { mount: 0, issuer: Some(0) }),
        ];
        holds(seed, &[&PREPARED[..], &steps].concat());
    }
}

#[test]
fn a_mount_whose_disabling_was_not_answered_is_not_in_the_table() {
    holds_after_preparation(&[Inject(1, LostResponse), Do(Disable { mount: 0 })]);
}

#[test]
fn a_table_of_mounts_that_could_not_be_read_is_read_before_the_next_answer() {
    holds_after_preparation(&[
        Inject(2, ReadFails),
        Do(Disable { mount: 0 }),
        Do(Request { mount: 0, name: 1 }),
    ]);
}

#[test]
fn two_mounts_enabled_at_once_are_both_in_the_table() {
    for pace in 0..40 {
        let (first, second) = (Enable { mount: 0 }, Enable { mount: 1 });
        holds(1, &[Both { first, second, lag: 0, jump: 0, pace }]);
    }
}

#[test]
fn a_revocation_whose_signer_is_deleted_meanwhile_is_not_refused_after_it_was_recorded() {
    for pace in 18_360..18_380 {
        let first = Revoke { mount: 0, certificate: 1 };
        let second = DeleteIssuer { mount: 0, issuer: 0 };
        let steps = [
            Do(Enable { mount: 0 }),
            Do(Root { mount: 0, name: 0, same_key: false, ttl: 31_536_000 }),
            Do(DeleteIssuer { mount: 0, issuer: 0 }),
            Do(Root { mount: 0, name: 0, same_key: true, ttl: 86_400 }),
            Both { first, second, lag: 5, jump: 0, pace },
        ];
        holds(1280, &steps);
    }
}
