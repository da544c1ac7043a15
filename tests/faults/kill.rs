//! SIGKILL at every single operation on the store's files, one after the other.

use std::time::Instant;

use crate::ledger::Ledger;
use crate::machine::{Action, Fault, Machine, NAME, SYNC, WRITE, copy_folder};

use signet::store::{Rocks, Store, key};

/// Certificates of one scenario.
const LEAVES: usize = 3;

/// The kinds of kill, and the operations that each applies to.
const KILLS: [(Action, u64); 3] = [
    (Action::KillBefore, WRITE | SYNC | NAME),
    (Action::KillAfter, WRITE | SYNC | NAME),
    (Action::Tear, WRITE),
];

/// Kills the server at the `number`-th operation between initialisation and CRL, and checks what
/// the next start finds. `false` if there are fewer operations.
async fn killed_at(number: u64, (action, kinds): (Action, u64)) -> bool {
    let machine = Machine::new();
    machine.arm(Fault { action, kinds, first: number, last: number, value: 0 });
    let mut ledger = Ledger::default();
    let ended = match machine.try_start() {
        Ok(server) => ledger.scenario(&server.address, LEAVES).await.is_err(),
        Err(_) => true,
    };
    let (_, hits) = machine.tally();
    assert_eq!(
        ended,
        hits == 1,
        "{action:?} {number}: the server ended without a kill, or survived it"
    );
    machine.disarm();
    if !ended {
        return false;
    }
    let server = machine.start();
    let after = format!("{action:?} at operation {number}");
    ledger.verify(&server.address).await.unwrap_or_else(|why| panic!("{after}: {why:?}"));
    let resumed =
        ledger.resume(&server.address).await.unwrap_or_else(|why| panic!("{after}: {why:?}"));
    drop(server);
    if !resumed {
        assert_eq!(tokens(&machine).await, 1, "{after}: initialised, but without a token");
    }
    let server = machine.start();
    ledger.verify(&server.address).await.unwrap_or_else(|why| panic!("{after}, again: {why:?}"));
    true
}

/// The number of tokens in the store of a server that does not run. The first token is stored with
/// the keys, whether it was answered or not.
async fn tokens(machine: &Machine) -> usize {
    let rocks = Rocks::open(&machine.store(), |why: &str| panic!("{why}")).expect("a store");
    let snapshot = Store::danger_unsealed(rocks).snapshot().await.expect("a snapshot");
    snapshot.keys(&key::tokens().range(), 10).await.expect("a read").len()
}

/// Kills the server after each operation up to its first token: no store reports that it is
/// initialised without having a token.
#[tokio::test]
async fn a_kill_during_initialisation_leaves_a_store_with_a_token_or_without_a_key() {
    let mut kills = 0;
    for number in 1.. {
        let machine = Machine::new();
        let (action, kinds) = KILLS[1];
        machine.arm(Fault { action, kinds, first: number, last: number, value: 0 });
        let answered = match machine.try_start() {
            Ok(server) => Ledger::default().initialise(&server.address).await.is_ok(),
            Err(_) => false,
        };
        machine.disarm();
        if answered {
            break;
        }
        kills += 1;
        let server = machine.start();
        let initialised = Ledger::is_initialised(&server.address).await.expect("a server");
        drop(server);
        assert_eq!(tokens(&machine).await, usize::from(initialised), "operation {number}");
    }
    println!("{kills} kills before the first token");
    assert!(kills > 5, "there are more operations than {kills}");
}

#[tokio::test]
async fn a_kill_at_some_operations_loses_nothing_acknowledged() {
    for (number, kill) in [(14, KILLS[0]), (27, KILLS[1]), (15, KILLS[2])] {
        assert!(killed_at(number, kill).await, "{kill:?}: fewer operations than {number}");
    }
}

#[tokio::test]
#[ignore = "takes minutes; scripts/crash --faults runs it"]
async fn a_kill_at_every_operation_loses_nothing_acknowledged() {
    for kill in KILLS {
        let start = Instant::now();
        let mut number = 1;
        while killed_at(number, kill).await {
            number += 1;
        }
        let points = number - 1;
        println!("{kill:?}: {points} kills in {:?}, nothing lost", start.elapsed());
        assert!(points > 20, "{kill:?}: the scenario has more operations than {points}");
    }
}

/// Kills the server at the `number`-th operation of opening a store whose log was not flushed: the
/// next start must write a table. `false` if there are fewer operations.
async fn killed_while_opening(number: u64, (action, kinds): (Action, u64), left: &Left) -> bool {
    let machine = Machine::new();
    copy_folder(&left.machine.store(), &machine.store());
    machine.arm(Fault { action, kinds, first: number, last: number, value: 0 });
    let opened = machine.try_start();
    let (_, hits) = machine.tally();
    machine.disarm();
    if let (Ok(_), 0) = (&opened, hits) {
        return false;
    }
    drop(opened);
    let server = machine.start();
    let mut ledger = left.ledger.clone();
    ledger.verify(&server.address).await.unwrap_or_else(|why| panic!("{number}: {why:?}"));
    ledger.resume(&server.address).await.unwrap_or_else(|why| panic!("{number}: {why:?}"));
    true
}

/// A store as a kill left it, and the ledger of what was answered before.
struct Left {
    machine: Machine,
    ledger: Ledger,
}

async fn left_by_a_kill() -> Left {
    let machine = Machine::new();
    let mut ledger = Ledger::default();
    // Two runs: the second one starts with a log.
    for _ in 0..2 {
        let mut server = machine.start();
        ledger.scenario(&server.address, LEAVES).await.expect("a disk without faults");
        server.kill();
    }
    Left { machine, ledger }
}

#[tokio::test]
async fn a_kill_while_opening_leaves_a_store_that_opens() {
    let left = left_by_a_kill().await;
    for (number, kill) in [(3, KILLS[0]), (6, KILLS[1])] {
        assert!(killed_while_opening(number, kill, &left).await, "fewer operations than {number}");
    }
}

#[tokio::test]
#[ignore = "takes a minute; scripts/crash --faults runs it"]
async fn a_kill_at_every_operation_of_opening_leaves_a_store_that_opens() {
    let left = left_by_a_kill().await;
    for kill in KILLS {
        let mut number = 1;
        while killed_while_opening(number, kill, &left).await {
            number += 1;
        }
        println!("{kill:?}: {} kills while opening, nothing lost", number - 1);
        assert!(number > 5, "{kill:?}: opening has more operations than {number}");
    }
}
