//! Configurations that every version must load, and the errors of others.

use std::fs;
use std::time::Duration;

use super::*;
use crate::config::manual::{SECTIONS, ValueForm};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The environment of these tests.
fn lookup(name: &str) -> Option<String> {
    match name {
        "SIGNET_SEAL_KEY" => Some(KEY.to_owned()),
        "SIGNET_SEAL_KEY_BEFORE" => {
            Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n".to_owned())
        }
        "SHORT" => Some("AAAA".to_owned()),
        _ => None,
    }
}

fn loaded(text: &str) -> Result<Checked, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signet.hcl");
    fs::write(&file, text).unwrap();
    load(&[file], &lookup).map_err(|faults| shown(&faults, folder.path()))
}

fn shown(faults: &[ConfigError], folder: &Path) -> Vec<String> {
    let folder = format!("{}/", folder.display());
    faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect()
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config").join(name)
}

#[test]
fn every_kept_configuration_loads() {
    let mut count = 0;
    for entry in fs::read_dir(testdata("")).unwrap() {
        let path = entry.unwrap().path();
        let loaded = load(std::slice::from_ref(&path), &lookup);
        assert!(loaded.is_ok(), "{loaded:?}");
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn every_key_sets_its_value() {
    let config = load(&[testdata("every-key.hcl")], &lookup).unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(config.api_addr.as_deref(), Some("https://ca.example.com"));
    assert_eq!(config.cluster_name.as_deref(), Some("everything"));
    assert_eq!(config.default_lease_ttl, seconds(86_400));
    assert_eq!(config.max_lease_ttl, seconds(2_592_000));
    assert_eq!(config.log, Log { level: LogLevel::Debug, format: LogFormat::Standard });
    assert_eq!(config.pid_file, Some("/run/signet.pid".into()));
    assert_eq!(config.storage, Storage::Rocksdb { path: "/var/lib/signet".into() });
    let SealConfig::Static { current, previous: Some(previous) } = config.seal else { panic!() };
    assert_eq!((current.id.as_str(), previous.id.as_str()), ("1", "0"));
    let bytes: Vec<u8> = (0..32).collect();
    assert_eq!(current.key.expose().as_slice(), bytes);
    assert_eq!(previous.key.expose().as_slice(), bytes);
    let first = ListenerConfig {
        address: "[::1]:8200".parse().unwrap(),
        purpose: ListenerPurpose::Api,
        tls: Some(ListenerTls {
            certificate: "server.pem".into(),
            key: "server-key.pem".into(),
            minimum: TlsVersion::Tls12,
        }),
        max_request_size: 1_048_576,
        max_request_header_size: 16_384,
        max_request_duration: seconds(30),
        max_connections: 100,
        http_read_header_timeout: seconds(5),
        http_idle_timeout: seconds(90),
        tls_handshake_timeout: seconds(5),
        shutdown_timeout: seconds(10),
    };
    assert_eq!(config.listeners[0], first);
    assert_eq!(config.listeners[1].address, "127.0.0.1:8201".parse().unwrap());
    assert_eq!(config.listeners[1].tls, None);
    let public = &config.listeners[2];
    assert_eq!((public.purpose, &public.tls), (ListenerPurpose::Public, &None));
}

#[test]
fn a_public_listener_needs_no_tls_and_may_have_it() {
    let of = |keys: &str| {
        let text = format!(
            "listener \"tcp\" {{ tls_disable = true }} storage \"inmem\" {{}}\n\
             listener \"tcp\" {{ address = \":80\" purpose = \"public\" {keys} }}"
        );
        loaded(&text).map(|config| {
            assert!(config.warnings.is_empty(), "{:?}", config.warnings);
            let listener = config.listeners[1].clone();
            assert_eq!(listener.purpose, ListenerPurpose::Public);
            listener.tls.is_some()
        })
    };
    assert_eq!(of(""), Ok(false));
    assert_eq!(of("tls_disable = true"), Ok(false));
    assert_eq!(of("tls_cert_file = \"a\" tls_key_file = \"b\""), Ok(true));
    let faults = of("tls_cert_file = \"a\"").unwrap_err();
    assert_eq!(
        faults,
        ["signet.hcl:2:1: this listener needs `tls_key_file`, or tls_disable = true"]
    );
    let faults = of("tls_key_file = [1]").unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains("needs `tls_cert_file`")), "{faults:?}");
}

