//! Death at every single operation on the store's files, one after the other.

use std::time::Instant;

use crate::book::Book;
use crate::machine::{Action, Fault, Machine, NAME, SYNC, WRITE, copy_folder};

use signet::store::{Rocks, Store, key};

/// Certificates of one scenario.
const LEAVES: usize = 3;

/// The kinds of death, and the operations that they come with.
const DEATHS: [(Action, u64); 3] = [
    (Action::KillBefore, WRITE | SYNC | NAME),
    (Action::KillAfter, WRITE | SYNC | NAME),
    (Action::Tear, WRITE),
];

/// The server dies at the `number`-th operation of a life from initialisation to CRL. `false`
/// if there are not so many.
async fn dies_at(number: u64, (action, kinds): (Action, u64)) -> bool {
    let machine = Machine::new();
    machine.arm(Fault { action, kinds, first: number, last: number, value: 0 });
    let mut book = Book::default();
    let ended = match machine.try_start() {
        Ok(server) => book.scenario(&server.address, LEAVES).await.is_err(),
        Err(_) => true,
    };
    let (_, hits) = machine.tally();
    assert_eq!(ended, hits == 1, "{action:?} {number}: it ended without being killed, or lived on");
    machine.disarm();
    if !ended {
        return false;
    }
    let server = machine.start();
    let after = format!("{action:?} at operation {number}");
    book.verify(&server.address).await.unwrap_or_else(|why| panic!("{after}: {why:?}"));
    let went_on =
        book.go_on(&server.address).await.unwrap_or_else(|why| panic!("{after}: {why:?}"));
    drop(server);
    if !went_on {
        assert_eq!(tokens(&machine).await, 1, "{after}: initialised, and without a token");
    }
    let server = machine.start();
    book.verify(&server.address).await.unwrap_or_else(|why| panic!("{after}, again: {why:?}"));
    true
}

/// How many tokens the store of a server holds that does not run. Its first one is stored with the keys,
/// told or not.
async fn tokens(machine: &Machine) -> usize {
    let rocks = Rocks::open(&machine.store(), |why: &str| panic!("{why}")).expect("a store");
    let snapshot = Store::danger_unsealed(rocks).snapshot().await.expect("a snapshot");
    snapshot.keys(&key::tokens().range(), 10).await.expect("a read").len()
}

/// A death behind each of the operations by which a new server gets as far as its token: no store says
/// that it is initialised and has none.
#[tokio::test]
async fn a_death_while_a_store_is_initialised_leaves_it_with_a_token_or_without_a_key() {
    let mut deaths = 0;
    for number in 1.. {
        let machine = Machine::new();
        let (action, kinds) = DEATHS[1];
        machine.arm(Fault { action, kinds, first: number, last: number, value: 0 });
        let answered = match machine.try_start() {
            Ok(server) => Book::default().initialise(&server.address).await.is_ok(),
            Err(_) => false,
        };
        machine.disarm();
        if answered {
            break;
        }
        deaths += 1;
        let server = machine.start();
        let initialised = Book::is_initialised(&server.address).await.expect("a server");
        drop(server);
        assert_eq!(tokens(&machine).await, usize::from(initialised), "operation {number}");
    }
    println!("{deaths} deaths on the way to the first token");
    assert!(deaths > 5, "there are more operations than {deaths}");
}

#[tokio::test]
async fn a_death_at_some_of_the_operations_loses_nothing_acknowledged() {
    for (number, death) in [(14, DEATHS[0]), (27, DEATHS[1]), (15, DEATHS[2])] {
        assert!(dies_at(number, death).await, "{death:?}: there is no operation {number}");
    }
}

#[tokio::test]
#[ignore = "takes minutes; scripts/crash --faults runs it"]
async fn a_death_at_every_operation_loses_nothing_acknowledged() {
    for death in DEATHS {
        let start = Instant::now();
        let mut number = 1;
        while dies_at(number, death).await {
            number += 1;
        }
        let points = number - 1;
        println!("{death:?}: {points} deaths in {:?}, nothing lost", start.elapsed());
        assert!(points > 20, "{death:?}: the scenario has more operations than {points}");
    }
}

/// The server dies at the `number`-th operation of opening a store that is full of log: after a
/// kill, the next start has a table to write. `false` if there are not so many.
async fn dies_while_opening(number: u64, (action, kinds): (Action, u64), left: &Left) -> bool {
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
    let mut book = left.book.clone();
    book.verify(&server.address).await.unwrap_or_else(|why| panic!("{number}: {why:?}"));
    book.go_on(&server.address).await.unwrap_or_else(|why| panic!("{number}: {why:?}"));
    true
}

/// A store as a kill left it, and what was answered before.
struct Left {
    machine: Machine,
    book: Book,
}

async fn left_by_a_kill() -> Left {
    let machine = Machine::new();
    let mut book = Book::default();
    // Two lives: the second one starts over a log.
    for _ in 0..2 {
        let mut server = machine.start();
        book.scenario(&server.address, LEAVES).await.expect("a disk without faults");
        server.kill();
    }
    Left { machine, book }
}

#[tokio::test]
async fn a_death_while_opening_leaves_a_store_that_opens() {
    let left = left_by_a_kill().await;
    for (number, death) in [(3, DEATHS[0]), (6, DEATHS[1])] {
        assert!(dies_while_opening(number, death, &left).await, "there is no operation {number}");
    }
}

#[tokio::test]
#[ignore = "takes a minute; scripts/crash --faults runs it"]
async fn a_death_at_every_operation_of_opening_leaves_a_store_that_opens() {
    let left = left_by_a_kill().await;
    for death in DEATHS {
        let mut number = 1;
        while dies_while_opening(number, death, &left).await {
            number += 1;
        }
        println!("{death:?}: {} deaths while opening, nothing lost", number - 1);
        assert!(number > 5, "{death:?}: opening has more operations than {number}");
    }
}
