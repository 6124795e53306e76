//! Opening a database: its directory, its lock, its format.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rocksdb::{
    ColumnFamilyDescriptor, DB, ErrorKind, IteratorMode, Options, WriteBatch, WriteOptions,
};

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
    #[error(
        "database {path} was written by a newer version of this software: it has format {found}, \
         this version reads up to format {supported}; start the newer one again"
    )]
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
    #[error("database {path} is corrupt; docs/faults.md says what can be done")]
    Corrupt {
        /// The directory.
        path: PathBuf,
        /// What RocksDB found.
        source: rocksdb::Error,
    },
    /// It could not be brought to the format of this version. It goes on where it was at the next
    /// opening.
    #[error("database {path} cannot be brought from format {from} to the next")]
    Migration {
        /// The directory.
        path: PathBuf,
        /// The format that it still has.
        from: u32,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
    /// There is no space left.
    #[error("database {path} cannot be opened: the disk is full; free some space and start again")]
    DiskFull {
        /// The directory.
        path: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
    /// Anything else: no permission, a missing file.
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
    /// Its column families, less `default`.
    pub(crate) families: &'static [&'static str],
    /// How older formats become the newest one; the step at place `n` leads from format `n + 1`.
    pub(crate) steps: &'static [Step],
}

impl Layout {
    /// The newest format known here.
    fn format(&self) -> u32 {
        FIRST + u32::try_from(self.steps.len()).unwrap_or(u32::MAX - FIRST)
    }

    fn format_text(&self, format: u32) -> String {
        format!("{} {format}", self.kind)
    }
}

/// The first format.
const FIRST: u32 = 1;

/// Leads from one format to the next, in one batch or in several: each is written before the step
/// is asked for the next one, so it has to know what is converted already. Column families that the
/// layout does not name any more are open, too.
pub(crate) type Step = fn(&DB, &mut WriteBatch) -> Result<Progress, rocksdb::Error>;

/// How far a step got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "until there is a second format"))]
pub(crate) enum Progress {
    /// There is more; the batch can be written.
    Part,
    /// The batch is the last one.
    Done,
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
        return db
            .put_opt(FORMAT_KEY, layout.format_text(layout.format()), &synced())
            .map_err(|source| classify(path, source));
    };
    let found = std::str::from_utf8(&stored)
        .ok()
        .and_then(|text| text.strip_prefix(layout.kind)?.strip_prefix(' ')?.parse().ok())
        .ok_or_else(foreign)?;
    let supported = layout.format();
    match found {
        0 => Err(foreign()),
        _ if found > supported => {
            Err(OpenError::NewerFormat { path: path.to_owned(), found, supported })
        }
        _ => migrate(db, layout, found),
    }
}

