//! `config/auto-tidy`.

use std::sync::Arc;

use crate::backend::call::Call;
use crate::backend::call::{Seconds, params};
use crate::backend::response::Response;
use crate::engine::Failure;
use crate::engine::pki::Pki;
use crate::engine::pki::auto_tidy::{AutoTidyChange, AutoTidyRecord};
use crate::go::duration::{self, DurationError};
use crate::wire::pki::AutoTidyConfig;

params! {
    /// What tidy removes automatically, how long after expiry, and how often.
    pub(super) struct AutoTidy {
        /// Runs tidy automatically.
        enabled: Option<bool>,
        /// Time from the end of a run to the next one.
        interval_duration: Option<Seconds>,
        /// Shortest time from the start of the server to its first run.
        min_startup_backoff_duration: Option<Seconds>,
        /// Longest time from the start of the server to its first run.
        max_startup_backoff_duration: Option<Seconds>,
        /// Removes certificates that have expired.
        tidy_cert_store: Option<bool>,
        /// Removes revocations of certificates that have expired, and those certificates.
        tidy_revoked_certs: Option<bool>,
        /// Stored and returned; it has no effect.
        tidy_revoked_cert_issuer_associations: Option<bool>,
        /// Deletes issuers that have expired, except the default one; keys are kept.
        tidy_expired_issuers: Option<bool>,
        /// Stored and returned; it has no effect.
        tidy_move_legacy_ca_bundle: Option<bool>,
        /// Stored and returned; it has no effect.
        tidy_acme: Option<bool>,
        /// Stored and returned; it has no effect.
        tidy_invalid_certs: Option<bool>,
        /// Time from the expiry of a certificate to its removal.
        safety_buffer: Option<Seconds>,
        /// Time from the expiry of a revoked certificate to its removal; without it, safety_buffer applies.
        revoked_safety_buffer: Option<Seconds>,
        /// Time from the expiry of an issuer to its deletion.
        issuer_safety_buffer: Option<Seconds>,
        /// Stored and returned; it has no effect.
        acme_account_safety_buffer: Option<Seconds>,
        /// Stored and returned; it has no effect.
        pause_duration: Option<String>,
        /// Stored and returned; it has no effect.
        page_size: Option<i64>,
        /// Stored and returned; it has no effect.
        maintain_stored_certificate_counts: Option<bool>,
        /// Stored and returned; it has no effect.
        publish_stored_certificate_count_metrics: Option<bool>,
    }
}

/// # Errors
/// Refuses a `pause_duration` that is not a duration.
fn change(sent: &AutoTidy) -> Result<AutoTidyChange, Failure> {
    let seconds = |sent: Option<Seconds>| sent.map(|Seconds(seconds)| seconds);
    Ok(AutoTidyChange {
        enabled: sent.enabled,
        interval_duration: seconds(sent.interval_duration),
        min_startup_backoff_duration: seconds(sent.min_startup_backoff_duration),
        max_startup_backoff_duration: seconds(sent.max_startup_backoff_duration),
        tidy_cert_store: sent.tidy_cert_store,
        tidy_revoked_certs: sent.tidy_revoked_certs,
        tidy_revoked_cert_issuer_associations: sent.tidy_revoked_cert_issuer_associations,
        tidy_expired_issuers: sent.tidy_expired_issuers,
        tidy_move_legacy_ca_bundle: sent.tidy_move_legacy_ca_bundle,
        tidy_acme: sent.tidy_acme,
        tidy_invalid_certs: sent.tidy_invalid_certs,
        safety_buffer: seconds(sent.safety_buffer),
        revoked_safety_buffer: seconds(sent.revoked_safety_buffer),
        issuer_safety_buffer: seconds(sent.issuer_safety_buffer),
        acme_account_safety_buffer: seconds(sent.acme_account_safety_buffer),
        pause_duration: sent.pause_duration.as_deref().map(pause).transpose()?,
        page_size: sent.page_size,
        maintain_stored_certificate_counts: sent.maintain_stored_certificate_counts,
        publish_stored_certificate_count_metrics: sent.publish_stored_certificate_count_metrics,
    })
}

/// The seconds of a `pause_duration`. Unlike other durations it is a text for Vault, which reads an
/// empty one as zero and refuses a negative one with a text of its own.
fn pause(text: &str) -> Result<i64, Failure> {
    if text.is_empty() {
        return Ok(0);
    }
    let span = duration::parse(text)
        .and_then(|span| {
            if span.fits_go() { Ok(span) } else { Err(DurationError::Invalid(text.to_owned())) }
        })
        .map_err(|why| Failure::refused(format!("unable to parse given pause_duration: {why}")))?;
    Ok(span.whole_seconds())
}

fn config(record: &AutoTidyRecord) -> AutoTidyConfig {
    AutoTidyConfig {
        acme_account_safety_buffer: record.acme_account_safety_buffer,
        enabled: record.enabled,
        interval_duration: record.interval_duration,
        issuer_safety_buffer: record.issuer_safety_buffer,
        maintain_stored_certificate_counts: record.maintain_stored_certificate_counts,
        max_startup_backoff_duration: record.max_startup_backoff_duration,
        min_startup_backoff_duration: record.min_startup_backoff_duration,
        page_size: record.page_size,
        pause_duration: duration::format(record.pause_duration),
        publish_stored_certificate_count_metrics: record.publish_stored_certificate_count_metrics,
        revoked_safety_buffer: record.revoked_safety_buffer(),
        safety_buffer: record.safety_buffer,
        tidy_acme: record.tidy_acme,
        tidy_cert_store: record.tidy_cert_store,
        tidy_expired_issuers: record.tidy_expired_issuers,
        tidy_invalid_certs: record.tidy_invalid_certs,
        tidy_move_legacy_ca_bundle: record.tidy_move_legacy_ca_bundle,
        tidy_revoked_cert_issuer_associations: record.tidy_revoked_cert_issuer_associations,
        tidy_revoked_certs: record.tidy_revoked_certs,
    }
}

pub(super) async fn read(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Ok(Response::data(config(&pki.read_auto_tidy().await?)))
}

pub(super) async fn write(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let change = change(&call.read())?;
    let record = pki.write_auto_tidy(&change, call.now).await?;
    Ok(Response::data(config(&record)).warned(call.warnings()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_duration_of_go_or_a_number_of_seconds() {
        for (text, seconds) in [("", 0), ("0s", 0), ("4m2s", 242), ("5", 5), ("1d", 86_400)] {
            assert_eq!(pause(text), Ok(seconds), "{text}");
        }
        for text in ["x", "9223372037"] {
            let expected =
                format!("unable to parse given pause_duration: time: invalid duration \"{text}\"");
            assert_eq!(pause(text), Err(Failure::refused(expected)));
        }
    }
}
