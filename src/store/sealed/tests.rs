use proptest::prelude::*;

use super::super::memory::CommitFault;
use super::super::{Memory, Store};
use super::*;
use crate::store::id::{KeyId, MountId};

mod data_key_tests;

const MOUNT: &MountId = &MountId::new([7; 16]);
const SECRET: &[u8] = b"-----BEGIN PRIVATE KEY-----";

fn static_key(id: &str, byte: u8) -> StaticKey {
    StaticKey { id: id.into(), key: Secret::boxed(&[byte; 32]) }
}

fn sealed_by(memory: &Memory, current: StaticKey, previous: Option<StaticKey>) -> Arc<Sealed> {
    let entropy = Entropy::danger_seeded(u64::from(previous.is_some()));
    Sealed::new(memory.clone(), Seal::Static { current, previous }, entropy)
}

/// A store that is initialised and unsealed, and the memory engine below it.
async fn open() -> (Memory, Arc<Sealed>, Store) {
    let memory = Memory::new();
    let sealed = sealed_by(&memory, static_key("2026", 1), None);
    sealed.initialize(|_| Batch::new()).await.unwrap();
    (memory, Arc::clone(&sealed), Store::from(sealed))
}

fn private_key() -> Key {
    key::private_key(MOUNT, &KeyId::new([7; 16]))
}

#[tokio::test]
async fn a_store_is_first_empty_then_sealed_then_unsealed_then_sealed_again() {
    let memory = Memory::new();
    let sealed = sealed_by(&memory, static_key("2026", 1), None);
    let store = Store::from(Arc::clone(&sealed));
    let status = |initialized, sealed| Ok(StoreStatus { initialized, sealed });
    assert_eq!(sealed.status().await, status(false, true));
    assert_eq!(sealed.unseal().await, Err(SealError::NotInitialized));
    sealed.initialize(|_| Batch::new()).await.unwrap();
    assert_eq!(
        sealed.status().await,
        status(true, false),
        "the process that created the keys has them"
    );
    sealed.seal();
    assert_eq!(sealed.status().await, status(true, true));
    assert_eq!(sealed.initialize(|_| Batch::new()).await, Err(SealError::AlreadyInitialized));
    assert_eq!(store.snapshot().await.err(), Some(ReadError::Sealed));
    assert_eq!(store.hmac(b"token").err(), Some(ReadError::Sealed));
    let batch = Batch::new().put(private_key(), SECRET.to_vec());
    assert_eq!(store.commit(batch.clone()).await, Err(CommitError::Sealed));
    sealed.unseal().await.unwrap();
    assert_eq!(sealed.status().await, status(true, false));
    store.commit(batch).await.unwrap();
    sealed.seal();
    assert_eq!(store.snapshot().await.err(), Some(ReadError::Sealed));
    sealed.unseal().await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.get(&private_key()).await.unwrap().unwrap().1, SECRET);
}

#[tokio::test]
async fn the_engine_never_sees_a_plain_value() {
    let (memory, _, store) = open().await;
    store.commit(Batch::new().put(private_key(), SECRET.to_vec())).await.unwrap();
    let below = Store::danger_unsealed(memory).snapshot().await.unwrap();
    for key in [private_key(), key::seal(), key::keyring()] {
        let (_, value) = below.get(&key).await.unwrap().unwrap();
        assert!(!value.windows(8).any(|window| SECRET.starts_with(window)));
        assert!(!value.windows(8).any(|window| window == [1; 8]));
    }
}

#[tokio::test]
async fn one_value_encrypted_twice_has_two_ciphertexts() {
    let (memory, _, store) = open().await;
    let below = Store::danger_unsealed(memory);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..32 {
        store.commit(Batch::new().put(private_key(), SECRET.to_vec())).await.unwrap();
        let (_, text) = below.snapshot().await.unwrap().get(&private_key()).await.unwrap().unwrap();
        // The nonce never comes from the caller and never repeats.
        assert!(seen.insert(text));
    }
}

