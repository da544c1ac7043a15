//! A loss of power: what was not synced is gone, names included.
//!
//! The library keeps a copy of what was synced. After a kill the folder is rebuilt in each of four
//! ways that a file system permits, and the server is started on each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use signet::entropy::{Entropy, Purpose};

use crate::ledger::Ledger;
use crate::machine::{Action, Fault, Machine, NAME, SYNC, WRITE};

/// What survives besides what was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Survives {
    /// Neither bytes nor names.
    Nothing,
    /// Every name, but no bytes.
    Names,
    /// Every name, and some of the bytes that were written.
    Some,
    /// Every name and every length; bytes that were not synced read as zeros.
    Lengths,
}

const SURVIVORS: [Survives; 4] =
    [Survives::Nothing, Survives::Names, Survives::Some, Survives::Lengths];

/// The synced content of a file.
fn synced(machine: &Machine, inode: &str) -> Vec<u8> {
    fs::read(machine.path().join("shadow").join(format!("inode.{inode}"))).unwrap_or_default()
}

/// The names that were synced, each with its inode.
fn synced_names(machine: &Machine) -> BTreeMap<String, String> {
    let names = fs::read_to_string(machine.path().join("shadow/names")).unwrap_or_default();
    let pairs = names.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(inode, name)| (name.to_owned(), inode.to_owned())).collect()
}

/// Builds in `store` what the loss of power left of the machine's store.
fn rebuild(machine: &Machine, survives: Survives, random: &Entropy, store: &Path) {
    fs::create_dir(store).expect("a folder");
    if survives == Survives::Nothing {
        for (name, inode) in synced_names(machine) {
            fs::write(store.join(name), synced(machine, &inode)).expect("a file");
        }
        return;
    }
    for entry in fs::read_dir(machine.store()).into_iter().flatten() {
        let entry = entry.expect("an entry");
        let inode = entry.metadata().expect("a file").ino().to_string();
        let written = fs::read(entry.path()).expect("a file");
        let mut left = synced(machine, &inode);
        let more = written.len().saturating_sub(left.len());
        match survives {
            Survives::Some if more > 0 => {
                let number = u32::from_be_bytes(random.bytes(Purpose::Identifier));
                let kept = left.len() + number as usize % (more + 1);
                left.extend_from_slice(&written[left.len()..kept]);
            }
            Survives::Lengths => left.resize(written.len().max(left.len()), 0),
            _ => {}
        }
        fs::write(store.join(entry.file_name()), left).expect("a file");
    }
}

/// Loses power after the `number`-th operation. `false` if there are fewer operations.
async fn power_lost_after(number: u64) -> bool {
    let machine = Machine::new();
    let kinds = WRITE | SYNC | NAME;
    machine.arm(Fault { action: Action::KillAfter, kinds, first: number, last: number, value: 0 });
    let mut ledger = Ledger::default();
    if let Ok(server) = machine.try_start() {
        let _ = ledger.scenario(&server.address, 3).await;
    }
    if machine.tally().1 == 0 {
        return false;
    }
    for survives in SURVIVORS {
        let random = Entropy::danger_seeded(number);
        let after = Machine::new();
        rebuild(&machine, survives, &random, &after.store());
        let mut ledger = ledger.clone();
        let what = format!("operation {number}, what survives: {survives:?}");
        let server = after.try_start().unwrap_or_else(|(status, log)| {
            panic!("{what}: the store does not open, {status}:\n{log}")
        });
        ledger.verify(&server.address).await.unwrap_or_else(|why| panic!("{what}: {why:?}"));
        ledger.resume(&server.address).await.unwrap_or_else(|why| panic!("{what}: {why:?}"));
    }
    true
}

#[tokio::test]
async fn a_loss_of_power_at_some_operations_loses_nothing_acknowledged() {
    for number in [30, 45] {
        assert!(power_lost_after(number).await, "fewer operations than {number}");
    }
}

#[tokio::test]
#[ignore = "takes minutes; scripts/crash --faults runs it"]
async fn a_loss_of_power_at_every_operation_loses_nothing_acknowledged() {
    let mut number = 1;
    while power_lost_after(number).await {
        number += 1;
    }
    println!("{} losses of power, each left in {} ways: nothing lost", number - 1, SURVIVORS.len());
    assert!(number > 20, "the scenario has more operations than {number}");
}

/// The name of a new folder is also synced before anything in it is acknowledged.
#[tokio::test]
async fn a_new_folder_survives_a_loss_of_power() {
    let machine = Machine::watching_the_parent();
    machine.arm(Fault { action: Action::Fail, kinds: SYNC, first: 1, last: 1, value: 5 });
    let (status, log) = machine.try_start().expect_err("the parent's sync fails");
    assert!(!status.success() && log.contains("cannot be used"), "{status}:\n{log}");
}
