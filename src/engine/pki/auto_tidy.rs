//! `config/auto-tidy`: what is removed automatically, how long after its end, and how often.
//!
//! Fields, defaults and texts are Vault's (developer.hashicorp.com/vault/api-docs/secret/pki,
//! "Configure automatic tidy") with OpenBao's `revoked_safety_buffer`, `tidy_invalid_certs` and
//! `page_size`. These parameters have no effect here:
//! `tidy_revoked_cert_issuer_associations` (a revocation is stored under its issuer),
//! `tidy_move_legacy_ca_bundle` (Signet never wrote such a bundle), `tidy_invalid_certs` (reading
//! an invalid record is an error), `tidy_acme` and `acme_account_safety_buffer`
//! (ACME is not supported), `pause_duration` and `page_size` (whole ranges are removed),
//! `maintain_stored_certificate_counts` and `publish_stored_certificate_count_metrics` (stored certificates are
//! not counted).

use minicbor::{Decode, Encode};

use crate::ca::time::Timestamp;
use crate::engine::jobs::plan::TidyState;
use crate::engine::{Failure, retry_on_conflict};
use crate::go::duration;
use crate::store::id::MountId;
use crate::store::{Batch, Key, Record, Revision, Snapshot, key};

use super::Pki;

/// `config/auto-tidy`. Spans in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AutoTidyRecord {
    /// `enabled`
    #[n(0)]
    pub enabled: bool,
    /// `interval_duration`: from the end of a run to the next one.
    #[n(1)]
    pub interval_duration: i64,
    /// `min_startup_backoff_duration`
    #[n(2)]
    pub min_startup_backoff_duration: i64,
    /// `max_startup_backoff_duration`
    #[n(3)]
    pub max_startup_backoff_duration: i64,
    /// `tidy_cert_store`
    #[n(4)]
    pub tidy_cert_store: bool,
    /// `tidy_revoked_certs`
    #[n(5)]
    pub tidy_revoked_certs: bool,
    /// `tidy_revoked_cert_issuer_associations`; no effect.
    #[n(6)]
    pub tidy_revoked_cert_issuer_associations: bool,
    /// `tidy_expired_issuers`
    #[n(7)]
    pub tidy_expired_issuers: bool,
    /// `tidy_move_legacy_ca_bundle`; no effect.
    #[n(8)]
    pub tidy_move_legacy_ca_bundle: bool,
    /// `tidy_acme`; no effect.
    #[n(9)]
    pub tidy_acme: bool,
    /// `tidy_invalid_certs`; no effect.
    #[n(10)]
    pub tidy_invalid_certs: bool,
    /// `safety_buffer`: from the end of a certificate to its removal.
    #[n(11)]
    pub safety_buffer: i64,
    /// `revoked_safety_buffer`: the same for one that was revoked; `None` is the safety buffer.
    #[n(12)]
    pub revoked_safety_buffer: Option<i64>,
    /// `issuer_safety_buffer`: the same for an issuer.
    #[n(13)]
    pub issuer_safety_buffer: i64,
    /// `acme_account_safety_buffer`; no effect.
    #[n(14)]
    pub acme_account_safety_buffer: i64,
    /// `pause_duration`; no effect.
    #[n(15)]
    pub pause_duration: i64,
    /// `page_size`; no effect.
    #[n(16)]
    pub page_size: i64,
    /// `maintain_stored_certificate_counts`; no effect.
    #[n(17)]
    pub maintain_stored_certificate_counts: bool,
    /// `publish_stored_certificate_count_metrics`; no effect.
    #[n(18)]
    pub publish_stored_certificate_count_metrics: bool,
}

impl Record for AutoTidyRecord {}

/// Off, with Vault's defaults.
impl Default for AutoTidyRecord {
    fn default() -> Self {
        Self {
            enabled: false,
            interval_duration: 12 * HOUR,
            min_startup_backoff_duration: 300,
            max_startup_backoff_duration: 900,
            tidy_cert_store: false,
            tidy_revoked_certs: false,
            tidy_revoked_cert_issuer_associations: false,
            tidy_expired_issuers: false,
            tidy_move_legacy_ca_bundle: false,
            tidy_acme: false,
            tidy_invalid_certs: false,
            safety_buffer: 72 * HOUR,
            revoked_safety_buffer: None,
            issuer_safety_buffer: 8760 * HOUR,
            acme_account_safety_buffer: 720 * HOUR,
            pause_duration: 0,
            page_size: 1000,
            maintain_stored_certificate_counts: false,
            publish_stored_certificate_count_metrics: false,
        }
    }
}

const HOUR: i64 = 3600;