#[tokio::test]
async fn a_value_moved_to_another_key_does_not_decrypt() {
    let (memory, _, store) = open().await;
    store.commit(Batch::new().put(private_key(), SECRET.to_vec())).await.unwrap();
    let below = Store::danger_unsealed(memory);
    let (_, value) = below.snapshot().await.unwrap().get(&private_key()).await.unwrap().unwrap();
    let elsewhere = key::private_key(MOUNT, &KeyId::new([8; 16]));
    below.commit(Batch::new().put(elsewhere.clone(), value)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let refused = snapshot.get(&elsewhere).await;
    assert!(matches!(refused, Err(ReadError::Damaged { key, .. }) if key == elsewhere));
    let scan = snapshot.scan(&key::private_keys(MOUNT).range(), 10).await;
    assert!(scan.is_err());
    let keys = snapshot.keys(&key::private_keys(MOUNT).range(), 10).await.unwrap();
    assert_eq!(keys.len(), 2, "keys are listed without decrypting values");
}

#[tokio::test]
async fn every_flipped_bit_and_every_truncation_is_an_error() {
    let (memory, _, store) = open().await;
    store.commit(Batch::new().put(private_key(), SECRET.to_vec())).await.unwrap();
    let below = Store::danger_unsealed(memory);
    let stored = below.snapshot().await.unwrap().get(&private_key()).await.unwrap();
    let (_, value) = stored.unwrap();
    let mut wrong: Vec<Vec<u8>> = (0..value.len()).map(|end| value[..end].to_vec()).collect();
    for bit in 0..value.len() * 8 {
        let mut flipped = value.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wrong.push(flipped);
    }
    let decryptor = store.snapshot().await.unwrap().decryptor.unwrap();
    for bytes in wrong {
        assert!(decryptor.open(&private_key(), &bytes).is_err());
    }
    assert_eq!(decryptor.open(&private_key(), &value).unwrap(), SECRET);
}

#[tokio::test]
async fn a_wrong_key_an_unknown_key_and_another_seal_are_three_errors() {
    let (memory, _, _) = open().await;
    let wrong = sealed_by(&memory, static_key("2026", 2), None).unseal().await;
    assert_eq!(wrong, Err(SealError::WrongKey { id: "2026".into() }));
    let unknown = sealed_by(&memory, static_key("2027", 1), None).unseal().await;
    assert_eq!(unknown, Err(SealError::UnknownKey { wanted: "2026".into() }));
    let entropy = Entropy::danger_seeded(3);
    let other = Sealed::new(memory, Seal::ephemeral(&entropy), entropy).unseal().await;
    let expected = SealError::OtherSeal { stored: "static".into(), configured: "ephemeral" };
    assert_eq!(other, Err(expected));
}

#[tokio::test]
async fn the_previous_key_unseals_once_and_is_not_needed_again() {
    let (memory, _, store) = open().await;
    store.commit(Batch::new().put(private_key(), SECRET.to_vec())).await.unwrap();
    let salted = store.hmac(b"token").unwrap();
    let both = sealed_by(&memory, static_key("2027", 2), Some(static_key("2026", 1)));
    both.unseal().await.unwrap();
    let only = sealed_by(&memory, static_key("2027", 2), None);
    only.unseal().await.unwrap();
    let store = Store::from(only);
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.get(&private_key()).await.unwrap().unwrap().1, SECRET);
    assert_eq!(store.hmac(b"token").unwrap(), salted);
    let old = sealed_by(&memory, static_key("2026", 1), None).unseal().await;
    assert_eq!(old, Err(SealError::UnknownKey { wanted: "2027".into() }));
}

fn put(name: &str) -> Batch {
    Batch::new().put(key::role(MOUNT, name), b"x".to_vec())
}

