//! How fast the embedded store commits, and how much memory it takes.
//!
//! `cargo test --release --test store_speed -- --ignored --nocapture`; `TMPDIR` names a folder on
//! the disk to measure, `SIGNET_RECORDS` is the number of records (100,000 by default).

use std::fs;
use std::path::Path;
use std::time::Instant;

use signet::entropy::{Entropy, Purpose};
use signet::store::id::MountId;
use signet::store::key;
use signet::store::sealed::Seal;
use signet::store::{Batch, Rocks, Sealed, Store};

const MOUNT: &MountId = &MountId::new([7; 16]);
const CALLERS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement reads clock and environment")]
async fn measures_commits_of_64_callers() {
    let records: usize = std::env::var("SIGNET_RECORDS").map_or(100_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    println!("at the start: {}", memory());
    let start = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move {
            for _ in 0..records / CALLERS {
                let mut serial: [u8; 20] = Entropy::System.bytes(Purpose::Serial);
                serial[..4].copy_from_slice(&0x01c0_0000_u32.to_be_bytes());
                let key = key::certificate(MOUNT, &serial);
                let batch = Batch::new().expect_absent(key.clone()).put(key, vec![0x5a; 700]);
                store.commit(batch).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    println!("{records} sealed commits of 700 bytes: {:.0}/s", records as f64 / seconds);
    println!("afterwards: {}", memory());
    let start = Instant::now();
    let snapshot = store.snapshot().await.unwrap();
    let mut range = key::certificates(MOUNT).range();
    let mut listed = 0;
    loop {
        let page = snapshot.keys(&range, 10_000).await.unwrap();
        let Some(last) = page.last() else { break };
        listed += page.len();
        range = range.after(last);
    }
    println!("{listed} keys listed in {:.2} s; {}", start.elapsed().as_secs_f64(), memory());
    drop((snapshot, store));
    let start = Instant::now();
    drop(Rocks::open(folder.path(), |_: &str| {}).unwrap());
    println!("opened again in {:.2} s", start.elapsed().as_secs_f64());
}

#[expect(clippy::unwrap_used, clippy::panic, reason = "a measurement may end badly")]
async fn open(folder: &Path) -> Store {
    let rocks = Rocks::open(folder, |reason: &str| panic!("{reason}")).unwrap();
    let sealed = Sealed::new(rocks, Seal::ephemeral(&Entropy::System), Entropy::System);
    sealed.initialize(|_| Batch::new()).await.unwrap();
    sealed.unseal().await.unwrap();
    sealed.into()
}

/// Current and peak resident memory, as the system reports them.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines =
        status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}
