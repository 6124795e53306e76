//! A group in memory: its states, which of them it stands in, and what is counted in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agreed::{Agreed, Parameters};
use super::handover::PastRecord;
use super::log_set::LogSet;
use super::notes::{Exchange, short_tie};
use super::records::{
    AgainRecord, AskRecord, ChangeRecord, GapRecord, GroupRecord, HeardRecord, LeafRecord,
    RejoinRecord, SendRecord, SenderRecord, SplitRecord, StateName, StateRecord, key,
};
use super::{Fault, Tx, records};
use crate::group::frontier;
use crate::group::tracker::Tracker;
use crate::limits::KEPT_ASIDE;
use crate::mls::StateId;
use crate::order::{Commit, Graph, Leaf};
use crate::store::StoreError;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// A group with all that is counted in it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) record: GroupRecord,
    pub(super) send: SendRecord,
    pub(super) senders: BTreeMap<InstallationId, SenderRecord>,
    pub(super) gaps: BTreeMap<(InstallationId, u64), GapRecord>,
    /// What was handed over of before this installation joined.
    pub(super) past: BTreeMap<InstallationId, PastRecord>,
    pub(super) changes: BTreeMap<u64, ChangeRecord>,
    /// Its states and where it stands; `None` while invited.
    pub(super) line: Option<Line>,
    /// What is under way with other installations.
    pub(super) exchange: Exchange,
    /// The states from which a member can come back, by the names that members give them.
    pub(super) rejoin: BTreeMap<StateName, RejoinRecord>,
    /// How well this installation follows.
    pub(super) ask: AskRecord,
    /// Where others were last read.
    pub(super) heard_in: BTreeMap<InstallationId, HeardRecord>,
    /// Who of its people is known not to be live any more.
    pub(super) departed: BTreeSet<InstallationId>,
    /// An invitation to it, though it was known before.
    pub(super) again: Option<AgainRecord>,
    /// Long splits, by the state where the sides parted.
    pub(super) splits: BTreeMap<StateName, SplitRecord>,
    /// Installations by their short names in frontiers; `None` where two share one.
    shorts: BTreeMap<u64, Option<InstallationId>>,
    /// The same of those who wrote here, or were in the group, and are not in it any more.
    former: BTreeMap<u64, (InstallationId, AccountId)>,
}

/// The states of a group that are kept.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) graph: Graph,
    pub(super) states: BTreeMap<StateId, StateRecord>,
    /// The newest state of the standing path.
    pub(super) tip: StateId,
    /// Who is in the tip.
    pub(super) members: Arc<BTreeMap<InstallationId, AccountId>>,
    /// The log entries attached up to the tip.
    pub(super) log: LogSet,
    /// Those up to the root.
    root_log: LogSet,
    /// Those that came with the commits which brought any, by the states these lead to.
    attached: BTreeMap<StateId, LogSet>,
}

impl Line {
    /// A line of one state, which `members` are in.
    pub(super) fn new(
        root: StateRecord,
        members: impl IntoIterator<Item = (Leaf, AccountId)>,
        log: LogSet,
    ) -> Self {
        let graph = Graph::new(root.id, members, root.agreed.authority.clone());
        let tip = root.id;
        let members = members_of(&graph, tip);
        Self {
            graph,
            states: [(tip, root)].into(),
            tip,
            members: Arc::new(members),
            log: log.clone(),
            root_log: log,
            attached: BTreeMap::new(),
        }
    }

    /// Puts a state in that a commit leads to; `false` if the commit does not fit the graph.
    pub(super) fn insert(&mut self, state: StateRecord) -> bool {
        let Some(commit) = state.commit.clone() else { return false };
        if self.graph.insert(state.id, commit).is_err() {
            return false;
        }
        if !state.attached.is_empty() {
            let mut attached = LogSet::default();
            attached.extend(&state.attached);
            self.attached.insert(state.id, attached);
        }
        self.states.insert(state.id, state);
        true
    }