#[test]
fn a_server_has_a_listener_for_the_api() {
    let public = "listener \"tcp\" { purpose = \"public\" } storage \"inmem\" {}";
    let faults = loaded(public).unwrap_err();
    assert!(faults[0].starts_with("signet.hcl: every listener is public: add one"), "{faults:?}");
    let faults = loaded(&public.replace("public", "private")).unwrap_err();
    let text = "`purpose` must be one of \"api\", \"public\"";
    assert!(faults.iter().any(|fault| fault.contains(text)), "{faults:?}");
}

#[test]
fn defaults_are_those_of_the_manual() {
    let config = load(&[testdata("memory.json")], &lookup).unwrap();
    let listener = &config.listeners[0];
    assert_eq!(listener.max_request_size, 33_554_432);
    assert_eq!(listener.max_request_duration, Duration::from_secs(90));
    assert_eq!(config.max_lease_ttl, Duration::from_secs(768 * 3_600));
    assert!(matches!(config.seal, SealConfig::Ephemeral));
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        if matches!(key.form, ValueForm::Duration | ValueForm::Count) || !key.default.is_empty() {
            assert!(file::from_text(key, key.default).is_some(), "{}", key.name);
        }
    }
}

#[test]
fn all_errors_are_reported_at_once_with_their_locations() {
    let faults = loaded(
        "listner \"tcp\" {}\n\
         log_level = \"loud\"\n\
         listener \"tcp\" {\n  address = \"example.com:1\"\n  tls_cert = \"x\"\n  proxy_protocol_behavior = \"use_always\"\n}\n\
         listener \"unix\" {}\n\
         storage \"rocksdb\" {}\n\
         storage \"inmem\" {}\n\
         seal \"static\" { current_key = \"env://NONE\" previous_key_id = \"0\" }\n\
         default_lease_ttl = \"9000h\"\n\
         ui = true\nui = true\n\
         api_addr = \"signet\"\n",
    )
    .unwrap_err();
    assert_eq!(
        faults,
        [
            "signet.hcl:1:1: unknown key `listner`: did you mean `listener`?",
            "signet.hcl:2:13: `log_level` must be one of \"trace\", \"debug\", \"info\", \"warn\", \"error\"",
            "signet.hcl:3:1: this listener needs `tls_cert_file`, or tls_disable = true",
            "signet.hcl:3:1: this listener needs `tls_key_file`, or tls_disable = true",
            "signet.hcl:4:13: `address` must be an IP address and a port: 127.0.0.1:8200",
            "signet.hcl:5:3: unknown key `tls_cert`: did you mean `tls_cert_file`?",
            "signet.hcl:6:3: unknown key `proxy_protocol_behavior`: remove it; known here are address, purpose, tls_cert_file, tls_key_file, tls_disable, tls_min_version, max_request_size, max_request_header_size, max_request_duration, max_connections, http_read_header_timeout, http_idle_timeout, tls_handshake_timeout, shutdown_timeout",
            "signet.hcl:8:1: there is no listener \"unix\": write listener \"tcp\"",
            "signet.hcl:9:1: this storage needs `path`: the database's folder",
            "signet.hcl:10:1: a second storage: keep one",
            "signet.hcl:11:1: this seal needs `current_key_id`",
            "signet.hcl:11:1: this seal needs `previous_key`",
            "signet.hcl:11:31: `current_key`: the environment has no variable NONE: set it",
            "signet.hcl:12:21: `default_lease_ttl` is longer than `max_lease_ttl`: lower it",
            "signet.hcl:14:1: `ui` is set twice: keep one",
            "signet.hcl:15:12: `api_addr` must be a URL: https://host:port",
        ]
    );
}

#[test]
fn missing_sections_are_reported() {
    let faults = loaded("").unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("signet.hcl: no listener: add"));
    assert!(faults[1].starts_with("signet.hcl: no storage: add"));
    let faults =
        loaded("listener \"tcp\" { tls_disable = true }\nstorage \"rocksdb\" { path = \"x\" }");
    assert!(faults.unwrap_err()[0].starts_with("signet.hcl: no seal: add"));
    assert_eq!(
        loaded("a = [").unwrap_err(),
        ["signet.hcl:1:5: this bracket is not closed: `]` is missing"]
    );
}

