//! Records of the store: what is read is written as the same octets, and nothing is half read.

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

/// In the order of the first octet, which stands in the names of the corpus.
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
    let Some((kind, octets)) = data.split_first() else { return };
    CHECKS[usize::from(*kind) % CHECKS.len()](octets);
    // Most octets are no format that is known: the same behind one that is.
    CHECKS[usize::from(*kind) % CHECKS.len()](&[&[1], octets].concat());
});

fn check<R: Record>(octets: &[u8]) {
    let Ok(record) = decode::<R>(octets) else { return };
    assert_eq!(encode(&record), octets);
    let (format, body) = octets.split_first().expect("a record has a format");
    for other in [0, format + 1, 0xff] {
        let read = decode::<R>(&[&[other], body].concat()).err();
        assert_eq!(read, Some(RecordError::UnknownFormat(other)));
    }
    assert!(decode::<R>(&[octets, &[0]].concat()).is_err(), "octets after the end");
    for end in [octets.len() - 1, octets.len() / 2] {
        assert!(decode::<R>(&octets[..end]).is_err(), "a record without its end");
    }
}
