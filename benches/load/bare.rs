//! The lower bounds of a measurement: the bare cryptography of a certificate and of a handshake, and the
//! bare sync of a file.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};
use signet::clock::Clock;
use signet::http::tls::{MinimumVersion, Tls, self_signed};

use super::connect::connector;
use super::histogram::Histogram;
use super::open::Schedule;
use super::usage::processor_time;

/// Bytes of a typical `TBSCertificate` here.
const TO_SIGN: usize = 400;

/// Bytes of a typical record of a certificate in the log of the store.
const RECORD: usize = 700;

/// Processor time of one new key and one signature by another, in this thread.
pub fn cryptography(length: Duration) -> Duration {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let issuer = EcdsaKeyPair::generate(algorithm).expect("a key");
    let (random, message) = (SystemRandom::new(), [0x5a; TO_SIGN]);
    each(length, || {
        black_box(EcdsaKeyPair::generate(algorithm).expect("a key"));
        black_box(issuer.sign(&random, &message).expect("a signature"));
    })
}

/// Processor time of one signature by an RSA key of 2048 bits that is verified, as the server verifies
/// each RSA signature before it answers, in this thread.
pub fn rsa_signature(length: Duration) -> Duration {
    let issuer = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let (random, message) = (SystemRandom::new(), [0x5a; TO_SIGN]);
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, issuer.public_key());
    let mut signature = vec![0; issuer.public_modulus_len()];
    each(length, || {
        issuer.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).expect("a signature");
        public.verify(&message, &signature).expect("a sound signature");
    })
}

/// Processor time of one execution of `work`, which is repeated for `length`.
fn each(length: Duration, mut work: impl FnMut()) -> Duration {
    let spent = || {
        let (user, system) = processor_time(std::process::id());
        user + system
    };
    let (start, before, mut rounds) = (Instant::now(), spent(), 0_u32);
    while start.elapsed() < length {
        for _ in 0..64 {
            work();
        }
        rounds += 64;
    }
    (spent() - before) / rounds
}

/// The time of the server's side of one full handshake, with the settings of the listener and without
/// a socket.
pub fn handshake(length: Duration) -> Duration {
    let name = "localhost".to_owned();
    let pair = self_signed(std::slice::from_ref(&name), Clock::System.now()).expect("a pair");
    let (certificate, key) = (pair.certificate.as_bytes(), pair.key.expose().as_bytes());
    let tls =
        Tls::from_pem(certificate, key, MinimumVersion::Tls12, Clock::System).expect("a pair");
    let client_side = connector(&pair.ca);
    let name = ServerName::try_from(name).expect("a name");
    let (start, mut spent, mut rounds) = (Instant::now(), Duration::ZERO, 0_u32);
    while start.elapsed() < length {
        let config = client_side.config().clone();
        let mut client = ClientConnection::new(config, name.clone()).expect("a client");
        let begin = Instant::now();
        let mut server = ServerConnection::new(tls.current()).expect("a server");
        spent += begin.elapsed();
        while client.is_handshaking() || server.is_handshaking() {
            let (mut sent, mut answered) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut sent).expect("memory");
            }
            let begin = Instant::now();
            server.read_tls(&mut sent.as_slice()).expect("memory");
            server.process_new_packets().expect("a sound handshake");
            while server.wants_write() {
                server.write_tls(&mut answered).expect("memory");
            }
            spent += begin.elapsed();
            client.read_tls(&mut answered.as_slice()).expect("memory");
            client.process_new_packets().expect("a sound handshake");
        }
        rounds += 1;
    }
    spent / rounds
}

/// Appends a record for each arrival of the schedule and syncs: records that arrive during a sync
/// are written by the next one. Returns the latencies and the number of syncs.
pub fn append_and_sync(folder: &Path, schedule: Schedule) -> (Histogram, u64) {
    let mut file = File::create(folder.join("bare-log")).expect("the folder can be written");
    let (mut latencies, mut syncs, mut next) = (Histogram::default(), 0, 0);
    let start = Instant::now();
    let record = [0x5a_u8; RECORD];
    while next < schedule.count() {
        if let Some(left) = (start + schedule.due(next)).checked_duration_since(Instant::now()) {
            thread::sleep(left);
        }
        let first = next;
        let mut group = Vec::new();
        while next < schedule.count() && start + schedule.due(next) <= Instant::now() {
            group.extend_from_slice(&record);
            next += 1;
        }
        file.write_all(&group).and_then(|()| file.sync_data()).expect("the disk has room");
        syncs += 1;
        for number in first..next {
            latencies.record((start + schedule.due(number)).elapsed());
        }
    }
    (latencies, syncs)
}