/// The smallest `page_size`.
const SMALLEST_PAGE: i64 = 5;

const W_NOTHING: &str = "Auto-tidy enabled but no tidy operations were requested. Enable at least one tidy operation to be run (tidy_cert_store / tidy_revoked_certs / tidy_invalid_certs / tidy_revoked_cert_issuer_associations / tidy_expired_issuers / tidy_move_legacy_ca_bundle / tidy_acme).";
const W_METRICS: &str = "Can not publish a running storage metrics count to metrics without first maintaining that count.  Enable `maintain_stored_certificate_counts` to enable `publish_stored_certificate_count_metrics`.";

/// A change of `config/auto-tidy`; `None` keeps the current value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoTidyChange {
    /// `enabled`
    pub enabled: Option<bool>,
    /// `interval_duration`
    pub interval_duration: Option<i64>,
    /// `min_startup_backoff_duration`
    pub min_startup_backoff_duration: Option<i64>,
    /// `max_startup_backoff_duration`
    pub max_startup_backoff_duration: Option<i64>,
    /// `tidy_cert_store`
    pub tidy_cert_store: Option<bool>,
    /// `tidy_revoked_certs`
    pub tidy_revoked_certs: Option<bool>,
    /// `tidy_revoked_cert_issuer_associations`
    pub tidy_revoked_cert_issuer_associations: Option<bool>,
    /// `tidy_expired_issuers`
    pub tidy_expired_issuers: Option<bool>,
    /// `tidy_move_legacy_ca_bundle`
    pub tidy_move_legacy_ca_bundle: Option<bool>,
    /// `tidy_acme`
    pub tidy_acme: Option<bool>,
    /// `tidy_invalid_certs`
    pub tidy_invalid_certs: Option<bool>,
    /// `safety_buffer`
    pub safety_buffer: Option<i64>,
    /// `revoked_safety_buffer`
    pub revoked_safety_buffer: Option<i64>,
    /// `issuer_safety_buffer`
    pub issuer_safety_buffer: Option<i64>,
    /// `acme_account_safety_buffer`
    pub acme_account_safety_buffer: Option<i64>,
    /// `pause_duration`
    pub pause_duration: Option<i64>,
    /// `page_size`
    pub page_size: Option<i64>,
    /// `maintain_stored_certificate_counts`
    pub maintain_stored_certificate_counts: Option<bool>,
    /// `publish_stored_certificate_count_metrics`
    pub publish_stored_certificate_count_metrics: Option<bool>,
}

/// `config/tidy`: the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct TidyRunRecord {
    /// When it ran, was put off or was enabled, seconds since the Unix epoch.
    #[n(0)]
    pub(super) at: i64,
    /// It was put off, because the time since the run before was not plausible.
    #[n(1)]
    pub(super) put_off: bool,
}

impl Record for TidyRunRecord {}

/// The stored configuration and last run of a mount's automatic tidy.
#[derive(Clone, Debug)]
pub(super) struct StoredTidy {
    pub(super) config: AutoTidyRecord,
    config_revision: Option<Revision>,
    run: Option<(Revision, TidyRunRecord)>,
}

impl AutoTidyRecord {
    /// `revoked_safety_buffer`, as answers show it.
    pub fn revoked_safety_buffer(&self) -> i64 {
        self.revoked_safety_buffer.unwrap_or(self.safety_buffer)
    }

