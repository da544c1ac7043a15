//! What can be found in the server's memory when its answers are out.
//!
//! Everything that was ever secret in this conversation is looked for in every readable page. A
//! few things must be there as long as the server works; they are named, with the reason.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use signet::store::{Key, Rocks, Store, key};

use crate::book::{Book, ask};
use crate::machine::{Action, Fault, Machine, SYNC, copy_folder};
use crate::process::{Answer, Connection, SEAL_KEY, Server};

const PKCS12_PASSWORD: &str = "four-words-nobody-guesses-12";
const JKS_PASSWORD: &str = "four-words-nobody-guesses-jks";

/// A secret, and why it may be there.
struct Needle {
    name: String,
    octets: Vec<u8>,
    stays: Option<&'static str>,
}

#[derive(Default)]
struct Needles(Vec<Needle>);

impl Needles {
    fn add(&mut self, name: &str, octets: &[u8], stays: Option<&'static str>) {
        assert!(octets.len() >= 16, "{name} is too short to be told from chance");
        self.0.push(Needle { name: name.to_owned(), octets: octets.to_vec(), stays });
    }

    /// A number, as it is written and as a library of big numbers keeps it.
    fn number(&mut self, name: &str, octets: &[u8], stays: Option<&'static str>) {
        let first = octets.iter().position(|octet| *octet != 0).unwrap_or_default();
        let octets = &octets[first..];
        self.add(&format!("{name}, big-endian"), octets, stays);
        let reversed: Vec<u8> = octets.iter().rev().copied().collect();
        self.add(&format!("{name}, little-endian"), &reversed, stays);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.add(name, text.as_bytes(), None);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        self.add(&format!("{name}, UTF-16"), &wide, None);
    }

    /// The private key of an answer: its numbers, and the middle of its text.
    fn private_key(&mut self, name: &str, answer: &Answer, stays: Option<&'static str>) {
        let pem = answer.text("private_key");
        let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(!lines.is_empty(), "{name}: no key in {:?}", answer.body);
        let der = BASE64.decode(lines.concat().as_bytes()).expect("base64");
        let numbers = if pem.contains("RSA") { 3..6 } else { 1..2 };
        for (number, octets) in fields(&der).into_iter().enumerate() {
            if numbers.contains(&number) {
                self.number(&format!("{name}, number {number}"), octets, stays);
            }
        }
        // The first lines hold what is public, too.
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
    // The wrapped key is the last field of its record: head 5, nonce 12, key 32, tag 16.
    let wrapped = stored(&key::seal()).await;
    let root = opened(&seal, &key::seal(), &wrapped[wrapped.len() - 65..]);
    let ring = opened(&root, &key::keyring(), &stored(&key::keyring()).await);
    // CBOR: each 32 octets stand behind 0x58 0x20; the salt, then the data key.
    let mut parts = ring.windows(2).enumerate().filter(|(_, mark)| *mark == [0x58, 32]);
    let mut part = || parts.next().map(|(at, _)| &ring[at + 2..at + 34]).expect("32 octets");
    needles.add("the seal's key", &seal, Some("add_data_key unwraps the root key anew"));
    needles.add("the root key", &root, None);
    needles.add("the salt", part(), None);
    needles.add("the data key", part(), Some("AES's key schedule begins with the key"));
}

fn opened(with: &[u8], place: &Key, value: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, with).expect("32 octets"));
    let length = u32::try_from(place.as_bytes().len()).expect("a short key").to_be_bytes();
    let associated = [&length, place.as_bytes(), &value[..5]].concat();
    let nonce = Nonce::try_assume_unique_for_key(&value[5..17]).expect("12 octets");
    let mut body = value[17..].to_vec();
    key.open_in_place(nonce, Aad::from(associated), &mut body).expect("it opens").to_vec()
}

