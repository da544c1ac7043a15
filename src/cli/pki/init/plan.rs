//! The steps of `signet pki init` as data: what a step does, and the words of its command.
//!
//! The same words are printed for a person to paste and run by the command itself, so that both
//! have the same result. Nothing here asks a server.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::role;
use crate::ca::spiffe::SpiffeId;
use crate::cli::duration;

/// Name of the root's issuer and key in its mount.
pub(super) const ROOT_NAME: &str = "root";

/// Name of the intermediate's key in its mount.
pub(super) const INTERMEDIATE_NAME: &str = "intermediate";

/// URL of the issuer's certificate, by its identifier: it stays true when the issuer is replaced.
pub(super) const CERTIFICATE_URL: &str = "{{cluster_aia_path}}/issuer/{{issuer_id}}/der";

/// URL of the issuer's revocation list.
pub(super) const CRL_URL: &str = "{{cluster_aia_path}}/issuer/{{issuer_id}}/crl/der";

/// What the steps depend on; each value is checked when the command line is read.
#[derive(Clone, Debug)]
pub(super) struct InitParameters {
    /// The trust domain, as a SPIFFE ID without a path.
    pub(super) domain: SpiffeId,
    /// Path of the intermediate's mount, without slashes around it.
    pub(super) mount: String,
    /// Path of the root's mount.
    pub(super) root_mount: String,
    /// Name of the role.
    pub(super) role: String,
    /// Scheme, host and port of the URLs in certificates.
    pub(super) public_address: String,
    /// Seconds that the root is valid.
    pub(super) root_ttl: i64,
    /// Seconds that the intermediate is valid.
    pub(super) intermediate_ttl: i64,
    /// Seconds that a certificate of the role is valid if the request does not say.
    pub(super) ttl: i64,
    /// Longest validity of a certificate of the role, in seconds.
    pub(super) max_ttl: i64,
    /// Type of the root's and the intermediate's key.
    pub(super) key_type: &'static str,
    /// Size of these keys.
    pub(super) key_bits: &'static str,
    /// How many intermediates may follow the intermediate in a chain.
    pub(super) max_path_length: u8,
}

impl InitParameters {
    /// URL of a mount, as the templates of its URLs use it.
    pub(super) fn aia_path(&self, mount: &str) -> String {
        format!("{}/v1/{mount}", self.public_address)
    }