#[test]
fn the_key_of_a_seal_has_32_bytes_and_is_never_in_an_error() {
    let of = |key: &str| {
        let text = format!(
            "listener \"tcp\" {{ tls_disable = true }} storage \"inmem\" {{}}\n\
             seal \"static\" {{ current_key_id = \"1\" current_key = \"{key}\" }}"
        );
        loaded(&text).map(|config| match config.seal {
            SealConfig::Static { current, .. } => current.key.expose().to_vec(),
            SealConfig::Ephemeral => Vec::new(),
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let bytes: Vec<u8> = (0..32).collect();
    for content in [bytes.clone(), format!("{KEY}\n").into_bytes()] {
        fs::write(&path, content).unwrap();
        assert_eq!(of(&format!("file://{}", path.display())).unwrap(), bytes);
    }
    assert_eq!(of(KEY).unwrap(), bytes);
    assert_eq!(of(&KEY.to_uppercase()).unwrap(), bytes);
    for wrong in ["hunter2", "env://SHORT", "file://relative", "file:///does/not/exist"] {
        let faults = of(wrong).unwrap_err();
        assert!(faults[0].starts_with("signet.hcl:2:52: `current_key`: "), "{faults:?}");
        assert!(!faults[0].contains("hunter2") && !faults[0].contains("AAAA"), "{faults:?}");
    }
}

#[test]
fn a_folder_is_merged_in_the_order_of_names_and_the_environment_wins() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "a.hcl",
        "listener \"tcp\" { tls_disable = true }\nlog_level = \"warn\"\ncluster_name = \"a\"",
    );
    write(
        "b.json",
        r#"{"listener": {"tcp": {"address": "127.0.0.1:0", "tls_disable": "true"}}, "cluster_name": "b"}"#,
    );
    write("c.hcl", "storage \"inmem\" {}");
    write("ignored.txt", "}");
    let paths = [folder.path().to_owned()];
    let config = load(&paths, &lookup).unwrap();
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.cluster_name.as_deref(), Some("b"));
    assert_eq!(config.log.level, LogLevel::Warn);
    let other = |name: &str| match name {
        "VAULT_LOG_LEVEL" => Some("trace".to_owned()),
        "SIGNET_LOG_LEVEL" => Some("error".to_owned()),
        "VAULT_LOG_FORMAT" => Some("json".to_owned()),
        _ => None,
    };
    let config = load(&paths, &other).unwrap();
    assert_eq!(config.log, Log { level: LogLevel::Error, format: LogFormat::Json });
    let wrong = |name: &str| (name == "VAULT_LOG_FORMAT").then(|| "xml".to_owned());
    let faults = load(&paths, &wrong).unwrap_err();
    assert_eq!(faults[0].to_string(), "VAULT_LOG_FORMAT: must be one of \"standard\", \"json\"");
    let empty = tempfile::tempdir().unwrap();
    let faults = load(&[empty.path().to_owned()], &lookup).unwrap_err();
    assert!(faults[0].message.contains("has no .hcl"));
}

#[test]
fn the_usual_forms_of_an_address_are_read() {
    for (text, address) in [
        ("127.0.0.1:8200", Some("127.0.0.1:8200")),
        ("127.0.0.1", Some("127.0.0.1:8200")),
        ("[::]:1", Some("[::]:1")),
        ("::1", Some("[::1]:8200")),
        (":8300", Some("0.0.0.0:8300")),
        ("localhost:0", Some("127.0.0.1:0")),
        ("example.com:1", None),
        ("127.0.0.1:99999", None),
    ] {
        let config = format!(
            "listener \"tcp\" {{ address = \"{text}\" tls_disable = true }} storage \"inmem\" {{}}"
        );
        let read = loaded(&config).map(|config| config.listeners[0].address.to_string());
        assert_eq!(read.ok().as_deref(), address, "{text}");
    }
}

/// `SIGNET_RENEW=1` writes the page instead.
#[test]
#[expect(clippy::disallowed_methods, reason = "a developer's switch, not configuration")]
fn the_manual_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    if std::env::var("SIGNET_RENEW").is_ok() {
        fs::write(&path, manual()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), manual(), "run with SIGNET_RENEW=1");
}
