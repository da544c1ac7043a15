//! The set of an earlier run, judged before a new one is asked for: `-if-expiring`.

use super::fraction::Fraction;
use super::options::{FileFormat, IssueOptions};
use super::summary::IssueSummary;
use crate::ca::certificate::{Certificate, not_after};
use crate::ca::serial::colon_hex;
use crate::ca::time::Timestamp;
use crate::cli::file_set::CurrentSet;
use crate::cli::keystore::{jks, pkcs12};
use crate::cli::svid;

/// What the folder holds, if it is what the line asks for and more than the fraction of its life
/// remains. No server is asked.
pub(super) fn still_good(
    options: &IssueOptions,
    fraction: Fraction,
    now: Timestamp,
) -> Option<IssueSummary> {
    let set = CurrentSet::read(&options.folder, options.access)?;
    let request: serde_json::Value = serde_json::from_slice(&set.request).ok()?;
    if request != options.request() {
        return None;
    }
    let chain = chain(options, &set)?;
    let leaf = Certificate::parse(chain.first()?.as_slice()).ok()?;
    match leaf.names().uri.as_slice() {
        [one] if *one == options.identity => {}
        _ => return None,
    }
    // An issuer may expire before its leaf: the chain is of no use from then on.
    let ends = chain.iter().map(|der| not_after(der)).collect::<Result<Vec<_>, _>>().ok()?;
    let end = ends.into_iter().min()?;
    fraction.remains(leaf.not_before(), end, now).then(|| IssueSummary {
        issued: false,
        serial_number: Some(colon_hex(leaf.serial())),
        issuer: svid::name(leaf.issuer()),
        not_before: Some(leaf.not_before()),
        not_after: Some(leaf.not_after()),
        files: set.files.iter().map(|(name, _)| *name).collect(),
        command_pending: set.command_pending,
        ..IssueSummary::default()
    })
}

/// The certificates from the leaf on, where the files are all there and open.
fn chain(options: &IssueOptions, set: &CurrentSet) -> Option<Vec<Vec<u8>>> {
    let opened = match options.format {
        FileFormat::Pem => {
            set.file("bundle.pem")?;
            return svid::stored_chain(set.file("svid.pem")?, set.file("key.pem")?).ok();
        }
        FileFormat::Pkcs12 => {
            set.file("truststore.p12")?;
            pkcs12::open(set.file("keystore.p12")?, &options.store_password())
        }
        FileFormat::Jks => {
            set.file("truststore.jks").or_else(|| set.file("truststore.p12"))?;
            jks::open(set.file("keystore.jks")?, &options.store_password())
        }
    };
    opened.ok()?.keys.into_iter().next().map(|entry| entry.chain)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};
    use serde_json::Map;
    use zeroize::Zeroizing;

    use super::*;
    use crate::cli::file_set::{self, FileAccess, NewSet};

    const IDENTITY: &str = "spiffe://example.com/web";

    fn options(folder: &Path) -> IssueOptions {
        IssueOptions {
            identity: IDENTITY.to_owned(),
            mount: "pki".to_owned(),
            role: "spiffe".to_owned(),
            format: FileFormat::Pem,
            folder: folder.to_owned(),
            force: false,
            password: None,
            parameters: Map::from_iter([("uri_sans".to_owned(), IDENTITY.into())]),
            access: FileAccess::default(),
            if_expiring: None,
            command: None,
            json: false,
        }
    }

    /// A set with a certificate of ten days from 2026-11-01 on.
    fn write(folder: &Path, identity: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "web");
        params.subject_alt_names = vec![SanType::URI(identity.try_into().unwrap())];
        params.not_before = date_time_ymd(2026, 11, 1);
        params.not_after = date_time_ymd(2026, 11, 11);
        let certificate = params.self_signed(&key).unwrap();
        let pem = |label, der: &[u8]| {
            let text = der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap();
            Zeroizing::new(text.into_bytes())
        };
        let files = vec![
            ("svid.pem", pem("CERTIFICATE", certificate.der())),
            ("key.pem", pem("PRIVATE KEY", &key.serialize_der())),
            ("bundle.pem", pem("CERTIFICATE", certificate.der())),
        ];
        let request = options(folder).request().to_string().into_bytes();
        file_set::replace(folder, &NewSet { files, request, ..NewSet::default() }).unwrap();
    }

    fn good(options: &IssueOptions, day: i64) -> bool {
        let start = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap();
        let fraction = Fraction::parse("1/2").unwrap();
        still_good(options, fraction, start.plus(day * 86_400)).is_some()
    }

    #[test]
    fn a_set_is_good_until_no_more_than_the_fraction_of_its_life_remains() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), IDENTITY);
        let days =
            [(-1, true), (0, true), (4, true), (5, false), (9, false), (11, false), (400, false)];
        for (day, expected) in days {
            assert_eq!(good(&options(folder.path()), day), expected, "day {day}");
        }
    }

    #[test]
    fn another_request_makes_a_set_that_is_not_good() {
        type Change = fn(&mut IssueOptions);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), IDENTITY);
        let changes: [(&str, Change, bool); 7] = [
            ("role", |options| options.role = "other".to_owned(), false),
            ("mount", |options| options.mount = "other".to_owned(), false),
            ("format", |options| options.format = FileFormat::Pkcs12, false),
            ("identity", |options| options.identity = "spiffe://example.com/api".to_owned(), false),
            (
                "parameters",
                |options| drop(options.parameters.insert("ttl".into(), "1h".into())),
                false,
            ),
            (
                "mode",
                |options| options.access = FileAccess::read(Some("0640"), None).unwrap(),
                false,
            ),
            ("command", |options| options.command = Some("true".to_owned()), true),
        ];
        for (name, change, expected) in changes {
            let mut options = options(folder.path());
            change(&mut options);
            assert_eq!(good(&options, 1), expected, "{name}");
        }
    }

    #[test]
    fn a_set_of_another_identity_is_not_good_whatever_its_request_says() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!good(&options(folder.path()), 1), "an empty folder");
        write(folder.path(), "spiffe://example.com/other");
        assert!(!good(&options(folder.path()), 1));
    }

    #[test]
    fn no_password_is_kept_with_the_request() {
        let mut options = options(Path::new("out"));
        options.parameters.insert("pkcs12_password".to_owned(), "correct horse".into());
        options.parameters.insert("jks_password".to_owned(), "correct horse".into());
        let request = options.request().to_string();
        assert!(!request.contains("correct") && request.contains("uri_sans"), "{request}");
    }
}
