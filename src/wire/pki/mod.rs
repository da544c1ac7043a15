//! Answers of the PKI engine.

mod authority;
mod auto_tidy;
mod certificate;
mod issuer;
mod key;
mod settings;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use authority::{ExportedKey, ImportAnswer, RequestAnswer, RootAnswer, SignedAnswer};
pub use auto_tidy::AutoTidyConfig;
pub use certificate::{
    CertificateAnswer, CrlAnswer, PublicIssuerAnswer, RevokedAnswer, RotatedAnswer,
};
pub use issuer::{IssuerAnswer, IssuerInfo, IssuerList};
pub use key::{KeyAnswer, KeyInfo, KeyList};
pub use settings::{ClusterConfig, IssuersConfig, KeysConfig, UrlsConfig};

/// A list of identifiers with a summary of each.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct List<Info> {
    /// The identifiers, in ascending order.
    pub keys: Vec<String>,
    /// The summaries, by identifier.
    pub key_info: BTreeMap<String, Info>,
}
