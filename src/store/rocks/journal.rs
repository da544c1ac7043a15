//! Judges the logs and the manifest of a folder before RocksDB replays them.
//!
//! RocksDB (11.8, `db/log_reader.cc`) treats the first record with a wrong checksum as the torn end of
//! the file, and ignores what follows. That is right after a loss of power, but a single flipped bit
//! then silently drops every later certificate and revocation. Some flips of a
//! header even read as a regular end. Only one group is ever written before its sync (see
//! `src/store/committer.rs`), so no group begins after a torn one; and a torn group is cut short, or
//! reads as zeros where the file grew and its pages were not written.
//! Everything else is damage and is refused.
//!
//! So RocksDB may keep its recovery mode (to the last whole record): it only meets torn ends. A
//! stricter mode refuses those too, and still takes a flipped length for an end.
//!
//! Not promised: a flipped length of the very last record looks like a torn end.
//!
//! The format: blocks of 32 KiB; records that cross no block, of checksum (4 bytes), length (2),
//! type (1) and payload, little-endian; the checksum is CRC-32C over type and payload, masked
//! (`db/log_format.h`, `util/crc32c.h`). It is private to RocksDB and may change with any release: a
//! test ties this file to the release that is built in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crc32c::crc32c;

/// Why RocksDB must not open a folder.
#[derive(Debug)]
pub(super) enum JournalError {
    /// It could not be read.
    Unreadable(PathBuf, io::Error),
    /// A whole record follows a damaged one, or the last one was changed.
    Damaged(PathBuf, usize),
}

/// Checks every log and manifest in `folder`.
pub(super) fn check(folder: &Path) -> Result<(), JournalError> {
    let unreadable = |path: &Path, error| JournalError::Unreadable(path.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".log") && !name.starts_with("MANIFEST-") {
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, error))?;
        if let Some(at) = damaged_at(&bytes) {
            return Err(JournalError::Damaged(path, at));
        }
    }
    Ok(())
}

/// The position at which the file is damaged; `None` for a torn end.
fn damaged_at(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        // The end of a block that is too short for a header stays empty.
        if rest_of_block(at) < HEADER {
            at += rest_of_block(at);
            continue;
        }
        let Some(end) = intact(bytes, at) else {
            return (!is_torn(bytes, at) || is_followed(bytes, at)).then_some(at);
        };
        at = end;
    }
    None
}

/// The end of the record at `at`, if it is whole.
fn intact(bytes: &[u8], at: usize) -> Option<usize> {
    let header: &[u8; HEADER] = bytes.get(at..)?.first_chunk()?;
    let [first, second, third, fourth, low, high, kind] = *header;
    let length = usize::from(u16::from_le_bytes([low, high]));
    if kind == 0 || HEADER + length > rest_of_block(at) {
        return None;
    }
    let end = at + HEADER + length;
    let checked = bytes.get(at + HEADER - 1..end)?;
    (masked(crc32c(checked)) == u32::from_le_bytes([first, second, third, fourth])).then_some(end)
}

/// Whether the record at `at` looks torn: too short, or with a sector of zeros that
/// was not written. A whole group has no such sector, since its values are encrypted.
fn is_torn(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some([_, _, _, _, low, high, kind]) = rest.first_chunk::<HEADER>() else { return true };
    let length = HEADER + usize::from(u16::from_le_bytes([*low, *high]));
    if length <= rest_of_block(at) && length > rest.len() {
        return true;
    }
    let end = if *kind == 0 { bytes.len() } else { bytes.len().min(at + length) };
    let mut from = at;
    while from < end {
        let to = (from + 1).next_multiple_of(SECTOR).min(end);
        let sector = bytes.get(from..to).unwrap_or_default();
        if sector.len() >= HEADER && sector.iter().all(|byte| *byte == 0) {
            return true;
        }
        from = to;
    }
    false
}