/// Where each needle is found: the kind of memory, and how often.
fn search(server: &Server, needles: &Needles) -> BTreeMap<(usize, String), usize> {
    let process = server.process();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
    let memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
    // A position is looked at closely if its first two octets begin a needle.
    let mut begins = vec![false; 65536];
    for needle in &needles.0 {
        begins[usize::from(u16::from_be_bytes([needle.octets[0], needle.octets[1]]))] = true;
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
        look(&memory, address(from), address(to), needles, &begins, |needle| {
            *found.entry((needle, kind.clone())).or_default() += 1;
        });
    }
    found
}

const PART: usize = 1 << 20;
const PAGE: usize = 4096;

fn look(
    memory: &File,
    from: u64,
    to: u64,
    needles: &Needles,
    begins: &[bool],
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
            if page.iter().all(|octet| *octet == 0) {
                continue;
            }
            let start = number * PAGE;
            for position in start..(start + PAGE).min(length - 1) {
                if !begins[usize::from(part[position]) << 8 | usize::from(part[position + 1])] {
                    continue;
                }
                for (index, needle) in needles.0.iter().enumerate() {
                    if part[position..length].starts_with(&needle.octets) {
                        found(index);
                    }
                }
            }
        }
    }
}

async fn converse(book: &Book, server: &Server, needles: &mut Needles) {
    let mut connection = book.connect(&server.address).await.expect("a server");
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
        let wish = json!({ "format": "pkcs12_bundle", "pkcs12_password": PKCS12_PASSWORD });
        post("pki/issue/workload", ask(wish)).await;
        let wish = json!({ "format": "jks_bundle", "jks_password": JKS_PASSWORD });
        post("pki/issue/workload", ask(wish)).await;
    }
    needles.text("the password of PKCS#12", PKCS12_PASSWORD);
    needles.text("the password of JKS", JKS_PASSWORD);
}

/// The process does not let itself be looked into; the library opens it for these tests.
async fn expose(machine: &Machine, server: &Server, book: &mut Book) {
    machine.arm(Fault { action: Action::Expose, kinds: SYNC, first: 1, last: 1, value: 9 });
    let mut connection = Connection::open(&server.address, book.token()).await.expect("a server");
    book.issue(&mut connection).await.expect("a machine without faults");
    drop(connection);
    assert_eq!(machine.value(), 0, "others can look into the process, and a crash leaves a core");
}

/// Found by a run in which the thread that had opened the store got no other work: its stack still
/// held the keys, eighteen times.
#[tokio::test]
async fn the_thread_that_opened_the_store_keeps_no_key_on_its_stack() {
    let machine = Machine::new();
    let server = machine.start();
    let mut book = Book::default();
    book.scenario(&server.address, 1).await.expect("a machine without faults");
    let mut needles = Needles::default();
    keys_of_the_seal(&machine, &mut needles).await;
    expose(&machine, &server, &mut book).await;
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
async fn nothing_secret_stays_in_memory_that_need_not() {
    let machine = Machine::new();
    let server = machine.start();
    let mut book = Book::default();
    book.scenario(&server.address, 1).await.expect("a machine without faults");
    let mut needles = Needles::default();
    converse(&book, &server, &mut needles).await;
    needles.text("the root token", book.token());
    needles.text("the seal's key in the configuration", SEAL_KEY);
    keys_of_the_seal(&machine, &mut needles).await;
    expose(&machine, &server, &mut book).await;
    let mut leaked = Vec::new();
    // Connections end when the server has seen their end; what they read goes with them.
    for _ in 0..20 {
        let found = search(&server, &needles);
        leaked.clear();
        let mut stay = Vec::new();
        for ((number, kind), times) in &found {
            let needle = &needles.0[*number];
            let line = format!("{} × {times} in {kind}", needle.name);
            match needle.stays {
                // In one or two places, that is, and not wherever it was on its way.
                Some(why) if kind != "[stack]" && *times <= 2 => {
                    stay.push(format!("{line}: must stay, {why}"));
                }
                _ => leaked.push(line),
            }
        }
        if leaked.is_empty() {
            println!("{} secrets looked for; {stay:#?}", needles.0.len());
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{leaked:#?}");
}
