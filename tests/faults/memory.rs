//! What can be found in the server's memory after its answers are sent.
//!
//! The tests search every writable page for every secret of the session. A few secrets must be in
//! memory while the server is unsealed; each has its reason beside it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use signet::store::{Key, Rocks, Store, key};

use crate::ledger::{Ledger, ask};
use crate::machine::{Action, Fault, Machine, SYNC, copy_folder};
use crate::process::{Answer, Connection, SEAL_KEY, Server};

const PKCS12_PASSWORD: &str = "four-words-that-none-guesses-12";
const JKS_PASSWORD: &str = "four-words-that-none-guesses-jks";

/// A secret, and the reason if it may be in memory.
struct Needle {
    name: String,
    bytes: Vec<u8>,
    stays: Option<&'static str>,
}

#[derive(Default)]
struct Needles(Vec<Needle>);

impl Needles {
    fn add(&mut self, name: &str, bytes: &[u8], stays: Option<&'static str>) {
        assert!(bytes.len() >= 16, "{name} is too short to be distinguished from chance");
        self.0.push(Needle { name: name.to_owned(), bytes: bytes.to_vec(), stays });
    }

    /// A number in DER's byte order and in that of a big-number library.
    fn number(&mut self, name: &str, bytes: &[u8], stays: Option<&'static str>) {
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or_default();
        let bytes = &bytes[first..];
        self.add(&format!("{name}, big-endian"), bytes, stays);
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        self.add(&format!("{name}, little-endian"), &reversed, stays);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.add(name, text.as_bytes(), None);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        self.add(&format!("{name}, UTF-16"), &wide, None);
    }

    /// The private key of an answer: its numbers, and a line of its PEM text.
    fn private_key(&mut self, name: &str, answer: &Answer, stays: Option<&'static str>) {
        let pem = answer.text("private_key");
        let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(!lines.is_empty(), "{name}: no key in {:?}", answer.body);
        let der = BASE64.decode(lines.concat().as_bytes()).expect("base64");
        let numbers = if pem.contains("RSA") { 3..6 } else { 1..2 };
        for (number, bytes) in fields(&der).into_iter().enumerate() {
            if numbers.contains(&number) {
                self.number(&format!("{name}, number {number}"), bytes, stays);
            }
        }
        // The first lines hold the public key, too.
        self.add(&format!("{name}, as PEM"), lines[lines.len() / 3].as_bytes(), None);
    }
}

/// The fields of a DER sequence of short elements.
fn fields(der: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    let (mut rest, _) = content(der);
    while !rest.is_empty() {
        let (field, after) = content(rest);
        fields.push(field);
        rest = after;
    }
    fields
}

fn content(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, from) = match der[1] {
        short @ ..=0x80 => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(u16::from_be_bytes([der[2], der[3]])), 4),
    };
    (&der[from..from + length], &der[from + length..])
}

/// The root key, the data key and the salt of a store under the seal of these tests.
async fn keys_of_the_seal(machine: &Machine, needles: &mut Needles) {
    let copy = machine.path().join("copy");
    copy_folder(&machine.store(), &copy);
    let rocks = Rocks::open(&copy, |why: &str| panic!("{why}")).expect("a store");
    let snapshot = Store::danger_unsealed(rocks).snapshot().await.expect("a snapshot");
    let stored = async |key: &Key| snapshot.get(key).await.expect("a value").expect("a value").1;
    let seal = HEXLOWER.decode(SEAL_KEY.as_bytes()).expect("hexadecimal");
    // The wrapped key is the last field of its record: header 5, nonce 12, key 32, tag 16 bytes.
    let wrapped = stored(&key::seal()).await;
    let root = decrypt(&seal, &key::seal(), &wrapped[wrapped.len() - 65..]);
    let ring = decrypt(&root, &key::keyring(), &stored(&key::keyring()).await);
    // CBOR: 0x58 0x20 precedes each string of 32 bytes; the salt, then the data key.
    let mut parts = ring.windows(2).enumerate().filter(|(_, mark)| *mark == [0x58, 32]);
    let mut part = || parts.next().map(|(at, _)| &ring[at + 2..at + 34]).expect("32 bytes");
    needles.add("the seal's key", &seal, Some("add_data_key unwraps the root key anew"));
    needles.add("the root key", &root, None);
    needles.add("the salt", part(), None);
    needles.add("the data key", part(), Some("AES's key schedule prefixes with the key"));
}

fn decrypt(with: &[u8], stored_at: &Key, value: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, with).expect("32 bytes"));
    let length = u32::try_from(stored_at.as_bytes().len()).expect("a short key").to_be_bytes();
    let associated = [&length, stored_at.as_bytes(), &value[..5]].concat();
    let nonce = Nonce::try_assume_unique_for_key(&value[5..17]).expect("12 bytes");
    let mut body = value[17..].to_vec();
    key.open_in_place(nonce, Aad::from(associated), &mut body).expect("it opens").to_vec()
}

/// How often each needle is found, by its index and the name of the mapping.
fn search(server: &Server, needles: &Needles) -> BTreeMap<(usize, String), usize> {
    let process = server.process();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
    let memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
    // A position is compared only if its first two bytes begin a needle.
    let mut prefixes = vec![false; 65536];
    for needle in &needles.0 {
        prefixes[usize::from(u16::from_be_bytes([needle.bytes[0], needle.bytes[1]]))] = true;
    }
    let mut found = BTreeMap::new();
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (from, to) = words[0].split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        if !words[1].starts_with("rw") {
            continue;
        }
        let kind = words.get(5).copied().unwrap_or("no name").to_owned();
        search_range(&memory, address(from), address(to), needles, &prefixes, |needle| {
            *found.entry((needle, kind.clone())).or_default() += 1;
        });
    }
    found
}