/// The same store in another process.
async fn again(memory: &Memory) -> (Arc<Sealed>, Store) {
    let sealed = sealed_by(memory, static_key("2026", 1), None);
    sealed.unseal().await.unwrap();
    (Arc::clone(&sealed), Store::from(sealed))
}

/// Writes into the engine that the data key has encrypted this many values.
async fn set_used(memory: &Memory, before: u64) {
    let record = UsageRecord { key: 1, before, block: 0, written: memory.tally().puts + 1 };
    let batch = Batch::new().put_record(key::usage(), &record);
    Store::danger_unsealed(memory.clone()).commit(batch).await.unwrap();
}

#[tokio::test]
async fn the_estimate_survives_restarts_and_is_never_too_low() {
    let (memory, sealed, store) = open().await;
    let mut truth = 0;
    let mut estimate = sealed.values_sealed().unwrap();
    for round in 0..5 {
        let (sealed, store) =
            if round == 0 { (Arc::clone(&sealed), store.clone()) } else { again(&memory).await };
        assert!(sealed.values_sealed().unwrap() >= estimate.max(truth), "round {round}");
        for fault in [
            None,
            Some(CommitFault::Conflict),
            Some(CommitFault::FailedNotDone),
            Some(CommitFault::LostRequest),
            Some(CommitFault::LostResponse),
        ] {
            // The first batch of a process waits for the reservation of a block.
            store.commit(put("a")).await.unwrap();
            if let Some(fault) = fault {
                memory.danger_inject(1, fault);
            }
            let batch = put("b").put(key::role(MOUNT, "c"), b"x".to_vec());
            let _ = store.commit(batch).await;
            truth += 3;
            let used = sealed.values_sealed().unwrap();
            assert!(used >= truth && used > estimate, "{used} for {truth}, after {estimate}");
            estimate = used;
        }
        // The process ends here without closing anything.
    }
}

#[tokio::test]
async fn values_cost_no_further_writes_but_one_for_each_block() {
    let (memory, ..) = open().await;
    let (_, store) = again(&memory).await;
    let before = memory.tally();
    for _ in 0..2_000 {
        store.commit(put("a")).await.unwrap();
    }
    let after = memory.tally();
    // 2,000 values need a block of 1,024 and one of 2,048.
    assert_eq!(after.batches - before.batches, 2_002);
}

