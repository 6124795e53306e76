//! What all members of a state agree on: the GroupContext's extensions.

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::records::GroupRecord;
use crate::kdf::{self, label};
use crate::limits::{DESCRIPTION_BYTES, NAME_BYTES, PERIOD};
use crate::order::roles::{Authority, Policy, Role};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId};

/// GroupContext extension: name and description.
pub(super) const PROFILE: u16 = 0xF7A0;
/// GroupContext extension: what never changes.
pub(super) const PARAMETERS: u16 = 0xF7A1;
/// GroupContext extension: digest of the attached log entries.
pub(super) const LOG_DIGEST: u16 = 0xF7A2;
/// GroupContext extension: roles and policy.
pub(super) const AUTHORITY: u16 = 0xF7A3;

/// What never changes in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Topic period in seconds.
    pub(super) period: u64,
    pub(super) creator: InstallationId,
    pub(super) nonce: [u8; 16],
}

impl Parameters {
    pub(super) fn of(record: &GroupRecord) -> Self {
        Self { period: record.period, creator: record.creator, nonce: record.nonce }
    }

    /// Whether a group's id is the one of its creator and nonce: nobody else can make that group.
    pub(super) fn names(&self, id: GroupId) -> bool {
        group_id(self.creator, &self.nonce) == id
    }

    fn encode(&self) -> Vec<u8> {
        pb::Parameters {
            topic_period: self.period,
            creator: self.creator.as_bytes().to_vec(),
            nonce: self.nonce.to_vec(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let parameters = pb::Parameters::decode(bytes).ok()?;
        (1..=PERIOD.as_secs()).contains(&parameters.topic_period).then_some(())?;
        Some(Self {
            period: parameters.topic_period,
            creator: InstallationId::from_slice(&parameters.creator)?,
            nonce: parameters.nonce.try_into().ok()?,
        })
    }
}

/// What members can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) authority: Authority,
    /// Of the log entries attached on the path.
    pub(crate) log_digest: [u8; 32],
}

impl Agreed {
    pub(super) fn extensions(&self, parameters: &Parameters) -> Vec<(u16, Vec<u8>)> {
        let profile =
            pb::Profile { name: self.name.clone(), description: self.description.clone() };
        vec![
            (PROFILE, profile.encode_to_vec()),
            (PARAMETERS, parameters.encode()),
            (LOG_DIGEST, self.log_digest.to_vec()),
            (AUTHORITY, encode_authority(&self.authority)),
        ]
    }

    /// `None` if one is missing or out of its bounds.
    pub(super) fn parse(extensions: &[(u16, Vec<u8>)]) -> Option<(Self, Parameters)> {
        let find = |kind| extensions.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.as_slice());
        let profile = pb::Profile::decode(find(PROFILE)?).ok()?;
        let sound = (1..=NAME_BYTES).contains(&profile.name.len())
            && profile.description.len() <= DESCRIPTION_BYTES;
        let agreed = Self {
            name: profile.name,
            description: profile.description,
            authority: decode_authority(find(AUTHORITY)?)?,
            log_digest: find(LOG_DIGEST)?.try_into().ok()?,
        };
        let parameters = Parameters::decode(find(PARAMETERS)?)?;
        sound.then_some((agreed, parameters))
    }
}

/// The id of a group: bound to who made it.
pub(super) fn group_id(creator: InstallationId, nonce: &[u8; 16]) -> GroupId {
    let hash = kdf::hash(label::GROUP_ID, &[creator.as_bytes(), nonce]);
    let mut id = [0; GroupId::LEN];
    id.copy_from_slice(&hash[..GroupId::LEN]);
    GroupId::from_bytes(id)
}

fn encode_authority(authority: &Authority) -> Vec<u8> {
    let accounts = |set: &std::collections::BTreeSet<AccountId>| {
        set.iter().map(|account| account.as_bytes().to_vec()).collect()
    };
    let Policy { add, remove, profile, roles, policy } = authority.policy;
    pb::Authority {
        owners: accounts(&authority.owners),
        admins: accounts(&authority.admins),
        policy: Some(pb::Policy {
            add: rank(add),
            remove: rank(remove),
            profile: rank(profile),
            roles: rank(roles),
            policy: rank(policy),
        }),
    }
    .encode_to_vec()
}

fn decode_authority(bytes: &[u8]) -> Option<Authority> {
    let decoded = pb::Authority::decode(bytes).ok()?;
    let accounts = |list: &[Vec<u8>]| -> Option<Vec<AccountId>> {
        list.iter().map(|account| AccountId::from_slice(account)).collect()
    };
    let (owners, admins) = (accounts(&decoded.owners)?, accounts(&decoded.admins)?);
    let ascending = owners.is_sorted_by(|a, b| a < b) && admins.is_sorted_by(|a, b| a < b);
    let apart = admins.iter().all(|account| owners.binary_search(account).is_err());
    let policy = decoded.policy?;
    let policy = Policy {
        add: role(policy.add)?,
        remove: role(policy.remove)?,
        profile: role(policy.profile)?,
        roles: role(policy.roles)?,
        policy: role(policy.policy)?,
    };
    let authority = Authority {
        owners: owners.into_iter().collect(),
        admins: admins.into_iter().collect(),
        policy,
    };
    (ascending && apart).then_some(authority)
}

fn rank(role: Role) -> u32 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

fn role(rank: u32) -> Option<Role> {
    match rank {
        0 => Some(Role::Member),
        1 => Some(Role::Admin),
        2 => Some(Role::Owner),
        _ => None,
    }
}