const PART: usize = 1 << 20;
const PAGE: usize = 4096;

fn search_range(
    memory: &File,
    from: u64,
    to: u64,
    needles: &Needles,
    prefixes: &[bool],
    mut found: impl FnMut(usize),
) {
    // Parts overlap by the longest needle.
    let mut part = vec![0; PART + PAGE];
    for at in (from..to).step_by(PART) {
        let length = part.len().min((to - at) as usize);
        if memory.read_exact_at(&mut part[..length], at).is_err() {
            continue;
        }
        for (number, page) in part[..length].chunks(PAGE).enumerate().take(PART / PAGE) {
            if page.iter().all(|byte| *byte == 0) {
                continue;
            }
            let start = number * PAGE;
            for position in start..(start + PAGE).min(length - 1) {
                if !prefixes[usize::from(part[position]) << 8 | usize::from(part[position + 1])] {
                    continue;
                }
                for (index, needle) in needles.0.iter().enumerate() {
                    if part[position..length].starts_with(&needle.bytes) {
                        found(index);
                    }
                }
            }
        }
    }
}

/// Sends requests whose answers have secrets, and adds these to `needles`.
async fn exchange_secrets(ledger: &Ledger, server: &Server, needles: &mut Needles) {
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    let mut post = async |path: &str, body: Value| {
        let answer = ask(&mut connection, "POST", path, &body).await.expect("an answer");
        assert!(answer.status.is_success(), "{path}: {:?}", answer.body);
        answer
    };
    post("sys/mounts/other", json!({ "type": "pki" })).await;
    let root = json!({ "common_name": "Other Root", "key_type": "ec", "key_bits": 256 });
    let answer = post("other/root/generate/exported", root).await;
    needles.private_key("an issuer's key", &answer, Some("the issuer signs with it"));
    let names = json!({ "allowed_uri_sans": "spiffe://example.org/*", "require_cn": false,
        "key_type": "rsa", "key_bits": 2048, "ttl": "1h" });
    post("pki/roles/rsa", names).await;
    for number in 0..3 {
        let ask = |more: Value| {
            let mut body = json!({ "uri_sans": "spiffe://example.org/a" });
            for (name, value) in more.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body
        };
        let answer = post("pki/issue/workload", ask(json!({}))).await;
        needles.private_key(&format!("EC key {number}"), &answer, None);
        let answer = post("pki/issue/rsa", ask(json!({}))).await;
        needles.private_key(&format!("RSA key {number}"), &answer, None);
        let options = json!({ "format": "pkcs12_bundle", "pkcs12_password": PKCS12_PASSWORD });
        post("pki/issue/workload", ask(options)).await;
        let options = json!({ "format": "jks_bundle", "jks_password": JKS_PASSWORD });
        post("pki/issue/workload", ask(options)).await;
    }
    needles.text("the password of PKCS#12", PKCS12_PASSWORD);
    needles.text("the password of JKS", JKS_PASSWORD);
}

/// The process is not dumpable; the library makes it so for these tests.
async fn expose(machine: &Machine, server: &Server, ledger: &mut Ledger) {
    machine.arm(Fault { action: Action::Expose, kinds: SYNC, first: 1, last: 1, value: 9 });
    let mut connection = Connection::open(&server.address, ledger.token()).await.expect("a server");
    ledger.issue(&mut connection).await.expect("a machine without faults");
    drop(connection);
    assert_eq!(
        machine.value(),
        0,
        "the process is dumpable: others can read its memory, and a crash leaves a core"
    );
}

/// The stack of the thread that opens the store is not overwritten if the thread gets no other
/// work afterwards.
#[tokio::test]
async fn the_thread_that_opened_the_store_keeps_no_key_on_its_stack() {
    let machine = Machine::new();
    let server = machine.start();
    let mut ledger = Ledger::default();
    ledger.scenario(&server.address, 1).await.expect("a machine without faults");
    let mut needles = Needles::default();
    keys_of_the_seal(&machine, &mut needles).await;
    expose(&machine, &server, &mut ledger).await;
    let found = search(&server, &needles);
    let (stay, leaked): (Vec<_>, Vec<_>) = found
        .into_iter()
        .map(|((number, _), times)| (&needles.0[number], times))
        .partition(|(needle, times)| needle.stays.is_some() && *times <= 2);
    assert!(!stay.is_empty(), "the search finds what must be there");
    let leaked: Vec<_> = leaked.iter().map(|(needle, times)| (&needle.name, times)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[tokio::test]
async fn no_secret_stays_in_memory_longer_than_needed() {
    let machine = Machine::new();
    let server = machine.start();
    let mut ledger = Ledger::default();
    ledger.scenario(&server.address, 1).await.expect("a machine without faults");
    let mut needles = Needles::default();
    exchange_secrets(&ledger, &server, &mut needles).await;
    needles.text("the root token", ledger.token());
    needles.text("the seal's key in the configuration", SEAL_KEY);
    keys_of_the_seal(&machine, &mut needles).await;
    expose(&machine, &server, &mut ledger).await;
    let mut leaked = Vec::new();
    // A connection's buffers are freed once the server has seen its end.
    for _ in 0..20 {
        let found = search(&server, &needles);
        leaked.clear();
        let mut stay = Vec::new();
        for ((number, kind), times) in &found {
            let needle = &needles.0[*number];
            let line = format!("{} × {times} in {kind}", needle.name);
            match needle.stays {
                // At most two copies, and none on the stack.
                Some(why) if kind != "[stack]" && *times <= 2 => {
                    stay.push(format!("{line}: expected, {why}"));
                }
                _ => leaked.push(line),
            }
        }
        if leaked.is_empty() {
            println!("{} secrets searched for; {stay:#?}", needles.0.len());
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{leaked:#?}");
}
