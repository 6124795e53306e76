//! A store as text, to keep one that an older version wrote: `key value` in hexadecimal, a pair a
//! line, after a first line with the time at which it was taken.

use std::fmt;

use data_encoding::HEXLOWER;
use waku_groupchat_core::{Batch, MemoryStore, Store, Timestamp};

/// A store, and when it was taken.
#[derive(Clone, Debug)]
pub struct Dump {
    /// When, in nanoseconds since the Unix epoch.
    pub taken: Timestamp,
    /// What it holds.
    pub store: MemoryStore,
}

/// A dump that is none, by its first line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the dump is not as it should be")]
pub struct DumpError {
    line: usize,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.taken.as_nanos())?;
        for (key, value) in self.store.iter() {
            writeln!(f, "{} {}", HEXLOWER.encode(key), HEXLOWER.encode(value))?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Dump {
    type Err = DumpError;

    fn from_str(text: &str) -> Result<Self, DumpError> {
        let mut lines = text.lines();
        let taken = lines.next().and_then(|line| line.parse().ok()).ok_or(DumpError { line: 1 })?;
        let pairs: Batch = lines
            .enumerate()
            .map(|(n, line)| pair(line).ok_or(DumpError { line: n + 2 }))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        let mut store = MemoryStore::new();
        store.commit(pairs).map_err(|_| DumpError { line: 1 })?;
        Ok(Self { taken: Timestamp::from_nanos(taken), store })
    }
}

fn pair(line: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (key, value) = line.split_once(' ')?;
    Some((HEXLOWER.decode(key.as_bytes()).ok()?, HEXLOWER.decode(value.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_reads_as_it_was_written() {
        let text = "5\n61 \n62 0102\n";
        let dump: Dump = text.parse().expect("a dump");
        assert_eq!(dump.taken, Timestamp::from_nanos(5));
        assert_eq!(dump.store.get(b"b").expect("memory"), Some(vec![1, 2]));
        assert_eq!(dump.to_string(), text);
        for (text, line) in [("", 1), ("x\n", 1), ("5\n61\n", 2), ("5\n61 00\n6 00\n", 3)] {
            assert_eq!(text.parse::<Dump>().expect_err("no dump").line, line, "{text:?}");
        }
    }
}
