//! New groups, and what is derived from a state's secrets.

use openmls::group::MlsGroup;

use super::agreed::{Agreed, Parameters};
use super::group::{Group, Line};
use super::loaded::{Loaded, Place};
use super::log_set::LogSet;
use super::members;
use super::records::{GroupRecord, Secret32, StateKeys, StateRecord};
use super::{Fault, Inner, Stop, Tx};
use crate::api::Answer;
use crate::mls::{self, MlsError, Provider, StateId, View};
use crate::order::Leaf;
use crate::order::roles::Authority;
use crate::{GroupId, Timestamp};

/// MLS exporter label of the secret that topics and seals of a state are derived from.
const WIRE_EXPORT: &str = "waku-groupchat/1 wire";
/// MLS exporter label of the secret that decides between commits that leave a state.
const TIE_EXPORT: &str = "waku-groupchat/1 tie";
/// MLS exporter label of the name by which members call a state.
const NAME_EXPORT: &str = "waku-groupchat/1 state";

impl Inner {
    pub(super) fn create_group(
        &mut self,
        tx: &mut Tx<'_>,
        name: String,
        description: String,
    ) -> Result<Answer, Stop> {
        self.own()?;
        super::commands::profile(&name, &description)?;
        let mut nonce = [0; 16];
        self.rng.fill(&mut nonce);
        let group = self.make_group(tx, nonce, name, description)?;
        self.spread_into(tx, group)?;
        Ok(Answer::GroupCreated { group })
    }

    /// Makes a group with this nonce.
    pub(super) fn make_group(
        &mut self,
        tx: &mut Tx<'_>,
        nonce: [u8; 16],
        name: String,
        description: String,
    ) -> Result<GroupId, Stop> {
        let own = self.own()?;
        let (installation, account) = (own.installation, own.account);
        let (entries, signing) = (own.log.clone(), own.key());
        let id = super::agreed::group_id(installation, &nonce);
        let mut log = LogSet::default();
        log.extend(&entries);
        let authority = Authority::of_owner(account);
        let agreed = Agreed { name, description, authority, log_digest: log.digest() };
        let first = self.new_state();
        let record = GroupRecord {
            creator: installation,
            nonce,
            period: self.config.topic_period.as_secs().max(1),
            root: Some(first),
            joined: 0,
            came_at: Vec::new(),
            baselines: Vec::new(),
            revoked: Vec::new(),
            pending: None,
            invitation: None,
            passed_over: Vec::new(),
            update_at: Timestamp::ZERO,
            leaving: false,
        };
        let extensions = agreed.extensions(&Parameters::of(&record));
        let identity = members::identity(account, installation);
        let provider = self.provider(tx, View::Child { group: id, parent: None, child: first });
        let group = mls::group::create(&provider, &signing, &identity, &extensions)?;
        provider.keep()?;
        let state = self.state_record(tx, id, first, &group, agreed)?;
        self.loaded.put(Place::now(id, first), Loaded::new(group));
        let leaf = Leaf { installation, since: None };
        let line = Line::new(state, [(leaf, account)], log);
        let group = Group::new(record, Some(line));
        group.save(tx, &id)?;
        group.save_send(tx, &id)?;
        group.save_root(tx, &id)?;
        self.groups.insert(id, group);
        self.wait_for_quiet(tx, id);
        self.plan_leaf_update(tx, id, false)?;
        self.keep_rejoin(tx, id, first)?;
        self.topics.clear();
        Ok(id)
    }

    /// The record of a new state.
    pub(super) fn state_record(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
        group: &MlsGroup,
        agreed: Agreed,
    ) -> Result<StateRecord, Fault> {
        let keys = export_keys(group, &self.provider(tx, View::Base(id, state)))?;
        Ok(StateRecord {
            id: state,
            epoch: mls::group::epoch(group),
            keys: Some(keys),
            since: tx.now,
            agreed,
            commit: None,
            attached: Vec::new(),
            fulfils: Vec::new(),
        })
    }
}

/// What is derived from a state.
pub(super) fn export_keys(
    group: &MlsGroup,
    provider: &Provider<'_>,
) -> Result<StateKeys, MlsError> {
    Ok(StateKeys {
        wire: Secret32(*mls::group::export(group, provider, WIRE_EXPORT, &[])?),
        tie: Secret32(*mls::group::export(group, provider, TIE_EXPORT, &[])?),
        name: *mls::group::export(group, provider, NAME_EXPORT, &[])?,
    })
}
