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
