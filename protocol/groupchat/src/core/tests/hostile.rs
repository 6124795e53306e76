//! What a member can make that does not keep to the rules.
//!
//! A hostile member has a member's keys: it seals any content, encrypts any plaintext, signs any
//! core and makes any commit that OpenMLS makes.

use openmls::group::MlsGroup;
use openmls::prelude::LeafNodeIndex;
use prost::Message as _;
use waku_groupchat_waku::{ContentTopic, WakuMessage};

use super::{ALICE, World};
use crate::account::InstallationKey;
use crate::core::agreed::Agreed;
use crate::core::agreed::Parameters;
use crate::core::loaded::Place;
use crate::core::log_set::LogSet;
use crate::core::records::StateRecord;
use crate::core::topics::{group_key, group_topic, period};
use crate::group::frontier::short;
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::kdf::SealKey;
use crate::mls::leaf::ExtensionList;
use crate::mls::package::{self, Package};
use crate::mls::{self, Provider, View};
use crate::proto::group as pb;
use crate::seal::{SizeClass, open_message, seal_message};
use crate::store::Overlay;
use crate::{CoreHash, GroupId, Timestamp};

/// Content of a payload around an MLS application message.
pub(super) fn application(mls: Vec<u8>) -> Vec<u8> {
    pb::Frame { body: Some(pb::frame::Body::Application(mls)), mark: Vec::new() }.encode_to_vec()
}

/// Content of a payload around a commit.
pub(super) fn handshake(commit: Vec<u8>, log_entries: Vec<Vec<u8>>) -> Vec<u8> {
    let handshake = pb::Handshake { commit, log_entries, ..pb::Handshake::default() };
    pb::Frame { body: Some(pb::frame::Body::Handshake(handshake)), mark: Vec::new() }
        .encode_to_vec()
}

/// The secret that a state's topics and seals come from.
pub(super) fn wire(state: &StateRecord) -> &[u8; 32] {
    &state.keys.as_ref().expect("inside").wire.0
}

impl World {
    /// Random bytes.
    pub(super) fn random(&self, bytes: usize) -> Vec<u8> {
        let mut random = vec![0; bytes];
        self.rng.fill(&mut random);
        random
    }

    /// A message of random bytes.
    pub(super) fn junk(&self, topic: ContentTopic, bytes: usize) -> WakuMessage {
        WakuMessage::new(topic, self.random(bytes), self.now.as_waku())
    }

    /// Any content under any key, on any topic.
    pub(super) fn seal_on(
        &self,
        key: &SealKey,
        topic: ContentTopic,
        content: &[u8],
        at: Timestamp,
    ) -> WakuMessage {
        let class = SizeClass::fitting(content.len()).expect("fits a message");
        seal_message(key, topic, at, content, class, &mut self.rng.clone()).expect("fits")
    }

    pub(super) fn key(&self, who: usize) -> InstallationKey {
        self.peers[who].core.inner.account.as_ref().expect("an account").key()
    }

    pub(super) fn tip(&self, who: usize) -> StateRecord {
        self.peers[who].core.inner.groups[&self.group].tip().expect("joined").clone()
    }

    /// The group's topic now, as every member and every observer knows it.
    pub(super) fn topic(&self, who: usize) -> ContentTopic {
        let period = period(self.now, Self::config().topic_period);
        group_topic(wire(&self.tip(who)), period)
    }

    /// Seals any content under a state that `who` has.
    pub(super) fn seal_under(
        &self,
        state: &StateRecord,
        content: &[u8],
        at: Timestamp,
    ) -> WakuMessage {
        let period = period(at, Self::config().topic_period);
        let (key, topic) = (group_key(wire(state), period), group_topic(wire(state), period));
        self.seal_on(&key, topic, content, at)
    }

    /// Seals any content under the tip of `who`, at this time.
    pub(super) fn seal_at(&self, who: usize, content: &[u8], at: Timestamp) -> WakuMessage {
        self.seal_under(&self.tip(who), content, at)
    }

    pub(super) fn seal(&self, who: usize, content: &[u8]) -> WakuMessage {
        self.seal_at(who, content, self.now)
    }

    /// What is inside a message of the group, as every member can open it.
    pub(super) fn unseal(&self, who: usize, message: &WakuMessage) -> Vec<u8> {
        self.unseal_under(&self.tip(who), message)
    }

    /// The same under a state that a member has.
    pub(super) fn unseal_under(&self, state: &StateRecord, message: &WakuMessage) -> Vec<u8> {
        let at = Timestamp::from_waku(message.timestamp.expect("stamped"));
        let period = period(at, Self::config().topic_period);
        let key = group_key(wire(state), period);
        open_message(&key, message).expect("a member's").to_vec()
    }

    /// Encrypts any plaintext as `who`.
    pub(super) fn encrypt(&mut self, who: usize, plain: &[u8]) -> Vec<u8> {
        let (group, state, key) = (self.group, self.tip(who).id, self.key(who));
        let mut sealed = Vec::new();
        self.peers[who]
            .core
            .run(self.now, |inner, tx| {
                sealed =
                    inner.with_mls(tx, Place::now(group, state), true, |group, provider| {
                        mls::group::encrypt(group, provider, &key, plain)
                    })?;
                Ok(())
            })
            .expect("memory");
        sealed
    }

    /// Any plaintext as a message of `who`.
    pub(super) fn utter(&mut self, who: usize, plain: &[u8]) -> WakuMessage {
        let mls = self.encrypt(who, plain);
        self.seal(who, &application(mls))
    }

    /// A first core that holds in every way.
    pub(super) fn core(&self, who: usize) -> MessageCore {
        MessageCore {
            group: self.group,
            installation: self.installation(who),
            number: 1,
            previous: None,
            epoch: self.tip(who).epoch,
            time: self.now,
            content: Content::Text("hostile".to_owned()),
        }
    }

