//! What may not hold of a run, and how that is said.

use waku_groupchat_core::api::views::GapState;

/// Something that does not hold. Lines are those of the script's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A line is not shown.
    #[error("{by} does not show line {line}")]
    NotShown {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// Something is shown that was not to be seen there, or twice.
    #[error("{by} shows number {number} of {installation}, which it should not, or shows it twice")]
    Unexpected {
        /// The installation that shows it.
        by: String,
        /// Whose it is, in short.
        installation: String,
        /// Its number.
        number: u64,
    },
    /// Text or account are not those of the line.
    #[error("{by} shows line {line} with another text or account")]
    Changed {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// A line stands before one that it answers.
    #[error("{by} shows line {line} after line {after}")]
    Order {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
        /// The later line that stands before it.
        after: usize,
    },
    /// The hash shown with a line is of none of its publishes.
    #[error("{by} shows line {line} with the hash of something else")]
    OtherHash {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// The group has another name or epoch at one installation than at the first.
    #[error("{by} shows the group as {name} in epoch {epoch}, another as {first} in {first_epoch}")]
    Apart {
        /// The installation.
        by: String,
        /// The name it shows.
        name: String,
        /// The epoch it shows.
        epoch: u64,
        /// The name that the first one shows.
        first: String,
        /// The epoch that the first one shows.
        first_epoch: u64,
    },
    /// The group has a name that nobody gave it last.
    #[error("{by} shows the group as {name}, which is not the name it was given last")]
    OtherName {
        /// The installation.
        by: String,
        /// The name it shows.
        name: String,
    },
    /// Two names were given at the same time, and nobody noticed.
    #[error("two names were given at the same time, and no installation put them in an order")]
    NotReordered,
    /// An installation's numbers are not 1, 2, 3, ….
    #[error("line {line} has number {got} of its sender, not {expected}")]
    Number {
        /// The line.
        line: usize,
        /// As it should be.
        expected: u64,
        /// As it is.
        got: u64,
    },
    /// A gap was not reported before it was filled.
    #[error("{by} never reported line {line} as missing")]
    NotReported {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// A gap stands otherwise than it should.
    #[error("{by}: the gap of number {number} of {installation} is {got:?}, not {expected:?}")]
    Stands {
        /// The installation that reports it.
        by: String,
        /// Whose message it is, in short.
        installation: String,
        /// The message's number.
        number: u64,
        /// As it should stand.
        expected: GapState,
        /// As it stands.
        got: GapState,
    },
    /// A gap names another account than its installation's.
    #[error("{by}: the gap of line {line} names another account")]
    GapAccount {
        /// The installation that reports it.
        by: String,
        /// The line.
        line: usize,
    },
    /// The lost line is not known by its holder's claim.
    #[error("{by}: the gap of line {line} does not rest on its holder's claim")]
    NoClaim {
        /// The installation that reports it.
        by: String,
        /// The line.
        line: usize,
    },
    /// A gap is given up with no word of what was tried.
    #[error("{by}: the gap of line {line} does not say what was tried")]
    NothingTried {
        /// The installation that reports it.
        by: String,
        /// The line.
        line: usize,
    },
    /// Not one first publish for a line.
    #[error("line {line} was first published {got} times, not once")]
    Firsts {
        /// The line.
        line: usize,
        /// How many times.
        got: usize,
    },
    /// The first publish of a line is not in the store although the store was there.
    #[error("the store does not hold the first publish of line {line}")]
    FirstNotArchived {
        /// The line.
        line: usize,
    },
    /// The line that should reach one node alone is in the store.
    #[error("the store holds line {line}, which only one node should have")]
    LostArchived {
        /// The line.
        line: usize,
    },
    /// Something that was published while the store was there is not in it.
    #[error("the store does not hold {hash} ({kind})")]
    NotArchived {
        /// Its hash.
        hash: String,
        /// What it is.
        kind: String,
    },
    /// The store holds something that no node logged.
    #[error("the store holds {hash}, which no node says it published")]
    Stranger {
        /// Its hash.
        hash: String,
    },
}