    /// The record with a change, if the result is valid.
    fn changed(mut self, change: &AutoTidyChange) -> Result<Self, Failure> {
        change.check()?;
        for (flag, new) in [
            (&mut self.enabled, change.enabled),
            (&mut self.tidy_cert_store, change.tidy_cert_store),
            (&mut self.tidy_revoked_certs, change.tidy_revoked_certs),
            (
                &mut self.tidy_revoked_cert_issuer_associations,
                change.tidy_revoked_cert_issuer_associations,
            ),
            (&mut self.tidy_expired_issuers, change.tidy_expired_issuers),
            (&mut self.tidy_move_legacy_ca_bundle, change.tidy_move_legacy_ca_bundle),
            (&mut self.tidy_acme, change.tidy_acme),
            (&mut self.tidy_invalid_certs, change.tidy_invalid_certs),
            (
                &mut self.maintain_stored_certificate_counts,
                change.maintain_stored_certificate_counts,
            ),
            (
                &mut self.publish_stored_certificate_count_metrics,
                change.publish_stored_certificate_count_metrics,
            ),
        ] {
            *flag = new.unwrap_or(*flag);
        }
        for (number, new) in [
            (&mut self.interval_duration, change.interval_duration),
            (&mut self.min_startup_backoff_duration, change.min_startup_backoff_duration),
            (&mut self.max_startup_backoff_duration, change.max_startup_backoff_duration),
            (&mut self.safety_buffer, change.safety_buffer),
            (&mut self.issuer_safety_buffer, change.issuer_safety_buffer),
            (&mut self.acme_account_safety_buffer, change.acme_account_safety_buffer),
            (&mut self.pause_duration, change.pause_duration),
            (&mut self.page_size, change.page_size),
        ] {
            *number = new.unwrap_or(*number);
        }
        self.revoked_safety_buffer = change.revoked_safety_buffer.or(self.revoked_safety_buffer);
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), Failure> {
        let (min, max) = (self.min_startup_backoff_duration, self.max_startup_backoff_duration);
        if min > max {
            return Err(Failure::refused(format!(
                "max_startup_backoff_duration {} must be greater or equal to min_startup_backoff_duration {}",
                duration::format(max),
                duration::format(min)
            )));
        }
        let does_something = self.tidy_cert_store
            || self.tidy_revoked_certs
            || self.tidy_revoked_cert_issuer_associations
            || self.tidy_expired_issuers
            || self.tidy_move_legacy_ca_bundle
            || self.tidy_acme
            || self.tidy_invalid_certs;
        if self.enabled && !does_something {
            return Err(Failure::refused(W_NOTHING));
        }
        if self.publish_stored_certificate_count_metrics && !self.maintain_stored_certificate_counts
        {
            return Err(Failure::refused(W_METRICS));
        }
        Ok(())
    }
}

impl AutoTidyChange {
    fn check(&self) -> Result<(), Failure> {
        let below = |value: Option<i64>, least: i64| value.filter(|value| *value < least);
        let text = if let Some(value) = below(self.interval_duration, 0) {
            format!(
                "given interval_duration must be greater than or equal to zero seconds; got: {value}"
            )
        } else if let Some(value) = below(self.safety_buffer, 1) {
            format!("given safety_buffer must be at least one second; got: {value}")
        } else if let Some(value) = below(self.revoked_safety_buffer, 1) {
            format!("revoked_safety_buffer must be at least one second; got: {value}")
        } else if below(self.pause_duration, 0).is_some() {
            "received invalid, negative pause_duration".to_owned()
        } else if below(self.page_size, SMALLEST_PAGE).is_some() {
            "page_size must be at least 5".to_owned()
        } else if let Some(value) = below(self.issuer_safety_buffer, 1) {
            format!("given safety_buffer must be at least one second; got: {value}")
        } else if let Some(value) = below(self.acme_account_safety_buffer, 1) {
            format!("given acme_account_safety_buffer must be at least one second; got: {value}")
        } else if let Some(value) = below(self.min_startup_backoff_duration, 0) {
            format!(
                "min_startup_backoff_duration must be greater than or equal to zero seconds; got: {value}"
            )
        } else if let Some(value) = below(self.max_startup_backoff_duration, 0) {
            format!(
                "max_startup_backoff_duration must be greater than or equal to zero seconds; got: {value}"
            )
        } else {
            return Ok(());
        };
        Err(Failure::refused(text))
    }
}

impl StoredTidy {
    /// Its state for a plan, if it is enabled.
    pub(super) fn state(&self, mount: &MountId) -> Option<TidyState> {
        let config = &self.config;
        let buffers = [
            Some(config.safety_buffer),
            config.tidy_revoked_certs.then(|| config.revoked_safety_buffer()),
            config.tidy_expired_issuers.then_some(config.issuer_safety_buffer),
        ];
        let (min, max) = (config.min_startup_backoff_duration, config.max_startup_backoff_duration);
        // Each mount has its own delay between the two, so that they do not all start at once.
        let spread = max.saturating_sub(min).saturating_add(1).max(1);
        let [first, second, ..] = mount.as_bytes();
        let offset = i64::from(u16::from_be_bytes([*first, *second])) % spread;
        config.enabled.then(|| TidyState {
            interval: config.interval_duration,
            buffer: buffers.into_iter().flatten().min().unwrap_or_default(),
            startup_backoff: min.saturating_add(offset),
            last: self.run.map(|(_, run)| run.at),
            put_off: self.run.is_some_and(|(_, run)| run.put_off),
        })
    }

    /// Adds the record of a run to the batch with the effect of the run.
    pub(super) fn put_run(&self, mount: &MountId, batch: Batch, run: TidyRunRecord) -> Batch {
        let key = run_key(mount);
        let revision = self.run.map(|(revision, _)| revision);
        batch.expect_unchanged(key.clone(), revision).put_record(key, &run)
    }
}

