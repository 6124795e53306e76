//! Opening a database: its directory, its lock, its format.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rocksdb::{ColumnFamilyDescriptor, DB, ErrorKind, IteratorMode, Options, WriteOptions};

/// Why a database could not be opened. Each names its directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made or entered.
    #[error("database directory {path} cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process, or another part of this one, has it open.
    #[error("database {path} is in use: another process has it open")]
    DatabaseInUse {
        /// The directory.
        path: PathBuf,
    },
    /// A newer version of this software wrote it.
    #[error("database {path} has format {found}; this version reads up to {supported}")]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// A database, but of another kind or of other software.
    #[error("{path} holds a database, but not a {expected} database")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The kind that was to be opened.
        expected: &'static str,
    },
    /// Its files are damaged.
    #[error("database {path} is corrupt")]
    Corrupt {
        /// The directory.
        path: PathBuf,
        /// What RocksDB found.
        source: rocksdb::Error,
    },
    /// Anything else: no space, no permission, a missing file.
    #[error("database {path} cannot be opened")]
    Database {
        /// The directory.
        path: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
}

/// What a database is made of.
pub(crate) struct Layout {
    /// Its kind, which is written into it.
    pub(crate) kind: &'static str,
    /// The newest format known here, likewise.
    pub(crate) format: u32,
    /// Its column families, less `default`.
    pub(crate) families: &'static [&'static str],
}

/// In the column family `default`: kind and format as text, such as `archive 1`.
const FORMAT_KEY: &[u8] = b"format";

/// Opens a database, or makes it.
pub(crate) fn open(
    path: &Path,
    layout: &Layout,
    options: &Options,
    mut family: impl FnMut(&str) -> Options,
) -> Result<DB, OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| OpenError::Directory { path: path.to_owned(), source })?;
    let names = family_names(path, layout, options)?;
    let descriptors =
        names.iter().map(|name| ColumnFamilyDescriptor::new(name.as_str(), family(name)));
    let db = DB::open_cf_descriptors(options, path, descriptors)
        .map_err(|source| classify(path, source))?;
    check_format(&db, layout, &names)?;
    Ok(db)
}

/// The layout's column families, and those of a newer format, which RocksDB wants named too before
/// the format can be read.
fn family_names(path: &Path, layout: &Layout, options: &Options) -> Result<Vec<String>, OpenError> {
    let mut names = vec!["default".to_owned()];
    names.extend(layout.families.iter().map(|name| (*name).to_owned()));
    // RocksDB's pointer to its list of files: there from the first opening on.
    if path.join("CURRENT").exists() {
        let found = DB::list_cf(options, path).map_err(|source| classify(path, source))?;
        names.extend(
            found
                .into_iter()
                .filter(|name| name != "default" && !layout.families.contains(&name.as_str())),
        );
    }
    Ok(names)
}

/// Reads the format, or writes it into an empty database.
fn check_format(db: &DB, layout: &Layout, families: &[String]) -> Result<(), OpenError> {
    let path = db.path();
    let foreign = || OpenError::Foreign { path: path.to_owned(), expected: layout.kind };
    let Some(stored) = db.get(FORMAT_KEY).map_err(|source| classify(path, source))? else {
        if !is_empty(db, families).map_err(|source| classify(path, source))? {
            return Err(foreign());
        }
        let mut sync = WriteOptions::default();
        sync.set_sync(true);
        let text = format!("{} {}", layout.kind, layout.format);
        return db.put_opt(FORMAT_KEY, text, &sync).map_err(|source| classify(path, source));
    };
    let found = std::str::from_utf8(&stored)
        .ok()
        .and_then(|text| text.strip_prefix(layout.kind)?.strip_prefix(' ')?.parse().ok())
        .ok_or_else(foreign)?;
    if found > layout.format {
        let supported = layout.format;
        return Err(OpenError::NewerFormat { path: path.to_owned(), found, supported });
    }
    Ok(())
}

fn is_empty(db: &DB, families: &[String]) -> Result<bool, rocksdb::Error> {
    for family in families.iter().filter_map(|name| db.cf_handle(name)) {
        if db.iterator_cf(family, IteratorMode::Start).next().transpose()?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// RocksDB has no error kind for a lock that is held, only these two texts.
fn classify(path: &Path, source: rocksdb::Error) -> OpenError {
    let path = path.to_owned();
    let text: &str = source.as_ref();
    match source.kind() {
        ErrorKind::IOError
            if text.contains("While lock file")
                || text.contains("lock hold by current process") =>
        {
            OpenError::DatabaseInUse { path }
        }
        ErrorKind::Corruption => OpenError::Corrupt { path, source },
        _ => OpenError::Database { path, source },
    }
}