/// Whether another group begins after `at`. Pages reach the disk in any order, so later parts of a torn
/// group may be whole; the beginning of the next group cannot exist.
fn is_followed(bytes: &[u8], at: usize) -> bool {
    (at + 1..bytes.len()).any(|at| {
        let kind = bytes.get(at + HEADER - 1);
        kind.is_some_and(|kind| BEGINNINGS.contains(kind)) && intact(bytes, at).is_some()
    })
}

/// Bytes from `at` to the end of its block.
const fn rest_of_block(at: usize) -> usize {
    BLOCK - at % BLOCK
}

/// `crc32c::Mask` of RocksDB: stored checksums are masked, so that the checksum of bytes that contain
/// checksums works.
const fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;
/// A record that is whole in one part, and the first part of one that is not.
const BEGINNINGS: [u8; 2] = [1, 2];
/// The unit that a disk writes atomically, in bytes.
const SECTOR: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        part(1, payload)
    }

    fn part(kind: u8, payload: &[u8]) -> Vec<u8> {
        let checked = [&[kind], payload].concat();
        let length = u16::try_from(payload.len()).unwrap();
        let checksum = masked(crc32c(&checked));
        [&checksum.to_le_bytes()[..], &length.to_le_bytes(), &checked].concat()
    }

    fn three() -> Vec<u8> {
        [record(b"one"), record(&[7; 3000]), record(b"three")].concat()
    }

    /// This file follows this release of RocksDB. Before another release is built in, compare its
    /// `db/log_format.h`, `db/log_reader.cc` and `util/crc32c.h` with this file.
    #[test]
    fn the_format_is_that_of_the_rocksdb_that_is_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        let package = lock.split("name = \"librocksdb-sys\"\n").nth(1).unwrap();
        let version = package.split('"').nth(1).unwrap();
        assert!(version.contains("+11.8."), "librocksdb-sys is {version}");
    }

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_that_ends_early_is_torn_and_not_damaged() {
        let whole = three();
        for end in (0..=whole.len()).step_by(7) {
            assert_eq!(damaged_at(&whole[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn a_file_whose_last_pages_were_not_written_is_torn_and_not_damaged() {
        let first = [record(b"one"), record(&[7; 3000])].concat();
        for sector in 1..=first.len() / SECTOR {
            let mut torn = first.clone();
            torn[sector * SECTOR..].fill(0);
            assert_eq!(damaged_at(&torn), None, "zeros from sector {sector}");
        }
        assert_eq!(damaged_at(&[record(b"one"), vec![0; 5000]].concat()), None);
    }

    #[test]
    fn pages_reach_the_disk_in_any_order() {
        let mut torn = [record(b"one"), part(2, &[7; 3000]), part(4, &[8; 100])].concat();
        torn[1024..1536].fill(0);
        assert_eq!(damaged_at(&torn), None, "the end of a torn group is whole");
        torn.extend(record(b"next"));
        assert_eq!(
            damaged_at(&torn),
            Some(10),
            "a group is written only after the group before it is synced"
        );
    }

    #[test]
    fn a_bit_that_flipped_is_damage_except_in_the_length_of_the_last_record() {
        let whole = three();
        let last = whole.len() - record(b"three").len();
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut rotten = whole.clone();
                rotten[position] ^= 1 << bit;
                let looks_torn = (last + 4..last + 6).contains(&position);
                assert!(damaged_at(&rotten).is_some() || looks_torn, "{position}, bit {bit}");
            }
        }
    }

    #[test]
    fn records_fill_their_blocks() {
        let mut file = Vec::new();
        while rest_of_block(file.len()) > 1000 {
            file.extend(record(&[9; 800]));
        }
        let rest = rest_of_block(file.len());
        file.extend(record(&vec![8; rest - HEADER - 3]));
        file.extend([0; 3]);
        file.extend(three());
        assert_eq!(damaged_at(&file), None);
        file[BLOCK + 8] ^= 1;
        assert_eq!(damaged_at(&file), Some(BLOCK));
    }
}