    /// Those of the tests.
    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            domain: SpiffeId::parse("spiffe://example.com").unwrap(),
            mount: "pki".to_owned(),
            root_mount: "pki-root".to_owned(),
            role: "spiffe".to_owned(),
            public_address: "http://pki.example.com".to_owned(),
            root_ttl: 10 * 8760 * 3600,
            intermediate_ttl: 8760 * 3600,
            ttl: 3600,
            max_ttl: 24 * 3600,
            key_type: "ec",
            key_bits: "256",
            max_path_length: 0,
        }
    }
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepId {
    RootMount,
    Root,
    RootAddress,
    RootUrls,
    RootTidy,
    Mount,
    Address,
    Urls,
    Tidy,
    Request,
    Signature,
    Intermediate,
    Role,
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepWord {
    /// As it is.
    Text(String),
    /// `parameter=VALUE` with the output of an earlier step as the value.
    Captured { parameter: &'static str, variable: &'static str },
}

/// One step.
#[derive(Clone, Debug)]
pub(super) struct InitStep {
    pub(super) id: StepId,
    /// What it does.
    pub(super) summary: String,
    /// The command without `signet` in front.
    pub(super) words: Vec<StepWord>,
    /// The shell variable that holds what the command prints, for a later step.
    pub(super) variable: Option<&'static str>,
}

impl InitStep {
    fn new(id: StepId, summary: impl Into<String>, words: Vec<String>) -> Self {
        let words = words.into_iter().map(StepWord::Text).collect();
        Self { id, summary: summary.into(), words, variable: None }
    }

    /// The command as a shell takes it.
    pub(super) fn shown(&self) -> String {
        let mut line = "signet".to_owned();
        for word in &self.words {
            // Writing to memory does not fail.
            let _ = match word {
                StepWord::Text(text) => write!(line, " {}", shell_word(text)),
                StepWord::Captured { parameter, variable } => {
                    write!(line, " {parameter}=\"${variable}\"")
                }
            };
        }
        match self.variable {
            Some(variable) => format!("{variable}=$({line})"),
            None => line,
        }
    }
}

/// Every step in order. `has_key` says that an earlier run made the intermediate's key and did not
/// come to its certificate: the request is then made with that key.
pub(super) fn steps(init: &InitParameters, has_key: bool) -> Vec<InitStep> {
    let (root, mount) = (&init.root_mount, &init.mount);
    let mut steps =
        vec![enable(StepId::RootMount, root, "Root of", init.root_ttl, init), generate_root(init)];
    steps.extend(publish(root, [StepId::RootAddress, StepId::RootUrls, StepId::RootTidy], init));
    steps.push(enable(StepId::Mount, mount, "Intermediate of", init.intermediate_ttl, init));
    steps.extend(publish(mount, [StepId::Address, StepId::Urls, StepId::Tidy], init));
    steps.extend([request(init, has_key), signature(init)]);
    steps.push(InitStep {
        id: StepId::Intermediate,
        summary: format!("Import the intermediate with its root; it becomes the issuer of {mount}"),
        words: [text("write"), text(format!("{mount}/intermediate/set-signed"))]
            .into_iter()
            .chain([StepWord::Captured { parameter: "certificate", variable: "intermediate" }])
            .collect(),
        variable: None,
    });
    let mut words = vec!["write".to_owned(), format!("{mount}/roles/{}", init.role)];
    words.extend(role::fields(init).into_iter().map(|(name, value)| format!("{name}={value}")));
    let summary = format!("Write a role that allows SPIFFE IDs of {} only", init.domain);
    steps.push(InitStep::new(StepId::Role, summary, words));
    steps
}

fn text(text: impl Into<String>) -> StepWord {
    StepWord::Text(text.into())
}

fn enable(id: StepId, mount: &str, what: &str, ttl: i64, init: &InitParameters) -> InitStep {
    let ttl = duration::short(ttl);
    InitStep::new(
        id,
        format!("Mount a PKI engine at {mount}"),
        vec![
            "secrets".to_owned(),
            "enable".to_owned(),
            format!("-path={mount}"),
            format!("-max-lease-ttl={ttl}"),
            format!("-description={what} {}", init.domain),
            "pki".to_owned(),
        ],
    )
}

/// Subject and identity of a signing certificate (X509-SVID, section 3.2).
fn identity(init: &InitParameters, name: &str) -> [String; 3] {
    [
        format!("common_name={} {name}", init.domain.trust_domain()),
        format!("uri_sans={}", init.domain),
        "exclude_cn_from_sans=true".to_owned(),
    ]
}

fn key(init: &InitParameters) -> [String; 2] {
    [format!("key_type={}", init.key_type), format!("key_bits={}", init.key_bits)]
}

/// Runs before the URLs are set, so that the root has none: verifiers do not check the revocation of
/// a trust anchor (RFC 5280, section 6.1).
fn generate_root(init: &InitParameters) -> InitStep {
    let mut words = vec!["write".to_owned(), format!("{}/root/generate/internal", init.root_mount)];
    words.extend(identity(init, ROOT_NAME));
    words.extend(["issuer_name", "key_name"].map(|name| format!("{name}={ROOT_NAME}")));
    words.extend(key(init));
    words.push(format!("ttl={}", duration::short(init.root_ttl)));
    let summary = "Generate the root; ignore the warning about URLs, which a root does not need";
    InitStep::new(StepId::Root, summary, words)
}

/// Address, URLs and tidy of a mount.
fn publish(mount: &str, ids: [StepId; 3], init: &InitParameters) -> [InitStep; 3] {
    let write = |path: &str, fields: &[String]| {
        let path = format!("{mount}/config/{path}");
        [&["write".to_owned(), path], fields].concat()
    };
    let [address, urls, tidy] = ids;
    [
        InitStep::new(
            address,
            format!("Set the address under which {mount} is reached"),
            write("cluster", &[format!("aia_path={}", init.aia_path(mount))]),
        ),
        InitStep::new(
            urls,
            "Set the URLs of issuer and revocation list that go into certificates",
            write(
                "urls",
                &[
                    format!("issuing_certificates={CERTIFICATE_URL}"),
                    format!("crl_distribution_points={CRL_URL}"),
                    "enable_templating=true".to_owned(),
                ],
            ),
        ),
        InitStep::new(
            tidy,
            "Enable tidy, which removes expired certificates and revocations",
            write(
                "auto-tidy",
                &["enabled", "tidy_cert_store", "tidy_revoked_certs"]
                    .map(|name| format!("{name}=true")),
            ),
        ),
    ]
}

fn request(init: &InitParameters, has_key: bool) -> InitStep {
    let kind = if has_key { "existing" } else { "internal" };
    let mut words = vec![
        "write".to_owned(),
        "-field=csr".to_owned(),
        format!("{}/intermediate/generate/{kind}", init.mount),
    ];
    words.extend(identity(init, INTERMEDIATE_NAME));
    if has_key {
        words.push(format!("key_ref={INTERMEDIATE_NAME}"));
    } else {
        words.push(format!("key_name={INTERMEDIATE_NAME}"));
        words.extend(key(init));
    }
    let summary = "Generate the intermediate's key and the request for its certificate";
    InitStep { variable: Some("request"), ..InitStep::new(StepId::Request, summary, words) }
}

fn signature(init: &InitParameters) -> InitStep {
    let mut words = vec![
        "write".to_owned(),
        "-field=certificate".to_owned(),
        format!("{}/root/sign-intermediate", init.root_mount),
        "format=pem_bundle".to_owned(),
    ];
    words.extend(identity(init, INTERMEDIATE_NAME));
    words.push(format!("max_path_length={}", init.max_path_length));
    words.push(format!("ttl={}", duration::short(init.intermediate_ttl)));
    let mut step = InitStep::new(StepId::Signature, "Sign the request with the root", words);
    step.words.push(StepWord::Captured { parameter: "csr", variable: "request" });
    step.variable = Some("intermediate");
    step
}

/// A word in the form in which a POSIX shell takes it: in quotes if it needs them. Of `name=value`
/// the value alone is quoted.
pub(super) fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    let (name, value) = match word.split_once('=') {
        Some((name, value)) if name.chars().all(is_plain) => (Some(name), value),
        _ => (None, word),
    };
    let name = name.map(|name| format!("{name}=")).unwrap_or_default();
    Cow::Owned(format!("{name}'{}'", value.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: StepId, has_key: bool) -> String {
        let steps = steps(&InitParameters::example(), has_key);
        steps.iter().find(|step| step.id == id).unwrap().shown()
    }

    #[test]
    fn each_step_is_a_command_for_a_shell() {
        for (id, line) in [
            (
                StepId::RootMount,
                "signet secrets enable -path=pki-root -max-lease-ttl=87600h -description='Root of spiffe://example.com' pki",
            ),
            (
                StepId::Urls,
                "signet write pki/config/urls issuing_certificates='{{cluster_aia_path}}/issuer/{{issuer_id}}/der' crl_distribution_points='{{cluster_aia_path}}/issuer/{{issuer_id}}/crl/der' enable_templating=true",
            ),
            (
                StepId::Request,
                "request=$(signet write -field=csr pki/intermediate/generate/internal common_name='example.com intermediate' uri_sans=spiffe://example.com exclude_cn_from_sans=true key_name=intermediate key_type=ec key_bits=256)",
            ),
            (
                StepId::Signature,
                "intermediate=$(signet write -field=certificate pki-root/root/sign-intermediate format=pem_bundle common_name='example.com intermediate' uri_sans=spiffe://example.com exclude_cn_from_sans=true max_path_length=0 ttl=8760h csr=\"$request\")",
            ),
            (
                StepId::Intermediate,
                "signet write pki/intermediate/set-signed certificate=\"$intermediate\"",
            ),
        ] {
            assert_eq!(shown(id, false), line);
        }
    }

    #[test]
    fn a_key_that_an_interrupted_run_made_is_used() {
        let line = shown(StepId::Request, true);
        assert!(line.contains("generate/existing ") && line.contains(" key_ref=intermediate"));
        assert!(!line.contains("key_type"), "{line}");
    }

    #[test]
    fn a_word_is_quoted_only_where_a_shell_would_change_it() {
        for (word, quoted) in [
            ("", "''"),
            ("a-b_c=d/e:f", "a-b_c=d/e:f"),
            ("a=b c", "a='b c'"),
            ("a=*", "a='*'"),
            ("a=it's", r"a='it'\''s'"),
            ("$(x)=y", "'$(x)=y'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
