//! A store with many certificates, without issuing them: records are written through the store's
//! own interface, under the seal key that the server will use.
//!
//! Each record is a certificate that the server issued, with another serial number in it. Its
//! signature is then wrong, which nothing that reads a store looks at; its length is right, and
//! the store encrypts, so that nothing can be compressed that could not be in use.

use std::path::Path;
use std::time::{Duration, Instant};

use signet::ca::serial::Serial;
use signet::ca::time::Timestamp;
use signet::clock::Clock;
use signet::engine::pki::records::{CertificateRecord, Id, RevocationRecord};
use signet::entropy::{Entropy, Purpose};
use signet::secret::Secret;
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Batch, Rocks, Sealed, Store, key};
use tokio::task::JoinSet;

use crate::process::SEAL_KEY;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub certificates: u64,
    /// Is each of them revoked, too?
    pub revoked: bool,
}

/// What was written.
pub struct Filled {
    pub took: Duration,
    /// The serial numbers of a few, in their text form.
    pub some: Vec<String>,
}

/// Records of one batch, and batches on their way to the committer at once.
const BATCH: u64 = 1_000;
const AT_ONCE: usize = 4;

/// Over how long the certificates end: as if they had been issued evenly during a day.
const SPREAD: u64 = 24 * 3600;

struct Filler {
    store: Store,
    mount: Id,
    template: CertificateRecord,
    /// Where the serial number lies in the template.
    place: usize,
    end: Timestamp,
}

/// Fills the store in `folder`, which no server may have open. It holds one certificate, under
/// the serial number `known`.
pub async fn fill(folder: &Path, known: &str, wish: Wish) -> Filled {
    let start = Instant::now();
    let rocks = Rocks::open(folder, |why| panic!("{why}")).expect("the store opens");
    let sealed = Sealed::new(rocks.clone(), seal(), Entropy::System);
    sealed.unseal().await.expect("the store unseals");
    let filler = Filler::new(Store::from(sealed), known).await;
    let mut writing = JoinSet::new();
    let mut some = Vec::new();
    let mut written = 0;
    while written < wish.certificates {
        let count = BATCH.min(wish.certificates - written);
        let (batch, serial) = filler.batch(written..written + count, wish);
        some.push(serial.to_string());
        let store = filler.store.clone();
        writing.spawn(async move { store.commit(batch).await.expect("the batch is written") });
        if writing.len() == AT_ONCE {
            writing.join_next().await;
        }
        written += count;
    }
    writing.join_all().await;
    tokio::task::spawn_blocking(move || rocks.flush()).await.expect("a flush").expect("a disk");
    Filled { took: start.elapsed(), some }
}

impl Filler {
    async fn new(store: Store, known: &str) -> Self {
        let serial = signet::ca::serial::parse(known).expect("a serial number");
        let serial = Serial::from_bytes(&serial).expect("a serial number of ours");
        let snapshot = store.snapshot().await.expect("the store can be read");
        let mounts = snapshot.keys(&key::mounts().range(), 16).await.expect("the mounts");
        let mounts = mounts.iter().filter_map(|it| key::mounts().rest(it)?.try_into().ok());
        for mount in mounts.collect::<Vec<Id>>() {
            let place = key::certificate(&mount, serial.as_bytes());
            let found = snapshot.record::<CertificateRecord>(&place).await.expect("a record");
            if let Some((_, template)) = found {
                drop(snapshot);
                let octets = serial.as_bytes();
                let place = template.der.windows(octets.len()).position(|part| part == octets);
                let place = place.expect("a certificate holds its serial number");
                return Self { store, mount, template, place, end: Clock::System.now() };
            }
        }
        panic!("the certificate {known} is not stored");
    }

    /// A batch of records, and the serial number of one of them.
    fn batch(&self, numbers: std::ops::Range<u64>, wish: Wish) -> (Batch, Serial) {
        let mut batch = Batch::new();
        let mut last = Serial::new(self.end, [0; 16]);
        for number in numbers {
            let seconds = 3600 + number * SPREAD / wish.certificates;
            let end = self.end.plus(i64::try_from(seconds).unwrap_or(i64::MAX));
            last = Serial::new(end, Entropy::System.bytes(Purpose::Serial));
            let mut record = self.template.clone();
            let length = last.as_bytes().len();
            record.der[self.place..self.place + length].copy_from_slice(last.as_bytes());
            batch = batch.put_record(key::certificate(&self.mount, last.as_bytes()), &record);
            if wish.revoked {
                let place = key::revoked(&self.mount, &record.issuer, last.as_bytes());
                let revoked = RevocationRecord {
                    seconds: self.end.unix(),
                    nanoseconds: 0,
                    not_after: end.unix(),
                };
                batch = batch.put_record(place, &revoked);
            }
        }
        (batch, last)
    }
}

fn seal() -> Seal {
    let bytes = data_encoding::HEXLOWER.decode(SEAL_KEY.as_bytes()).expect("hexadecimal");
    let key: [u8; 32] = bytes.try_into().expect("32 octets");
    Seal::Static {
        current: StaticKey { id: "1".to_owned(), key: Secret::apart(&key) },
        previous: None,
    }
}