fn config_key(mount: &MountId) -> Key {
    key::config(mount, "auto-tidy")
}

fn run_key(mount: &MountId) -> Key {
    key::config(mount, "tidy")
}

impl Pki {
    /// `config/auto-tidy`, with defaults for what was not written.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn read_auto_tidy(&self) -> Result<AutoTidyRecord, Failure> {
        let snapshot = self.env().store.snapshot().await?;
        Ok(self.stored_tidy(&snapshot).await?.config)
    }

    /// Changes `config/auto-tidy`. Enabling it counts as a run: the first one comes an interval later.
    ///
    /// # Errors
    /// Refuses values out of range, and enabling it without an operation.
    pub async fn write_auto_tidy(
        &self,
        change: &AutoTidyChange,
        now: Timestamp,
    ) -> Result<AutoTidyRecord, Failure> {
        let record = retry_on_conflict!(async {
            let snapshot = self.env().store.snapshot().await?;
            let stored = self.stored_tidy(&snapshot).await?;
            let was_enabled = stored.config.enabled;
            let record = stored.config.clone().changed(change)?;
            let key = config_key(self.id());
            let mut batch = Batch::new()
                .expect_unchanged(key.clone(), stored.config_revision)
                .put_record(key, &record);
            if record.enabled && !was_enabled {
                let run = TidyRunRecord { at: now.unix(), put_off: false };
                batch = stored.put_run(self.id(), batch, run);
            }
            self.env().store.commit(batch).await?;
            Ok(record)
        })?;
        self.services.jobs.wake();
        Ok(record)
    }

    pub(super) async fn stored_tidy(&self, snapshot: &Snapshot) -> Result<StoredTidy, Failure> {
        let config = snapshot.record::<AutoTidyRecord>(&config_key(self.id())).await?;
        let run = snapshot.record::<TidyRunRecord>(&run_key(self.id())).await?;
        let (config_revision, config) = config.unzip();
        Ok(StoredTidy { config: config.unwrap_or_default(), config_revision, run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: &AutoTidyChange) -> String {
        AutoTidyRecord::default().changed(change).unwrap_err().to_string()
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let first = AutoTidyChange {
            enabled: Some(true),
            tidy_cert_store: Some(true),
            safety_buffer: Some(60),
            ..AutoTidyChange::default()
        };
        let record = AutoTidyRecord::default().changed(&first).unwrap();
        assert_eq!(record.revoked_safety_buffer(), 60);
        let second = AutoTidyChange {
            interval_duration: Some(0),
            revoked_safety_buffer: Some(7),
            ..AutoTidyChange::default()
        };
        let expected = AutoTidyRecord {
            interval_duration: 0,
            revoked_safety_buffer: Some(7),
            ..record.clone()
        };
        assert_eq!(record.changed(&second), Ok(expected));
    }

    #[test]
    fn what_is_out_of_range_or_does_nothing_is_refused() {
        let change = AutoTidyChange::default;
        assert!(
            refusal(&AutoTidyChange { enabled: Some(true), ..change() })
                .starts_with("Auto-tidy enabled but no tidy operations were requested.")
        );
        for (change, text) in [
            (
                AutoTidyChange { safety_buffer: Some(0), ..change() },
                "given safety_buffer must be at least one second; got: 0",
            ),
            (
                AutoTidyChange { interval_duration: Some(-1), ..change() },
                "given interval_duration must be greater than or equal to zero seconds; got: -1",
            ),
            (
                AutoTidyChange { max_startup_backoff_duration: Some(1), ..change() },
                "max_startup_backoff_duration 1s must be greater or equal to min_startup_backoff_duration 5m0s",
            ),
            (AutoTidyChange { page_size: Some(4), ..change() }, "page_size must be at least 5"),
            (
                AutoTidyChange { publish_stored_certificate_count_metrics: Some(true), ..change() },
                W_METRICS,
            ),
        ] {
            assert_eq!(refusal(&change), text);
        }
    }

    #[test]
    fn the_start_of_each_mount_lies_between_the_two_backoffs() {
        let config = AutoTidyRecord { enabled: true, ..AutoTidyRecord::default() };
        let stored = StoredTidy { config, config_revision: None, run: None };
        for mount in [[0; 16], [0xff; 16], [2; 16]].map(MountId::new) {
            let backoff = stored.state(&mount).unwrap().startup_backoff;
            assert!((300..=900).contains(&backoff), "{backoff}");
        }
        let off = StoredTidy { config: AutoTidyRecord::default(), ..stored };
        assert_eq!(off.state(&MountId::new([0; 16])), None);
    }
}
