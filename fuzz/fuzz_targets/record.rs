//! Records of the store: a record that is read is written as the same bytes, and is never read
//! partially.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::auth::TokenRecord;
use signet::ca::role::RoleFields;
use signet::engine::mount::MountRecord;
use signet::engine::pki::records::{
    CertificateRecord, ClusterRecord, CrlRecord, DefaultsRecord, IntentRecord, IssuerRecord,
    KeyRecord, RevocationRecord, UrlsRecord,
};
use signet::engine::sys::Cluster;
use signet::store::Record;
use signet::store::record::{RecordError, decode, encode};

/// Indexed by the first byte, which the file names of the corpus contain.
const CHECKS: [fn(&[u8]); 13] = [
    check::<RoleFields>,
    check::<IssuerRecord>,
    check::<KeyRecord>,
    check::<UrlsRecord>,
    check::<DefaultsRecord>,
    check::<ClusterRecord>,
    check::<CertificateRecord>,
    check::<RevocationRecord>,
    check::<CrlRecord>,
    check::<IntentRecord>,
    check::<MountRecord>,
    check::<TokenRecord>,
    check::<Cluster>,
];

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    CHECKS[usize::from(*kind) % CHECKS.len()](bytes);
    // Most first bytes are not a known format, so the rest is also read after a known one.
    CHECKS[usize::from(*kind) % CHECKS.len()](&[&[1], bytes].concat());
});

fn check<R: Record>(bytes: &[u8]) {
    let Ok(record) = decode::<R>(bytes) else { return };
    assert_eq!(encode(&record), bytes);
    let (format, body) = bytes.split_first().expect("a record has a format");
    for other in [0, format + 1, 0xff] {
        let read = decode::<R>(&[&[other], body].concat()).err();
        assert_eq!(read, Some(RecordError::UnknownFormat(other)));
    }
    assert!(decode::<R>(&[bytes, &[0]].concat()).is_err(), "bytes after the end");
    for end in [bytes.len() - 1, bytes.len() / 2] {
        assert!(decode::<R>(&bytes[..end]).is_err(), "a record without its end");
    }
}
