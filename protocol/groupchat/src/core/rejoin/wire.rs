//! Requests and answers as they travel, and whether a commit may swap a leaf.
//!
//! A swap is valid by the state that it leaves alone, and only once: its request names the HPKE
//! keys of the leaves that may go for it, and the leaf that comes has another one.

use openmls::group::MlsGroup;
use prost::Message as _;

use crate::account::{InstallationKey, verify};
use crate::core::members;
use crate::core::records::StateName;
use crate::kdf::label;
use crate::limits::{REJOIN_LEAVES, REJOIN_STATES};
use crate::mls::message::Staged;
use crate::mls::package::Package;
use crate::mls::{self, Provider};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// Bytes of a leaf's HPKE key (X25519).
const LEAF_KEY: usize = 32;

/// A request whose signature and fields hold.
#[derive(Clone, Debug)]
pub(in crate::core) struct Request {
    pub(in crate::core) installation: InstallationId,
    pub(in crate::core) account: AccountId,
    pub(super) time: Timestamp,
    pub(in crate::core) package: Package,
    /// The key package as it came.
    pub(super) package_bytes: Vec<u8>,
    leaves: Vec<Vec<u8>>,
    pub(super) states: Vec<StateName>,
    pub(super) lost: Option<StateName>,
    pub(in crate::core) signed: pb::SignedRequest,
}

/// What a request says, as its maker knows it.
pub(super) struct Wanted<'a> {
    pub(super) group: GroupId,
    pub(super) time: Timestamp,
    pub(super) key_package: &'a [u8],
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) states: Vec<StateName>,
    pub(super) lost: Option<StateName>,
}

impl Wanted<'_> {
    pub(super) fn sign(self, key: &InstallationKey) -> pb::SignedRequest {
        let request = pb::RejoinRequest {
            group: self.group.as_bytes().to_vec(),
            installation: key.id().as_bytes().to_vec(),
            time: self.time.as_nanos(),
            key_package: self.key_package.to_vec(),
            leaves: self.leaves,
            states: self.states.iter().map(|name| name.to_vec()).collect(),
            lost: self.lost.map(|name| name.to_vec()).unwrap_or_default(),
        }
        .encode_to_vec();
        let signature = key.sign(label::REJOIN_REQUEST, &request).to_vec();
        pb::SignedRequest { request, signature }
    }
}

/// The fields of a request for a group, if its installation signed it.
fn signed_fields(id: GroupId, signed: &pb::SignedRequest) -> Option<pb::RejoinRequest> {
    let request = pb::RejoinRequest::decode(signed.request.as_slice()).ok()?;
    let installation = InstallationId::from_slice(&request.installation)?;
    let sound = request.group == id.as_bytes()
        && request.leaves.len() <= REJOIN_LEAVES
        && request.leaves.iter().all(|leaf| leaf.len() == LEAF_KEY)
        && request.states.len() <= REJOIN_STATES;
    let message = (&signed.request, signed.signature.as_slice());
    let signed = verify(installation.as_bytes(), label::REJOIN_REQUEST, message.0, message.1);
    (sound && signed).then_some(request)
}

impl Request {
    /// `None` if it does not hold: it is for another group, is not signed by its installation, or
    /// its key package is not that installation's.
    pub(super) fn verify(
        provider: &Provider<'_>,
        id: GroupId,
        signed: pb::SignedRequest,
    ) -> Option<Self> {
        let request = signed_fields(id, &signed)?;
        let package = mls::package::check(provider, &request.key_package).ok()?;
        let (named, account) = members::parse_identity(&package.identity)?;
        let installation = InstallationId::from_slice(&request.installation)?;
        let states: Option<Vec<StateName>> =
            request.states.into_iter().map(|name| name.try_into().ok()).collect();
        (named == installation && package.installation == installation).then_some(())?;
        Some(Self {
            installation,
            account,
            time: Timestamp::from_nanos(request.time),
            package,
            package_bytes: request.key_package,
            leaves: request.leaves,
            states: states?,
            lost: request.lost.as_slice().try_into().ok(),
            signed,
        })
    }

    /// Whether it allows to swap the leaf that has this key.
    pub(super) fn allows(&self, leaf: &[u8]) -> bool {
        allows(&self.leaves, &self.package, leaf)
    }
}

/// The new leaf has another key, so no request serves twice.
fn allows(leaves: &[Vec<u8>], package: &Package, leaf: &[u8]) -> bool {
    package.leaf_key != leaf && leaves.iter().any(|known| known == leaf)
}

/// The members whose leaves a commit swaps, each by a request that it brings. `None` if one request
/// does not fit, or if somebody is taken out and comes in again without one.
pub(in crate::core) fn swapped(
    id: GroupId,
    group: &MlsGroup,
    staged: &Staged,
    requests: &[pb::SignedRequest],
) -> Option<Vec<InstallationId>> {
    let goes = |i: &InstallationId| staged.removes.iter().any(|m| m.installation == *i);
    let both = |i: &InstallationId| goes(i) && staged.adds.iter().any(|p| p.installation == *i);
    let mut swaps = Vec::new();
    for signed in requests {
        let request = signed_fields(id, signed)?;
        let installation = InstallationId::from_slice(&request.installation)?;
        let mut added = staged.adds.iter().filter(|p| p.installation == installation);
        let package = added.next().filter(|_| added.next().is_none())?;
        let leaf = mls::group::leaf_key(group, &installation)?;
        let fits = package.bytes().is_some_and(|bytes| bytes == request.key_package)
            && both(&installation)
            && !swaps.contains(&installation)
            && allows(&request.leaves, package, &leaf);
        fits.then(|| swaps.push(installation))?;
    }
    let unasked = staged.adds.iter().map(|p| p.installation);
    let mut unasked = unasked.filter(|i| both(i) && !swaps.contains(i));
    unasked.next().is_none().then_some(swaps)
}

/// Signs an answer.
pub(super) fn sign_answer(
    key: &InstallationKey,
    package: &[u8; 32],
    sealed: Vec<u8>,
) -> pb::RejoinAnswer {
    let signature = key.sign(label::REJOIN_ANSWER, &[package.as_slice(), &sealed].concat());
    pb::RejoinAnswer {
        package: package.to_vec(),
        installation: key.id().as_bytes().to_vec(),
        sealed,
        signature: signature.to_vec(),
    }
}

/// The request that an answer names, and who answers, if that one signed it.
pub(super) fn verify_answer(answer: &pb::RejoinAnswer) -> Option<([u8; 32], InstallationId)> {
    let package: [u8; 32] = answer.package.as_slice().try_into().ok()?;
    let by = InstallationId::from_slice(&answer.installation)?;
    let signed = [package.as_slice(), &answer.sealed].concat();
    let good = verify(by.as_bytes(), label::REJOIN_ANSWER, &signed, &answer.signature);
    good.then_some((package, by))
}
