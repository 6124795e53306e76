//! RocksDB's settings, each with its reason.
//!
//! The defaults of RocksDB are made for servers with memory to spare. A node is one small process:
//! both databases together take some 50 MiB at most, whatever they hold.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode,
    DataBlockIndexType, LogLevel, Options, WriteBufferManager,
};

const MIB: usize = 1024 * 1024;

/// Cache of uncompressed blocks, with the blocks of indexes and filters. Reads of the key-value
/// store go to few hot keys (the state of live groups), so a small one does.
const KV_BLOCK_CACHE: usize = 8 * MIB;

/// Memory for writes before they go to a table. OpenMLS rewrites a group's whole secret store at
/// each message (up to some 100 KiB): the longer overwritten values stay in memory, the fewer of
/// them reach a table.
const KV_WRITE_BUFFER: usize = 8 * MIB;

/// As [`KV_BLOCK_CACHE`], and the archive's write buffers within. Pages of the archive's newest
/// messages come from the write buffers; what is asked for besides is mostly read once.
const ARCHIVE_CACHE: usize = 24 * MIB;

/// Write buffers of all column families together; the largest is flushed when it is reached.
const ARCHIVE_WRITE_BUFFERS: usize = 12 * MIB;

/// The write buffer of one column family, half of the whole: messages fill theirs long before the
/// indexes do.
const ARCHIVE_WRITE_BUFFER: usize = 6 * MIB;

/// Share of a write buffer for a filter of its keys. Most look-ups of hashes are for messages that
/// are not there, to see that they are new.
const BUFFER_FILTER: f64 = 0.05;

/// Write-ahead log after which what it still protects is flushed. Bounds both the space and the
/// time that opening takes to replay it. Without it a rarely written column family (the totals,
/// the format) would hold on to logs of hundreds of MiB.
const WAL_LIMIT: u64 = 32 * MIB as u64;

/// Open table files. The rest is opened as needed; a node's file descriptors are for peers.
const OPEN_FILES: i32 = 128;

/// Open table files of the archive. It has some 60 at a million messages and a few times that at ten
/// million; a look-up in one that is not open reads its end first.
const ARCHIVE_OPEN_FILES: i32 = 384;

/// One flush and one compaction at a time.
const BACKGROUND_JOBS: i32 = 2;

/// One flush and two compactions at a time: while one moves messages, the small tables of the other
/// families would pile up, and a look-up goes through each of them.
const ARCHIVE_BACKGROUND_JOBS: i32 = 3;

/// Bits a key of the filters: one look-up in a hundred reads a block in vain.
const FILTER_BITS: f64 = 10.0;

/// Length of the archive's blocks of messages. Four times RocksDB's: the index over them is a quarter
/// as long, so that it stays in the cache for some ten million messages, and a look-up by hash reads
/// the disk for the message alone.
const MESSAGE_BLOCK: usize = 16 * 1024;

/// RocksDB's own log files: text for people, of no use to the database.
const LOG_FILE: usize = MIB;
const LOG_FILES: usize = 2;

/// The list of files, rewritten when it has grown to this. RocksDB's default is 1 GiB.
const MANIFEST: usize = 4 * MIB;

/// Settings of a whole database that both have in common.
fn database(recovery: DBRecoveryMode) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_max_total_wal_size(WAL_LIMIT);
    options.set_max_manifest_file_size(MANIFEST);
    options.set_wal_recovery_mode(recovery);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(LOG_FILE);
    options.set_keep_log_file_num(LOG_FILES);
    // Statistics that nobody reads.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// Settings of a column family: LZ4, since what is not sealed packs well and what is costs next to
/// nothing to try; index and filter blocks inside the cache, so that the cache is all there is.
fn family(cache: &Cache, write_buffer: usize) -> (Options, BlockBasedOptions) {
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(write_buffer);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    (options, table)
}

/// The key-value store's database.
///
/// Its recovery forgives a torn end of the log, which is a batch that was never confirmed. Anything
/// else that is broken in the log was synced and confirmed, and stops the start: carrying on
/// without it would undo what the core promised, down to giving a number twice.
pub(crate) fn kv_database() -> Options {
    database(DBRecoveryMode::TolerateCorruptedTailRecords)
}

/// Makes the options of the key-value store's column families.
pub(crate) fn kv_family() -> impl FnMut(&str) -> Options {
    let cache = Cache::new_lru_cache(KV_BLOCK_CACHE);
    move |_| {
        let (mut options, mut table) = family(&cache, KV_WRITE_BUFFER);
        table.set_bloom_filter(FILTER_BITS, false);
        options.set_block_based_table_factory(&table);
        options
    }
}

/// The archive's database, and what makes the options of its column families.
///
/// Its log is not synced at each write: a crash of the process loses nothing, one of the machine at
/// most the last moments, which other store nodes have. Recovery takes the log up to its first
/// broken record, so what comes back is the state at one point in time.
///
/// Indexes and filters are in partitions, of which only the top is always in memory: the whole
/// index of a table is larger than what a look-up in it reads, and with ten million messages that
/// of all tables is larger than the cache.
///
/// Values are not kept in blob files: messages are keyed by time, so tables are written nearly in
/// order and compaction moves most of them without rewriting.
///
/// Only `point_reads` is asked for keys that may not be there, so only it has filters: Ribbon
/// filters, which take 30 % less of the cache than Bloom filters and more time to make, but in what
/// is just flushed. Only `messages` has long values.
pub(crate) fn archive(
    point_reads: &'static str,
    messages: &'static str,
) -> (Options, impl FnMut(&str) -> Options) {
    let cache = Cache::new_lru_cache(ARCHIVE_CACHE);
    let mut database = database(DBRecoveryMode::PointInTime);
    database.set_max_open_files(ARCHIVE_OPEN_FILES);
    database.set_max_background_jobs(ARCHIVE_BACKGROUND_JOBS);
    database.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
        ARCHIVE_WRITE_BUFFERS,
        false,
        cache.clone(),
    ));
    let family = move |name: &str| {
        let (mut options, mut table) = family(&cache, ARCHIVE_WRITE_BUFFER);
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_pin_top_level_index_and_filter(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        if name == messages {
            table.set_block_size(MESSAGE_BLOCK);
        }
        if name == point_reads {
            table.set_hybrid_ribbon_filter(FILTER_BITS, 1);
            table.set_partition_filters(true);
            table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(BUFFER_FILTER);
        }
        options.set_block_based_table_factory(&table);
        options
    };
    (database, family)
}