#[tokio::test]
async fn a_block_that_cannot_be_stored_is_not_used() {
    let (memory, ..) = open().await;
    for fault in [CommitFault::FailedNotDone, CommitFault::LostRequest, CommitFault::LostResponse] {
        let (sealed, store) = again(&memory).await;
        let used = sealed.values_sealed();
        memory.danger_inject(1, fault);
        assert!(matches!(store.commit(put("a")).await, Err(CommitError::NotDone(_))));
        assert_eq!(sealed.values_sealed(), used);
        store.commit(put("a")).await.unwrap();
    }
    let (_, store) = again(&memory).await;
    memory.danger_inject(1, CommitFault::Conflict);
    store.commit(put("a")).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_past_the_bound_and_a_new_data_key_starts_at_zero() {
    let (memory, ..) = open().await;
    set_used(&memory, BOUND - 10).await;
    let (sealed, store) = again(&memory).await;
    for number in 0..10 {
        store.commit(put("a")).await.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    assert_eq!(sealed.values_sealed(), Some(BOUND));
    let before = memory.tally();
    let refused = store.commit(put("b")).await;
    assert!(
        matches!(&refused, Err(CommitError::NotDone(why)) if why.contains("2^32")),
        "{refused:?}"
    );
    assert_eq!(memory.tally(), before, "the engine gets no batch");
    let deletion = Batch::new().delete(key::role(MOUNT, "a"));
    store.commit(deletion).await.unwrap();
    let (_, after_restart) = again(&memory).await;
    assert!(after_restart.commit(put("b")).await.is_err());
    sealed.add_data_key().await.unwrap();
    store.commit(put("b")).await.unwrap();
    assert!(sealed.values_sealed().unwrap() < 10);
    let (sealed, store) = again(&memory).await;
    store.commit(put("b")).await.unwrap();
    assert!(sealed.values_sealed().unwrap() < 10_000);
}

#[tokio::test]
async fn two_processes_of_one_store_use_two_blocks() {
    let (memory, ..) = open().await;
    let (one, one_store) = again(&memory).await;
    let (other, other_store) = again(&memory).await;
    one_store.commit(put("a")).await.unwrap();
    other_store.commit(put("b")).await.unwrap();
    let (one, other) = (one.values_sealed().unwrap(), other.values_sealed().unwrap());
    assert!(one.abs_diff(other) >= 1_024, "{one} and {other}");
}

/// An older version that does not know the record wrote these values, or the store is older than the record.
#[tokio::test]
async fn values_of_a_version_that_kept_no_count_are_counted() {
    let (memory, _, store) = open().await;
    for _ in 0..50 {
        store.commit(put("a")).await.unwrap();
    }
    let below = Store::danger_unsealed(memory.clone());
    below.commit(Batch::new().delete(key::usage())).await.unwrap();
    let (sealed, _) = again(&memory).await;
    assert!(sealed.values_sealed().unwrap() >= 100);
    set_used(&memory, 7).await;
    let value = below.snapshot().await.unwrap().get(&key::keyring()).await.unwrap().unwrap().1;
    for _ in 0..30 {
        below.commit(Batch::new().put(key::role(MOUNT, "old"), value.clone())).await.unwrap();
    }
    let (sealed, _) = again(&memory).await;
    assert_eq!(sealed.values_sealed(), Some(37));
}

#[tokio::test]
async fn a_count_that_cannot_be_decoded_is_an_error() {
    let (memory, ..) = open().await;
    let below = Store::danger_unsealed(memory.clone());
    let newer = vec![1, 0xa5, 0, 1, 1, 0, 2, 0, 3, 0, 4, 1];
    for bytes in [vec![], vec![2], vec![1, 0xa0], newer] {
        below.commit(Batch::new().put(key::usage(), bytes)).await.unwrap();
        let refused = sealed_by(&memory, static_key("2026", 1), None).unseal().await;
        assert!(matches!(refused, Err(SealError::Read(_))), "{refused:?}");
    }
}

/// An earlier version wrote the keys in a commit of their own.
async fn half_initialised() -> Memory {
    let (whole, ..) = open().await;
    let whole = Store::danger_unsealed(whole).snapshot().await.unwrap();
    let half = Memory::new();
    let below = Store::danger_unsealed(half.clone());
    for key in [key::seal(), key::keyring()] {
        let (_, value) = whole.get(&key).await.unwrap().unwrap();
        below.commit(Batch::new().put(key, value)).await.unwrap();
    }
    half
}

#[tokio::test]
async fn keys_without_a_store_are_replaced() {
    let memory = half_initialised().await;
    let below = Store::danger_unsealed(memory.clone());
    let keyring = async || {
        let snapshot = below.snapshot().await.unwrap();
        snapshot.get(&key::keyring()).await.unwrap().unwrap().1
    };
    let before = keyring().await;
    // Another seed: the new keys differ.
    let sealed = sealed_by(&memory, static_key("2026", 1), Some(static_key("2025", 2)));
    assert_eq!(sealed.status().await, Ok(StoreStatus { initialized: false, sealed: true }));
    assert_eq!(sealed.unseal().await, Err(SealError::HalfInitialized));
    sealed.initialize(|_| put("a")).await.unwrap();
    assert_ne!(
        keyring().await,
        before,
        "with the old keys, records put back on the disk would revive an old token"
    );
    let (_, store) = again(&memory).await;
    let snapshot = store.snapshot().await.unwrap();
    assert!(snapshot.get(&key::role(MOUNT, "a")).await.unwrap().is_some());
}

#[tokio::test]
async fn keys_of_a_store_with_records_are_never_replaced() {
    for key in
        [key::cluster(), key::usage(), key::mount(MOUNT), key::token(&[0; 32]), private_key()]
    {
        let memory = half_initialised().await;
        let below = Store::danger_unsealed(memory.clone());
        below.commit(Batch::new().put(key, vec![1])).await.unwrap();
        let sealed = sealed_by(&memory, static_key("2026", 1), None);
        assert_eq!(sealed.initialize(|_| put("a")).await, Err(SealError::AlreadyInitialized));
    }
}

#[tokio::test]
async fn a_new_store_is_one_commit_and_a_refused_one_encrypts_nothing() {
    let memory = Memory::new();
    let sealed = sealed_by(&memory, static_key("2026", 1), None);
    for fault in [CommitFault::FailedNotDone, CommitFault::LostRequest] {
        memory.danger_inject(1, fault);
        assert!(matches!(sealed.initialize(|_| put("a")).await, Err(SealError::Commit(_))));
        assert_eq!(sealed.status().await, Ok(StoreStatus { initialized: false, sealed: true }));
    }
    let before = memory.tally();
    sealed.initialize(|_| put("a")).await.unwrap();
    assert_eq!(memory.tally().batches, before.batches + 1);
    let refused = sealed.initialize(|_| -> Batch { panic!("the store exists") }).await;
    assert_eq!(refused, Err(SealError::AlreadyInitialized));
}

#[tokio::test]
async fn two_stores_keep_one_token_under_different_keys() {
    let (_, _, store) = open().await;
    let memory = Memory::new();
    let entropy = Entropy::danger_seeded(99);
    let other = Sealed::new(memory, Seal::ephemeral(&entropy), entropy);
    other.initialize(|_| Batch::new()).await.unwrap();
    assert_ne!(store.hmac(b"token").unwrap(), other.hmac(b"token").unwrap());
    assert_ne!(store.hmac(b"token").unwrap(), store.hmac(b"accessor").unwrap());
}

#[tokio::test]
async fn damaged_seal_records_are_an_error() {
    for key in [key::seal(), key::keyring()] {
        let (memory, _, _) = open().await;
        let below = Store::danger_unsealed(memory.clone());
        let stored = below.snapshot().await.unwrap().get(&key).await.unwrap();
        let (_, mut value) = stored.unwrap();
        value.truncate(value.len() / 2);
        below.commit(Batch::new().put(key, value)).await.unwrap();
        let refused = sealed_by(&memory, static_key("2026", 1), None).unseal().await;
        assert!(matches!(refused, Err(SealError::Damaged(_))), "{refused:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_error_and_never_a_panic(mut bytes: Vec<u8>, format in 0u8..3) {
        let entropy = Entropy::danger_seeded(5);
        let usage = Arc::new(Usage::of_new_store(1));
        let keyring = Keyring::new(&KeyringRecord::new(&entropy), usage).unwrap();
        prop_assert!(keyring.open(&private_key(), &bytes).is_err());
        bytes.splice(0..0, [format, 0, 0, 0, 1]);
        prop_assert!(keyring.open(&private_key(), &bytes).is_err());
        prop_assert!(KeyringRecord::unlock(&bytes, &Secret::new([1; 32])).is_err());
        prop_assert!(record::decode::<WrappedRoot>(&bytes).is_err());
    }

    #[test]
    fn an_encrypted_value_decrypts_and_is_33_bytes_longer(value: Vec<u8>) {
        let entropy = Entropy::danger_seeded(5);
        let usage = Arc::new(Usage::of_new_store(1));
        let keyring = Keyring::new(&KeyringRecord::new(&entropy), usage).unwrap();
        let sealed = keyring.seal(&private_key(), &mut value.clone(), &entropy).unwrap();
        prop_assert_eq!(sealed.len(), value.len() + 33);
        prop_assert_eq!(keyring.open(&private_key(), &sealed), Ok(value));
    }
}