    /// Lets go of commits of this one's author that nobody stands on and nothing follows, beyond
    /// [`KEPT_ASIDE`] of them: those of the highest ties. They can come again.
    pub(super) fn crowded(&mut self, state: &StateRecord) -> Vec<StateId> {
        let author = |commit: &Commit| commit.author;
        let by = state.commit.as_ref().map(author);
        let mut aside: Vec<([u8; 32], StateId)> = self
            .graph
            .states()
            .filter(|id| self.graph.children(*id).next().is_none())
            .filter_map(|id| Some((self.graph.commit(id)?, id)))
            .filter(|(commit, id)| Some(author(commit)) == by && *id != self.tip)
            .map(|(commit, id)| (commit.tie, id))
            .collect();
        aside.sort_unstable();
        let over: Vec<StateId> = aside.drain(..).skip(KEPT_ASIDE).map(|(_, id)| id).collect();
        over.into_iter().filter(|id| self.graph.forget(*id) && self.forget(id)).collect()
    }

    /// Lets go of what is kept of a state beside the graph; whether there was anything.
    pub(super) fn forget(&mut self, state: &StateId) -> bool {
        self.attached.remove(state);
        self.states.remove(state).is_some()
    }

    /// Moves to a state of the graph.
    pub(super) fn look_up(&mut self, tip: StateId) {
        let old = std::mem::replace(&mut self.tip, tip);
        let Some(commit) = self.graph.commit(tip).filter(|commit| commit.parent == old) else {
            self.members = Arc::new(members_of(&self.graph, tip));
            self.log = self.log_from_root(tip);
            return;
        };
        // one step on
        if !commit.adds.is_empty() || !commit.removes.is_empty() || !commit.swaps.is_empty() {
            let members = Arc::make_mut(&mut self.members);
            for installation in commit.removes.iter().chain(&commit.swaps) {
                members.remove(installation);
            }
            members.extend(commit.adds.iter().copied());
        }
        if let Some(attached) = self.attached.get(&tip) {
            self.log.union(attached);
        }
    }

    /// Who is in a state.
    pub(super) fn members_at(&self, state: StateId) -> Arc<BTreeMap<InstallationId, AccountId>> {
        match state == self.tip {
            true => Arc::clone(&self.members),
            false => Arc::new(members_of(&self.graph, state)),
        }
    }

    /// The log entries attached up to a state.
    pub(super) fn log_at(&self, state: StateId) -> LogSet {
        if state == self.tip { self.log.clone() } else { self.log_from_root(state) }
    }

    fn log_from_root(&self, state: StateId) -> LogSet {
        let mut log = self.root_log.clone();
        for at in self.graph.ancestry(state) {
            if let Some(attached) = self.attached.get(&at) {
                log.union(attached);
            }
        }
        log
    }

    /// The log entries that came with a commit count as attached up to the root from now on.
    pub(super) fn attach_to_root(&mut self, state: StateId) {
        if let Some(attached) = self.attached.remove(&state) {
            self.root_log.union(&attached);
        }
    }

    /// The commits that lead to a state, back to where they part from the standing path. Who does not
    /// stand on one of them stands on none after it.
    pub(super) fn aside(&self, state: StateId) -> impl Iterator<Item = &Commit> {
        let off = |at: &StateId| !self.graph.leads_to(*at, self.tip);
        self.graph.ancestry(state).take_while(off).filter_map(|at| self.graph.commit(at))
    }

    /// Members of the tip that the attached log entries prove to be live no more.
    pub(super) fn not_live(&self) -> Vec<InstallationId> {
        let members = self.members.iter();
        let gone = members.filter(|(i, account)| !self.log.is_live(**account, **i));
        gone.map(|(installation, _)| *installation).collect()
    }

    pub(super) fn root_log(&self) -> &LogSet {
        &self.root_log
    }

    pub(super) fn tip(&self) -> Option<&StateRecord> {
        self.states.get(&self.tip)
    }

    /// The tip, if this installation is in it.
    pub(super) fn open_tip(&self) -> Option<&StateRecord> {
        self.tip().filter(|tip| tip.keys.is_some())
    }

    /// The newest state on the standing path that this installation was in, if it is out of the tip.
    pub(super) fn last_open(&self) -> Option<&StateRecord> {
        self.tip().filter(|tip| tip.keys.is_none())?;
        let mut states = self.graph.ancestry(self.tip).filter_map(|state| self.states.get(&state));
        states.find(|state| state.keys.is_some())
    }
}

fn members_of(graph: &Graph, state: StateId) -> BTreeMap<InstallationId, AccountId> {
    graph.members(state).into_iter().map(|(i, (_, account))| (i, account)).collect()
}