    /// Core number `number`, after one of this name.
    pub(super) fn core_after(&self, who: usize, number: u64, previous: CoreHash) -> MessageCore {
        let core = self.core(who);
        MessageCore { number, previous: Some((previous, core.epoch)), ..core }
    }

    /// Signs any core as `who` and makes a message of it, with any frontier.
    pub(super) fn speak(
        &mut self,
        who: usize,
        core: &MessageCore,
        frontier: Vec<pb::FrontierEntry>,
    ) -> (CoreHash, WakuMessage) {
        let signed = SignedCore::sign(core, &self.key(who));
        let plain = plaintext(&signed, frontier);
        (signed.hash(), self.utter(who, &plain))
    }

    /// An honest next message of `who` with a frontier of its own making.
    pub(super) fn claim(&mut self, who: usize, frontier: Vec<pb::FrontierEntry>) -> WakuMessage {
        let send = self.peers[who].core.inner.groups[&self.group].send.clone();
        let core = MessageCore {
            number: send.number + 1,
            previous: send.previous,
            time: self.now.max(send.time + std::time::Duration::from_nanos(1)),
            ..self.core(who)
        };
        let (hash, message) = self.speak(who, &core, frontier);
        let group = self.group;
        let inner = &mut self.peers[who].core.inner;
        let send = &mut inner.groups.get_mut(&group).expect("joined").send;
        (send.number, send.previous, send.time) =
            (core.number, Some((hash, core.epoch)), core.time);
        message
    }

    /// An entry of a frontier about `whom`.
    pub(super) fn entry(&self, whom: usize, upto: u64, epoch: u64) -> pb::FrontierEntry {
        let installation = short(&self.installation(whom));
        pb::FrontierEntry { installation, upto, epoch, beyond: Vec::new() }
    }

    /// Works on a copy of a state of `who` that is lost afterwards.
    pub(super) fn in_copy<T>(
        &self,
        who: usize,
        state: &StateRecord,
        work: impl FnOnce(&mut MlsGroup, &Provider<'_>, &InstallationKey) -> T,
    ) -> T {
        let core = &self.peers[who].core;
        let overlay = Overlay::new(&core.store);
        let scratch = core.inner.new_state();
        let (crypto, rng) = (&core.inner.crypto, &core.inner.rng);
        let view = View::Child { group: self.group, parent: Some(state.id), child: scratch };
        let provider = Provider::new(&overlay, crypto, rng, view);
        let mut group = mls::group::load(&provider).expect("memory").expect("a state");
        work(&mut group, &provider, &self.key(who))
    }

    /// A commit of `who` that adds these and sets this, whatever the rules are.
    pub(super) fn commit_of(
        &self,
        who: usize,
        adds: Vec<Package>,
        extensions: Option<&[(u16, Vec<u8>)]>,
    ) -> Vec<u8> {
        self.in_copy(who, &self.tip(who), |group, provider, key| {
            let proposals = mls::group::Proposals { adds, extensions, ..Default::default() };
            let made = mls::group::commit(group, provider, key, proposals);
            made.expect("own state").expect("fitting additions").commit
        })
    }

    /// A commit of `who` that puts out `whom`.
    pub(super) fn removal(&self, who: usize, whom: usize) -> Vec<u8> {
        let gone = self.installation(whom);
        self.in_copy(who, &self.tip(who), |group, provider, key| {
            let members = mls::group::members(group).expect("leaves");
            let leaf = members.iter().find(|m| m.installation == gone).expect("a member").leaf;
            let leaf = LeafNodeIndex::new(leaf);
            let (commit, ..) = group.remove_members(provider, key, &[leaf]).expect("own state");
            commit.to_bytes().expect("encodes")
        })
    }

    /// What all members of the group agree on now.
    pub(super) fn agreed(&self) -> Agreed {
        self.peers[ALICE].core.inner.groups[&self.group].agreed().expect("joined").clone()
    }

    /// What all agree on, as extensions.
    pub(super) fn extensions(&self, agreed: &Agreed) -> ExtensionList {
        agreed.extensions(&self.parameters())
    }

    pub(super) fn parameters(&self) -> Parameters {
        self.peers[ALICE].core.inner.groups[&self.group].parameters()
    }

    /// The log entries attached on the path to the tip of `who`.
    pub(super) fn log_set(&self, who: usize) -> LogSet {
        let group = &self.peers[who].core.inner.groups[&self.group];
        group.line.as_ref().expect("joined").log.clone()
    }

    /// The entries of an account's own log.
    pub(super) fn own_log(&self, who: usize) -> Vec<Vec<u8>> {
        self.peers[who].core.inner.account.as_ref().expect("an account").log.clone()
    }

    /// The key package that `who` is invited by.
    pub(super) fn package(&self, who: usize) -> Package {
        let inner = &self.peers[who].core.inner;
        let (_, bytes) = &inner.account.as_ref().expect("an account").key_packages[0];
        let overlay = Overlay::new(&self.peers[who].core.store);
        let provider = Provider::new(&overlay, &inner.crypto, &inner.rng, View::Global);
        package::check(&provider, bytes).expect("an own one")
    }
}

/// The plaintext of a message.
pub(super) fn plaintext(signed: &SignedCore, frontier: Vec<pb::FrontierEntry>) -> Vec<u8> {
    let (core, signature) = (signed.bytes().to_vec(), signed.signature().to_vec());
    pb::Application { core, signature, frontier, ..Default::default() }.encode_to_vec()
}

/// Another group than any.
pub(super) const ELSEWHERE: GroupId = GroupId::from_bytes([0x99; GroupId::LEN]);
