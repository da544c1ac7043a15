//! A new data key, and every way in which its commit can fail.

use super::*;

#[tokio::test]
async fn a_new_data_key_encrypts_and_the_older_ones_decrypt() {
    let (memory, sealed, store) = open().await;
    store.commit(Batch::new().put(key::role(MOUNT, "old"), b"1".to_vec())).await.unwrap();
    assert_eq!(sealed.values_sealed(), Some(1));
    sealed.add_data_key().await.unwrap();
    assert_eq!(sealed.values_sealed(), Some(0));
    store.commit(Batch::new().put(key::role(MOUNT, "new"), b"2".to_vec())).await.unwrap();
    let again = sealed_by(&memory, static_key("2026", 1), None);
    again.unseal().await.unwrap();
    let snapshot = Store::from(again).snapshot().await.unwrap();
    let entries = snapshot.scan(&key::roles(MOUNT).range(), 10).await.unwrap();
    let values: Vec<_> = entries.into_iter().map(|entry| entry.value).collect();
    assert_eq!(values, [b"2".to_vec(), b"1".to_vec()]);
    let below = Store::danger_unsealed(memory).snapshot().await.unwrap();
    let (_, stored) = below.get(&key::role(MOUNT, "new")).await.unwrap().unwrap();
    assert_eq!(stored[..5], [1, 0, 0, 0, 2]);
}

/// Rotates the data key while its commit fails with `fault`. Returns the result and the numbers of the keys
/// that encrypt afterwards, in this process and in the next one.
async fn rotated_with(fault: CommitFault) -> (Result<(), SealError>, u8, u8) {
    let (memory, sealed, store) = open().await;
    store.commit(put("old")).await.unwrap();
    memory.danger_inject(1, fault);
    let outcome = sealed.add_data_key().await;
    let below = Store::danger_unsealed(memory.clone());
    let mut numbers = Vec::new();
    for store in [store, again(&memory).await.1] {
        store.commit(put("new")).await.unwrap();
        let (_, stored) =
            below.snapshot().await.unwrap().get(&key::role(MOUNT, "new")).await.unwrap().unwrap();
        numbers.push(stored[4]);
        for name in ["old", "new"] {
            let snapshot = store.snapshot().await.unwrap();
            assert!(snapshot.get(&key::role(MOUNT, name)).await.is_ok(), "{name}");
        }
    }
    (outcome, numbers[0], numbers[1])
}

#[tokio::test]
async fn after_a_commit_of_unknown_outcome_the_stored_data_key_is_used() {
    let stored = rotated_with(CommitFault::LostResponse).await;
    assert_eq!(stored, (Ok(()), 2, 2));
    for fault in [CommitFault::LostRequest, CommitFault::FailedNotDone, CommitFault::Conflict] {
        let (outcome, in_use, after_restart) = rotated_with(fault).await;
        assert!(matches!(outcome, Err(SealError::Commit(_))), "{outcome:?}");
        assert_eq!((in_use, after_restart), (1, 1));
    }
}

#[tokio::test]
async fn a_data_key_that_another_process_added_is_taken_over() {
    let (memory, sealed, store) = open().await;
    again(&memory).await.0.add_data_key().await.unwrap();
    // The commit conflicts with the keyring of the other process only if it read the keyring before.
    memory.danger_inject(1, CommitFault::Conflict);
    sealed.add_data_key().await.unwrap();
    store.commit(put("a")).await.unwrap();
    let below = Store::danger_unsealed(memory).snapshot().await.unwrap();
    let (_, stored) = below.get(&key::role(MOUNT, "a")).await.unwrap().unwrap();
    assert_eq!(stored[..5], [1, 0, 0, 0, 2]);
}

#[tokio::test]
async fn a_sealed_store_gets_no_data_key_and_stays_sealed() {
    let (_, sealed, _) = open().await;
    sealed.seal();
    let refused = sealed.add_data_key().await;
    assert_eq!(refused, Err(SealError::Read(ReadError::Sealed)));
    assert!(sealed.is_sealed());
}

/// The record of the count belongs to the newer key while this process still has the older one.
#[tokio::test]
async fn a_count_never_falls_while_another_process_has_a_newer_key() {
    let (memory, ..) = open().await;
    let (sealed, store) = again(&memory).await;
    store.commit(put("a")).await.unwrap();
    let used = sealed.values_sealed().unwrap();
    again(&memory).await.0.add_data_key().await.unwrap();
    for _ in 0..1_100 {
        store.commit(put("a")).await.unwrap();
    }
    assert!(sealed.values_sealed().unwrap() >= used + 1_100);
}
