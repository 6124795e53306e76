//! Who a leaf is: the identity in its credential, and its key.

use crate::mls::leaf::Member;
use crate::{AccountId, InstallationId};

const VERSION: u8 = 1;

/// The identity of a basic credential: version, account, installation.
pub(super) fn identity(account: AccountId, installation: InstallationId) -> Vec<u8> {
    [&[VERSION], account.as_bytes().as_slice(), installation.as_bytes()].concat()
}

/// Installation and account of a leaf, if its identity parses and names the leaf's own key.
pub(super) fn parse(member: &Member) -> Option<(InstallationId, AccountId)> {
    parse_identity(&member.identity).filter(|(named, _)| *named == member.installation)
}

/// The same of all leaves, or nothing if one does not parse.
pub(super) fn parse_all(members: &[Member]) -> Option<Vec<(InstallationId, AccountId)>> {
    members.iter().map(parse).collect()
}

/// What an identity names.
pub(super) fn parse_identity(identity: &[u8]) -> Option<(InstallationId, AccountId)> {
    let (&version, rest) = identity.split_first()?;
    let (account, installation) = rest.split_at_checked(AccountId::LEN)?;
    (version == VERSION)
        .then_some(())
        .and(InstallationId::from_slice(installation))
        .zip(AccountId::from_slice(account))
}
