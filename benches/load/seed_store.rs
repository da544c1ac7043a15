//! A store with many certificates, without issuing them: records are written through the store's
//! own interface, under the seal key that the server will use.
//!
//! Each record is a certificate that the server issued, with another serial number in it. Its
//! signature is then invalid, which no reader of the store checks; its length is right. The store
//! encrypts its records, so that copies of one certificate compress no better than different ones.

use std::path::Path;
use std::time::{Duration, Instant};

use signet::ca::serial::Serial;
use signet::ca::time::Timestamp;
use signet::clock::Clock;
use signet::engine::pki::records::{CertificateRecord, RevocationRecord};
use signet::entropy::{Entropy, Purpose};
use signet::secret::Secret;
use signet::store::id::MountId;
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Batch, Rocks, Sealed, Store, key};
use tokio::task::JoinSet;

use crate::process::SEAL_KEY;

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    pub certificates: u64,
    /// Also write a revocation of each.
    pub revoked: bool,
}

/// What was written.
pub struct Seeded {
    pub took: Duration,
    /// The serial numbers of a few, in their text form.
    pub some: Vec<String>,
}

/// Records of one batch.
const BATCH: u64 = 1_000;

/// Batches that are committed at the same time.
const CONCURRENT: usize = 4;

/// Seconds over which the certificates expire, as if they had been issued evenly during a day.
const SPREAD: u64 = 24 * 3600;

struct Writer {
    store: Store,
    mount: MountId,
    template: CertificateRecord,
    /// Where the serial number begins in the template.
    serial_at: usize,
    end: Timestamp,
}

/// Writes to the store in `folder`, which no server may have open. It holds one certificate, under
/// the serial number `known`.
pub async fn seed_store(folder: &Path, known: &str, seed: Seed) -> Seeded {
    let start = Instant::now();
    let rocks = Rocks::open(folder, |why| panic!("{why}")).expect("the store opens");
    let sealed = Sealed::new(rocks.clone(), seal(), Entropy::System);
    sealed.unseal().await.expect("the store unseals");
    let writer = Writer::new(Store::from(sealed), known).await;
    let mut writing = JoinSet::new();
    let mut some = Vec::new();
    let mut written = 0;
    while written < seed.certificates {
        let count = BATCH.min(seed.certificates - written);
        let (batch, serial) = writer.batch(written..written + count, seed);
        some.push(serial.to_string());
        let store = writer.store.clone();
        writing.spawn(async move { store.commit(batch).await.expect("the batch is written") });
        if writing.len() == CONCURRENT {
            writing.join_next().await;
        }
        written += count;
    }
    writing.join_all().await;
    tokio::task::spawn_blocking(move || rocks.flush()).await.expect("a flush").expect("a disk");
    Seeded { took: start.elapsed(), some }
}

impl Writer {
    async fn new(store: Store, known: &str) -> Self {
        let serial = signet::ca::serial::parse(known).expect("a serial number");
        let serial = Serial::from_bytes(&serial).expect("a serial number of ours");
        let snapshot = store.snapshot().await.expect("the store can be read");
        let mounts = snapshot.keys(&key::mounts().range(), 16).await.expect("the mounts");
        let mounts = mounts.iter().filter_map(|it| key::mounts().rest(it)?.try_into().ok());
        for mount in mounts.collect::<Vec<MountId>>() {
            let certificate = key::certificate(&mount, serial.as_bytes());
            let found = snapshot.record::<CertificateRecord>(&certificate).await.expect("a record");
            if let Some((_, template)) = found {
                drop(snapshot);
                let bytes = serial.as_bytes();
                let serial_at = template.der.windows(bytes.len()).position(|part| part == bytes);
                let serial_at = serial_at.expect("a certificate holds its serial number");
                return Self { store, mount, template, serial_at, end: Clock::System.now() };
            }
        }
        panic!("the certificate {known} is not stored");
    }

    /// A batch of records, and the serial number of one of them.
    fn batch(&self, numbers: std::ops::Range<u64>, seed: Seed) -> (Batch, Serial) {
        let mut batch = Batch::new();
        let mut last = Serial::new(self.end, [0; 16]);
        for number in numbers {
            let seconds = 3600 + number * SPREAD / seed.certificates;
            let end = self.end.plus(i64::try_from(seconds).unwrap_or(i64::MAX));
            last = Serial::new(end, Entropy::System.bytes(Purpose::Serial));
            let mut record = self.template.clone();
            let length = last.as_bytes().len();
            record.der[self.serial_at..self.serial_at + length].copy_from_slice(last.as_bytes());
            batch = batch.put_record(key::certificate(&self.mount, last.as_bytes()), &record);
            if seed.revoked {
                let revocation = key::revoked(&self.mount, &record.issuer, last.as_bytes());
                let revoked = RevocationRecord {
                    seconds: self.end.unix(),
                    nanoseconds: 0,
                    not_after: end.unix(),
                };
                batch = batch.put_record(revocation, &revoked);
            }
        }
        (batch, last)
    }
}

fn seal() -> Seal {
    let bytes = data_encoding::HEXLOWER.decode(SEAL_KEY.as_bytes()).expect("hexadecimal");
    let key: [u8; 32] = bytes.try_into().expect("32 bytes");
    Seal::Static {
        current: StaticKey { id: "1".to_owned(), key: Secret::boxed(&key) },
        previous: None,
    }
}
