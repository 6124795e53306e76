//! Writes of the chat's database that fail because a test wants them to.
//!
//! `WAKU_GROUPCHAT_FAIL_WRITES=<path>` names a file with a number: one in so many writes fails as on
//! a disk that is full, none for 0. Which ones, is the same in every run, and has no period: with one,
//! a command that is tried again could meet a write that fails each time, if another write comes
//! between. The file is read at each write, so a test can set it for a node that runs. Only builds
//! with debug assertions look at the variable.

/// The variable that names the file.
pub const VARIABLE: &str = "WAKU_GROUPCHAT_FAIL_WRITES";

/// Fails if this write is to fail. What is to be written is not written then.
#[cfg(debug_assertions)]
pub(crate) fn write() -> Result<(), waku_groupchat_core::StoreError> {
    use std::io::{Error, ErrorKind};
    if set::fails() {
        let full = Error::from(ErrorKind::StorageFull);
        return Err(waku_groupchat_core::StoreError::new("writing a batch, in a test", full));
    }
    Ok(())
}

#[cfg(debug_assertions)]
mod set {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::VARIABLE;

    /// Whether this write is one that a test has failing.
    pub(super) fn fails() -> bool {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let file = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let Some(file) = file else { return false };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let every: u64 = text.trim().parse().unwrap_or_else(|_| {
            eprintln!("{VARIABLE}: {} must hold a number", file.display());
            std::process::abort()
        });
        every > 0 && mixed(WRITES.fetch_add(1, Ordering::Relaxed)).is_multiple_of(every)
    }

    /// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
    fn mixed(n: u64) -> u64 {
        let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }
}