impl Group {
    pub(super) fn new(record: GroupRecord, line: Option<Line>) -> Self {
        let mut group = Self {
            record,
            send: SendRecord::default(),
            senders: BTreeMap::new(),
            gaps: BTreeMap::new(),
            past: BTreeMap::new(),
            changes: BTreeMap::new(),
            line,
            exchange: Exchange::default(),
            rejoin: BTreeMap::new(),
            ask: AskRecord::default(),
            heard_in: BTreeMap::new(),
            departed: BTreeSet::new(),
            again: None,
            splits: BTreeMap::new(),
            shorts: BTreeMap::new(),
            former: BTreeMap::new(),
        };
        group.index_members();
        group
    }

    /// To be called after the members changed, or the group was read.
    pub(super) fn index_members(&mut self) {
        self.shorts.clear();
        for installation in self.line.iter().flat_map(|line| line.members.keys()) {
            self.shorts
                .entry(frontier::short(installation))
                .and_modify(|slot| *slot = None)
                .or_insert(Some(*installation));
        }
        let wrote =
            self.senders.iter().map(|(installation, sender)| (*installation, sender.account));
        let went = self.rejoin.values().flat_map(|record| record.removes.iter().copied());
        let gone = went.chain(wrote).filter(|(i, _)| self.account_of(i).is_none());
        self.former = gone.map(|(i, account)| (frontier::short(&i), (i, account))).collect();
    }

    fn by_short(&self, short: u64) -> Option<InstallationId> {
        self.shorts.get(&short).copied().flatten()
    }

    /// Somebody who is in the group, or was: what those who are not in it any more wrote before is
    /// missed, asked for and handed over like the rest.
    pub(super) fn sender_by_short(&self, short: u64) -> Option<(InstallationId, AccountId)> {
        let inside = || self.by_short(short).and_then(|i| Some((i, self.account_of(&i)?)));
        inside().or_else(|| self.former.get(&short).copied())
    }

    /// Who is in the tip, and who wrote here.
    pub(super) fn everybody(&self) -> impl Iterator<Item = (InstallationId, AccountId)> {
        let members = self.line.iter().flat_map(|line| line.members.iter()).map(|(i, a)| (*i, *a));
        members.chain(self.senders.iter().map(|(i, sender)| (*i, sender.account)))
    }

    /// Whether it is open which of two branches the others stand on, one of which took this
    /// installation out: nothing is said until somebody is read who passed over that branch.
    pub(super) fn unsettled(&self) -> bool {
        self.open_branches().next().is_some()
    }

