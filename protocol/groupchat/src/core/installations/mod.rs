//! The installations of accounts: who is live beyond what groups attached, and what follows for who
//! is not any more.
//!
//! An account's entries come with commits, invitations and registration records, and from its own
//! installations. Whoever holds a revocation refuses at once what the revoked installation says, in
//! every group, and sees to it that its leaf is taken out; the own account's installations at once,
//! others after a random wait, so that one of them does it.
//!
//! | module | what |
//! |---|---|
//! | [`known`] | entries that were learnt, and who departed by them |
//! | [`revoke`] | putting installations of the own account out |
//! | [`view`] | all installations of the own account |

mod known;
mod revoke;
mod view;

pub(super) use self::known::Known;
