//! The options of RocksDB: its memory, and how it writes.

use std::num::NonZero;
use std::thread::available_parallelism;

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, LogLevel, Options, WriteBufferManager,
    WriteOptions,
};
use rustix::process::{Resource, getrlimit};

pub(super) fn options() -> Options {
    let cache = Cache::new_lru_cache(MEMORY);
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&cache);
    tables.set_bloom_filter(10.0, false);
    tables.set_whole_key_filtering(true);
    // Inside the cache, so that memory does not grow with the number of certificates.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    tables.set_format_version(6);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables);
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
        MEMTABLES, false, cache,
    ));
    options.set_write_buffer_size(MEMTABLES / 2);
    options.set_max_write_buffer_number(3);
    options.set_memtable_prefix_bloom_ratio(0.05);
    options.set_memtable_whole_key_filtering(true);
    // Encrypted values do not compress. LZ4 only reads tables of older versions.
    options.set_compression_type(DBCompressionType::None);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_max_background_jobs(2);
    // The most tables whose filters a lookup checks before they are merged; RocksDB's default of 4
    // would merge twice as often.
    options.set_level_zero_file_num_compaction_trigger(TABLES);
    options.set_max_open_files(table_files());
    options.set_bytes_per_sync(1024 * 1024);
    // Tables are written in small pieces with pauses, so that on one core a request waits for
    // one piece and not for a whole time slice of the merging thread (docs/performance.md, open loop).
    options.set_ratelimiter(bytes_per_second(), PAUSE, FAIRNESS);
    options.set_writable_file_max_buffer_size(TABLE_BUFFER);
    // Only the committer writes: there are no concurrent writers to group.
    options.set_enable_pipelined_write(false);
    options.set_allow_concurrent_memtable_write(false);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1024 * 1024);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // Opening the store detects a log that was closed, synced and then lost or shortened.
    options.set_track_and_verify_wals_in_manifest(true);
    options
}

/// The rate limit of flushes and merges. A core that only issues stores 10 MB of
/// certificates a second; these are written once when they are flushed, and again when they are merged.
fn bytes_per_second() -> i64 {
    let cores = available_parallelism().map_or(1, NonZero::get);
    i64::try_from(cores).unwrap_or(1).saturating_mul(BYTES_PER_CORE)
}

/// Tables that may be open at once: a quarter of the file descriptors where these are few.
fn table_files() -> i32 {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    i32::try_from(limit / 4).unwrap_or(i32::MAX).min(256)
}

pub(super) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Blocks, filters, indexes and memtables together, in bytes.
const MEMORY: usize = 40 * 1024 * 1024;
/// The part of [`MEMORY`] that unflushed writes may take.
const MEMTABLES: usize = 16 * 1024 * 1024;
/// Tables of the newest level that wait before they are merged into the others.
const TABLES: i32 = 8;
/// Bytes per second of flushes and merges, per core.
const BYTES_PER_CORE: i64 = 64 * 1024 * 1024;
/// The refill period of the rate limiter in microseconds; a piece is what one period allows: 320 KiB per core.
const PAUSE: i64 = 5_000;
/// One of this many times, a merge goes before a pending flush; RocksDB's default.
const FAIRNESS: i32 = 10;
/// The write buffer of a table in bytes: less than a piece.
const TABLE_BUFFER: u64 = 128 * 1024;