    /// The states off the path that this installation stands on which a commit led to that took it out,
    /// as long as nobody else is known to have passed them over.
    pub(super) fn open_branches(&self) -> impl Iterator<Item = StateId> + '_ {
        self.line.iter().flat_map(|line| {
            let out = line.states.values().filter(|state| state.keys.is_none()).map(|s| s.id);
            out.filter(|state| !line.graph.leads_to(*state, line.tip)).filter(|state| {
                let passed =
                    |commit: &Commit| self.record.passed_over.contains(&short_tie(&commit.tie));
                !line.aside(*state).any(passed)
            })
        })
    }

    pub(super) fn parameters(&self) -> Parameters {
        Parameters::of(&self.record)
    }

    /// The state that the group stands in.
    pub(super) fn tip(&self) -> Option<&StateRecord> {
        self.line.as_ref()?.tip()
    }

    /// The state that the group stands in, if this installation is in it.
    pub(super) fn open_tip(&self) -> Option<&StateRecord> {
        self.line.as_ref()?.open_tip()
    }

    /// Whether this installation is in the group and means to stay.
    pub(super) fn stays(&self) -> bool {
        self.open_tip().is_some() && !self.record.leaving
    }

    /// Puts a line in the place of what was there: the group stands in its tip, and nobody is invited
    /// any more.
    pub(super) fn enter(&mut self, mut line: Line) {
        self.record.root = Some(line.tip);
        self.record.invitation = None;
        self.record.revoked = line.not_live();
        for installation in &self.record.revoked {
            line.graph.revoke(*installation);
        }
        self.line = Some(line);
        self.index_members();
    }

    /// A kept state, or the one of an own commit on its way.
    pub(super) fn state(&self, id: StateId) -> Option<&StateRecord> {
        let pending = self.record.pending.as_ref().map(|p| &p.next).filter(|s| s.id == id);
        self.line.as_ref().and_then(|line| line.states.get(&id)).or(pending)
    }

    /// All kept states, and the one of an own commit on its way.
    pub(super) fn states(&self) -> impl Iterator<Item = &StateRecord> {
        let pending = self.record.pending.as_ref().map(|p| &p.next);
        self.line.iter().flat_map(|line| line.states.values()).chain(pending)
    }

    /// The oldest kept state became known at this time.
    pub(super) fn since(&self) -> Timestamp {
        self.line
            .as_ref()
            .and_then(|line| line.states.get(&line.graph.root()))
            .map_or(Timestamp::ZERO, |root| root.since)
    }

    /// What all agree on in the tip, or in the invitation.
    pub(super) fn agreed(&self) -> Option<&Agreed> {
        match &self.record.invitation {
            Some(invitation) => Some(&invitation.agreed),
            None => self.tip().map(|tip| &tip.agreed),
        }
    }

    /// Who is in the tip, or in the group that one is invited to.
    pub(super) fn members(&self) -> Vec<(InstallationId, AccountId)> {
        match (&self.record.invitation, &self.line) {
            (Some(invitation), _) => invitation.members.clone(),
            (None, Some(line)) => line.members.iter().map(|(i, a)| (*i, *a)).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// How many installations are in the tip.
    pub(super) fn size(&self) -> u32 {
        let members = self.line.as_ref().map_or(0, |line| line.members.len());
        u32::try_from(members).unwrap_or(u32::MAX)
    }

    pub(super) fn account_of(&self, installation: &InstallationId) -> Option<AccountId> {
        self.line.as_ref()?.members.get(installation).copied()
    }

    pub(super) fn is_member(&self, account: AccountId) -> bool {
        self.line.as_ref().is_some_and(|line| line.members.values().any(|a| *a == account))
    }

    /// Whether installations of an account are known by the attached log entries that are not in the
    /// tip.
    pub(super) fn lacks(&self, account: AccountId) -> bool {
        self.line.as_ref().is_some_and(|line| {
            let live = line.log.log(account).live();
            live.into_iter().any(|(installation, _)| !line.members.contains_key(&installation))
        })
    }

    /// The record of a sender, made when it is first heard of.
    pub(super) fn sender(
        &mut self,
        installation: InstallationId,
        account: AccountId,
    ) -> &mut SenderRecord {
        let joined = self.record.joined;
        let baseline = self
            .record
            .baselines
            .iter()
            .find(|(i, _)| *i == installation)
            .map_or(0, |&(_, number)| number);
        let since = self.since();
        self.senders.entry(installation).or_insert_with(|| SenderRecord {
            account,
            tracker: Tracker::new(joined, baseline),
            last_time: since,
        })
    }

    pub(super) fn save(&self, tx: &Tx<'_>, id: &GroupId) -> Result<(), StoreError> {
        records::write(tx.overlay, key("group/", &[id.as_bytes()]), &self.record)
    }

    pub(super) fn save_send(&self, tx: &Tx<'_>, id: &GroupId) -> Result<(), StoreError> {
        records::write(tx.overlay, key("send/", &[id.as_bytes()]), &self.send)
    }

    pub(super) fn save_sender(
        &self,
        tx: &Tx<'_>,
        id: &GroupId,
        installation: &InstallationId,
    ) -> Result<(), StoreError> {
        match self.senders.get(installation) {
            Some(sender) => records::write(
                tx.overlay,
                key("sender/", &[id.as_bytes(), installation.as_bytes()]),
                sender,
            ),
            None => Ok(()),
        }
    }

    pub(super) fn save_change(
        &self,
        tx: &Tx<'_>,
        id: &GroupId,
        sequence: u64,
    ) -> Result<(), StoreError> {
        let at = key("change/", &[id.as_bytes(), &sequence.to_be_bytes()]);
        match self.changes.get(&sequence) {
            Some(change) => records::write(tx.overlay, at, change),
            None => {
                tx.overlay.delete(at);
                Ok(())
            }
        }
    }

    /// Writes the oldest state with who is in it and what proves them.
    pub(super) fn save_root(&self, tx: &Tx<'_>, id: &GroupId) -> Result<(), Fault> {
        let line = self.line.as_ref().ok_or(Fault::Bug("a group without states"))?;
        let root = line.graph.root();
        save_state(tx, id, &line.states[&root])?;
        for (installation, (leaf, account)) in line.graph.members(root) {
            save_leaf(tx, id, installation, leaf, account)?;
        }
        for entry in line.root_log().iter() {
            tx.overlay.put(entry_key(id, entry), entry.clone());
        }
        Ok(())
    }
}

pub(super) fn save_state(tx: &Tx<'_>, id: &GroupId, state: &StateRecord) -> Result<(), StoreError> {
    records::write(tx.overlay, state_key(id, state.id), state)
}

pub(super) fn save_leaf(
    tx: &Tx<'_>,
    id: &GroupId,
    installation: InstallationId,
    leaf: Leaf,
    account: AccountId,
) -> Result<(), StoreError> {
    let record = LeafRecord { account, since: leaf.since };
    records::write(tx.overlay, leaf_key(id, &installation), &record)
}

pub(super) fn leaf_key(id: &GroupId, installation: &InstallationId) -> Vec<u8> {
    key("leaf/", &[id.as_bytes(), installation.as_bytes()])
}

pub(super) fn entry_key(id: &GroupId, entry: &[u8]) -> Vec<u8> {
    let name = crate::kdf::hash(crate::kdf::label::ATTACHED_ENTRY, &[entry]);
    key("entry/", &[id.as_bytes(), &name])
}

pub(super) fn state_key(id: &GroupId, state: StateId) -> Vec<u8> {
    key("state/", &[id.as_bytes(), state.as_bytes()])
}

pub(super) fn commit_key(id: &GroupId, state: StateId) -> Vec<u8> {
    key("commit/", &[id.as_bytes(), state.as_bytes()])
}

/// Where it is kept that an own message was sealed under a state.
pub(super) fn sealed_key(id: &GroupId, state: StateId, number: u64) -> Vec<u8> {
    key("sealed/", &[id.as_bytes(), state.as_bytes(), &number.to_be_bytes()])
}

/// Reads a joined group's states from the store.
pub(super) fn load_line(
    overlay: &crate::store::Overlay<'_>,
    id: &GroupId,
    record: &GroupRecord,
) -> Result<Option<Line>, Fault> {
    let Some(root) = record.root else { return Ok(None) };
    let mut states: BTreeMap<StateId, StateRecord> = BTreeMap::new();
    for (_, value) in overlay.scan(&key("state/", &[id.as_bytes()]))? {
        let state: StateRecord = records::decode(&value)?;
        states.insert(state.id, state);
    }
    let mut members = Vec::new();
    for (k, value) in overlay.scan(&key("leaf/", &[id.as_bytes()]))? {
        let installation = k
            .get("leaf/".len() + GroupId::LEN..)
            .and_then(InstallationId::from_slice)
            .ok_or(Fault::Bug("a leaf's key"))?;
        let leaf: LeafRecord = records::decode(&value)?;
        members.push((Leaf { installation, since: leaf.since }, leaf.account));
    }
    let mut log = LogSet::default();
    for (_, entry) in overlay.scan(&key("entry/", &[id.as_bytes()]))? {
        log.insert(&entry).ok_or(Fault::Bug("a kept log entry that does not parse"))?;
    }
    let first = states.remove(&root).ok_or(Fault::Bug("a group without its oldest state"))?;
    let mut line = Line::new(first, members, log);
    for installation in &record.revoked {
        line.graph.revoke(*installation);
    }
    // each after its parent
    while !states.is_empty() {
        let ready: Vec<StateId> = states
            .values()
            .filter(|s| s.commit.as_ref().is_some_and(|c| line.graph.contains(c.parent)))
            .map(|s| s.id)
            .collect();
        if ready.is_empty() {
            return Err(Fault::Bug("states of a group that nothing leads to"));
        }
        for state in ready.iter().filter_map(|id| states.remove(id)) {
            if !line.insert(state) {
                return Err(Fault::Bug("a kept commit that does not fit"));
            }
        }
    }
    line.look_up(line.graph.tip());
    Ok(Some(line))
}
