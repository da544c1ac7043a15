//! What the server leaves on the disk, in its arguments and in its environment; and kills while a
//! store in the first format is opened.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use signet::entropy::Entropy;
use signet::secret::Secret;
use signet::store::id::{KeyId, MountId};
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Rocks, Sealed, Store, key};

use crate::ledger::{Ledger, ask};
use crate::machine::{Action, Fault, Machine, NAME, SYNC, WRITE, copy_folder};
use crate::process::SEAL_KEY;

#[tokio::test]
async fn only_the_owner_can_access_the_files_whatever_the_umask_is() {
    let machine = Machine::with(&["sh", "-c", "umask 000; exec \"$@\"", "sh"]);
    let mut ledger = Ledger::default();
    // The second start writes tables, and a new RocksDB text log beside the older one.
    for _ in 0..2 {
        let server = machine.start();
        ledger.scenario(&server.address, 2).await.expect("a machine without faults");
    }
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&machine.store()), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(machine.store()).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files > 6, "only {files} files");
}

#[tokio::test]
async fn no_secret_is_in_a_file_an_argument_or_the_environment_and_no_program_is_started() {
    let machine = Machine::new();
    let server = machine.start();
    let mut ledger = Ledger::default();
    ledger.scenario(&server.address, 1).await.expect("a machine without faults");
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    let password = "four-words-that-none-guesses-on-disk";
    let request = json!({ "uri_sans": "spiffe://example.org/a", "format": "pkcs12_bundle",
        "pkcs12_password": password });
    ask(&mut connection, "POST", "pki/issue/workload", &request).await.expect("an answer");
    let process = format!("/proc/{}", server.process());
    let mut paths = vec![machine.path().join("log")];
    paths.extend(["cmdline", "environ"].map(|name| Path::new(&process).join(name)));
    let files = fs::read_dir(machine.store()).expect("a folder");
    paths.extend(files.map(|entry| entry.expect("an entry").path()));
    for path in paths {
        // Only root can read the environment of a process that is not dumpable.
        let Ok(bytes) = fs::read(&path) else { continue };
        for secret in [password, ledger.token(), SEAL_KEY] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
    for task in fs::read_dir(format!("{process}/task")).expect("its threads") {
        let children = task.expect("a thread").path().join("children");
        let children = fs::read_to_string(children).unwrap_or_default();
        assert_eq!(children, "", "the server started a program");
    }
}

/// Checks that the store holds the records that `testdata/store-v1.md` lists.
async fn assert_holds_the_sample(folder: &Path) {
    let rocks = Rocks::open(folder, |why: &str| panic!("{why}")).expect("the first format");
    let current = StaticKey { id: "sample".into(), key: Secret::boxed(&[42; 32]) };
    let seal = Seal::Static { current, previous: None };
    let sealed = Sealed::new(rocks, seal, Entropy::System);
    sealed.unseal().await.expect("its seal");
    let snapshot = Store::from(sealed).snapshot().await.expect("a snapshot");
    let mount = &MountId::new([7; 16]);
    let keys = [
        key::cluster(),
        key::mount(mount),
        key::role(mount, "web"),
        key::private_key(mount, &KeyId::new([9; 16])),
        key::certificate(mount, &[0x11; 20]),
    ];
    for (number, key) in keys.iter().enumerate() {
        let (_, value) = snapshot.get(key).await.expect("a read").expect("a record");
        assert_eq!(value, format!("sample {number}").into_bytes());
    }
}

/// The server opens the store and then refuses it, because its seal key is another one. A kill on
/// the way there must leave the store readable.
#[tokio::test]
async fn a_kill_while_the_first_format_is_opened_leaves_it_readable() {
    let kinds = WRITE | SYNC | NAME;
    let mut kills = 0;
    for number in 1.. {
        let machine = Machine::new();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/store-v1");
        copy_folder(&sample, &machine.store());
        let action = if number % 2 == 0 { Action::KillBefore } else { Action::KillAfter };
        machine.arm(Fault { action, kinds, first: number, last: number, value: 0 });
        let (status, log) = machine.try_start().expect_err("another seal key, or a kill");
        assert!(!status.success());
        assert_holds_the_sample(&machine.store()).await;
        if machine.tally().1 == 0 {
            assert!(log.contains("sample"), "the refusal names the seal's key:\n{log}");
            break;
        }
        kills += 1;
    }
    println!("{kills} kills while the first format was opened");
    assert!(kills > 5, "opening has more operations than {kills}");
}