/// Brings a database to the newest format, one after the other.
fn migrate(db: &DB, layout: &Layout, mut format: u32) -> Result<(), OpenError> {
    while let Some(step) = layout.steps.get((format - FIRST) as usize) {
        let failed =
            |source| OpenError::Migration { path: db.path().to_owned(), from: format, source };
        let mut write = WriteBatch::default();
        let progress = step(db, &mut write).map_err(failed)?;
        if progress == Progress::Done {
            write.put(FORMAT_KEY, layout.format_text(format + 1));
        }
        db.write_opt(write, &synced()).map_err(failed)?;
        if progress == Progress::Done {
            format += 1;
        }
    }
    Ok(())
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn is_empty(db: &DB, families: &[String]) -> Result<bool, rocksdb::Error> {
    for family in families.iter().filter_map(|name| db.cf_handle(name)) {
        if db.iterator_cf(family, IteratorMode::Start).next().transpose()?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether there was no space for what was to be written.
pub(crate) fn is_full(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    ["No space left on device", "Disk quota exceeded"].iter().any(|full| text.contains(full))
}

/// What RocksDB says where there is no space, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("the disk is full at {path}: free some space there, and it goes on by itself")]
pub(crate) struct DiskFull {
    pub(crate) path: String,
    pub(crate) source: rocksdb::Error,
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
        _ if is_full(&source) => OpenError::DiskFull { path, source },
        _ => OpenError::Database { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[&str] = &["old"];
    const NEW: &[&str] = &["new"];

    /// What is in `old` goes to `new`, a pair a batch.
    fn move_over(db: &DB, write: &mut WriteBatch) -> Result<Progress, rocksdb::Error> {
        let (old, new) = (db.cf_handle("old").expect("old"), db.cf_handle("new").expect("new"));
        let Some(pair) = db.iterator_cf(old, IteratorMode::Start).next() else {
            return Ok(Progress::Done);
        };
        let (key, value) = pair?;
        write.put_cf(new, &key, value);
        write.delete_cf(old, &key);
        Ok(Progress::Part)
    }

    /// As [`move_over`], but the disk is full at the second pair.
    fn move_and_fail(db: &DB, write: &mut WriteBatch) -> Result<Progress, rocksdb::Error> {
        let new = db.cf_handle("new").expect("new");
        match db.iterator_cf(new, IteratorMode::Start).next() {
            Some(_) => Err(DB::open_default("/dev/null/none").expect_err("no directory")),
            None => move_over(db, write),
        }
    }

    /// Doubles the values of `new`.
    fn double(db: &DB, write: &mut WriteBatch) -> Result<Progress, rocksdb::Error> {
        let new = db.cf_handle("new").expect("new");
        for pair in db.iterator_cf(new, IteratorMode::Start) {
            let (key, value) = pair?;
            write.put_cf(new, key, value.repeat(2));
        }
        Ok(Progress::Done)
    }

    fn opened(path: &Path, families: Families, steps: &'static [Step]) -> Result<DB, OpenError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let layout = Layout { kind: "test", families, steps };
        open(path, &layout, &options, |_| Options::default())
    }

    type Families = &'static [&'static str];

    fn first_format() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let db = opened(folder.path(), OLD, &[]).expect("new");
        for (key, value) in [("1", "x"), ("2", "y"), ("3", "z")] {
            db.put_cf(db.cf_handle("old").expect("old"), key, value).expect("written");
        }
        folder
    }

    fn assert_third(db: &DB) {
        assert_eq!(db.get(FORMAT_KEY).expect("read").as_deref(), Some(&b"test 3"[..]));
        let all: Vec<_> = db
            .iterator_cf(db.cf_handle("new").expect("new"), IteratorMode::Start)
            .map(|pair| pair.expect("read").1)
            .collect();
        assert_eq!(all.iter().map(|v| &**v).collect::<Vec<_>>(), [&b"xx"[..], b"yy", b"zz"]);
        let old = db.cf_handle("old").expect("old");
        assert!(db.iterator_cf(old, IteratorMode::Start).next().is_none());
    }

    #[test]
    fn an_older_format_is_brought_up_to_date_once() {
        let folder = first_format();
        for _ in 0..2 {
            assert_third(&opened(folder.path(), NEW, &[move_over, double]).expect("migrated"));
        }
    }

    #[test]
    fn a_migration_that_fails_goes_on_where_it_was() {
        let folder = first_format();
        let error = opened(folder.path(), NEW, &[move_and_fail, double]).expect_err("full");
        assert!(matches!(error, OpenError::Migration { from: 1, .. }), "{error}");
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        assert_third(&opened(folder.path(), NEW, &[move_over, double]).expect("migrated"));
    }

    #[test]
    fn a_newer_format_is_refused_with_both_numbers() {
        let folder = first_format();
        drop(opened(folder.path(), NEW, &[move_over, double]).expect("migrated"));
        let error = opened(folder.path(), OLD, &[]).expect_err("newer");
        assert!(matches!(error, OpenError::NewerFormat { found: 3, supported: 1, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("format 3") && text.contains("format 1"), "{text}");
        assert_third(&opened(folder.path(), NEW, &[move_over, double]).expect("as it was"));
    }
}
