//! Long splits: two parts of a group that went on apart until one of them let go of the state where
//! they parted, so that neither can read the other's commits any more.
//!
//! A split shows itself. Where some member was last heard in a state a day ago, one member says on
//! that state's rejoin topic which commits followed, by their hashes. Whoever stands elsewhere sees
//! where the two part, and each installation that was in that state says, signed and once for good,
//! on which side it stands. The side with more accounts stands; the others come back to it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::ask::save_ask;
use super::keys::chain_key;
use crate::account::verify;
use crate::api::{Event, RefusedReason};
use crate::core::group::commit_key;
use crate::core::records::{HeardRecord, OutgoingKind, SplitRecord, StateName, key, write};
use crate::core::{Fault, Inner, Tx};
use crate::kdf::{hash, label};
use crate::limits::{CHAIN_COMMITS, CHAINS_AT_A_TIME};
use crate::mls::StateId;
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// Names a commit by its MLS bytes: the first one after the common state names a side.
type Side = [u8; 32];

/// Chains are said daily for so many days, then weekly.
const DAILY: u32 = 7;

/// What was said of chains; not kept over a restart.
#[derive(Debug, Default)]
pub(in crate::core) struct Chains {
    /// When one was last said on a state's topic, here or by another.
    said: BTreeMap<(GroupId, StateName), Timestamp>,
    /// When one is to be said.
    due: BTreeMap<(GroupId, StateName), Timestamp>,
    /// Commits that chains told of after states that are kept, and that were not here.
    missing: BTreeMap<GroupId, BTreeMap<StateName, Vec<Side>>>,
    /// When is looked again for who is not heard any more.
    look: Option<Timestamp>,
}

impl Inner {
    pub(super) fn next_split(&self) -> Option<Timestamp> {
        let wait = self.config.split_wait;
        let open = self.groups.values().flat_map(|g| g.splits.values());
        let decided = open.filter(|split| split.stands.is_none()).map(|split| split.seen + wait);
        let look = self.chains.look.filter(|_| !self.groups.is_empty());
        decided.chain(look).chain(self.chains.due.values().copied()).min()
    }

    pub(super) fn splits_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.chains.look.is_none_or(|at| at <= tx.now) {
            let every = self.config.rejoin_after / 12;
            self.chains.look = Some(tx.now + every + self.rng.duration_below(every));
            self.look_for_silent(tx.now);
        }
        let due = self.chains.due.iter().filter(|(_, at)| **at <= tx.now);
        let due: Vec<(GroupId, StateName)> = due.map(|(at, _)| *at).collect();
        for (id, name) in due {
            self.chains.due.remove(&(id, name));
            self.say_chain(tx, id, name)?;
        }
        let wait = self.config.split_wait;
        let ripe: Vec<(GroupId, StateName)> = self
            .groups
            .iter()
            .flat_map(|(id, g)| g.splits.iter().map(move |(name, split)| (*id, *name, split)))
            .filter(|(.., split)| split.stands.is_none() && split.seen + wait <= tx.now)
            .map(|(id, name, _)| (id, name))
            .collect();
        for (id, name) in ripe {
            self.decide(tx, id, name)?;
        }
        Ok(())
    }

    /// Somebody was read in a state.
    pub(in crate::core) fn heard_in(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        state: StateId,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let every = self.config.rejoin_after / 8;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let keys = group.state(state).and_then(|state| state.keys.as_ref());
        let Some(state) = keys.map(|keys| keys.name) else { return Ok(()) };
        let at = at.min(tx.now);
        let newer = group.heard_in.get(&installation).is_none_or(|known| {
            at > known.at && (known.state != state || at.since(known.at) >= every)
        });
        if newer {
            let record = HeardRecord { state, at };
            group.heard_in.insert(installation, record);
            let parts = [id.as_bytes().as_slice(), installation.as_bytes()];
            write(tx.overlay, key("heard/", &parts), &record)?;
        }
        Ok(())
    }

    /// The states in which members were last heard, too long ago: a chain is due there.
    fn look_for_silent(&mut self, now: Timestamp) {
        let (day, spread) = (self.config.rejoin_after, self.config.rejoin_backoff * 4);
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return };
        let mut silent: BTreeMap<(GroupId, StateName), Timestamp> = BTreeMap::new();
        for (id, group) in &self.groups {
            let path = self.path_names(*id);
            let Some((tip, oldest)) = path.first().zip(path.last()) else { continue };
            // who said nothing yet was there when it came in
            let mut came: BTreeMap<InstallationId, StateName> = BTreeMap::new();
            for name in path.iter().rev() {
                let adds = group.rejoin.get(name).into_iter().flat_map(|r| &r.adds);
                came.extend(adds.map(|(installation, _)| (*installation, *name)));
            }
            for (installation, _) in group.members() {
                let first = came.get(&installation).unwrap_or(oldest);
                let since = group.rejoin.get(first).map_or(now, |record| record.since);
                let heard = group.heard_in.get(&installation).copied();
                let HeardRecord { state, at } =
                    heard.unwrap_or(HeardRecord { state: *first, at: since });
                let known = group.rejoin.contains_key(&state) && state != *tip;
                if installation != own && known && now.since(at) > day {
                    let known = silent.entry((*id, state)).or_insert(at);
                    *known = (*known).max(at);
                }
            }
        }
        for ((id, state), at) in silent.into_iter().take(CHAINS_AT_A_TIME) {
            let every = if now.since(at) < day * (DAILY + 1) { day } else { day * 7 };
            let said = self.chains.said.get(&(id, state));
            if said.is_none_or(|said| now.since(*said) >= every) {
                let due = now + self.rng.duration_below(spread);
                self.chains.due.entry((id, state)).or_insert(due);
            }
        }
    }

    /// Says on a state's topic which commits followed the newest state before it that stands.
    pub(super) fn say_chain(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        on: StateName,
    ) -> Result<(), Fault> {
        let path = self.path_names(id);
        let Some(from) = self.newest_common(id, &path, on) else { return Ok(()) };
        self.chains.said.insert((id, on), tx.now);
        let commits = self.commits_after(tx, id, &path, &from)?.unwrap_or_default();
        if commits.is_empty() {
            return Ok(());
        }
        let commits = commits.iter().take(CHAIN_COMMITS).map(|side| side.to_vec()).collect();
        let chain = pb::ForkChain { group: id.as_bytes().to_vec(), from: from.to_vec(), commits };
        let content = super::frame(pb::rejoin::Body::Chain(chain));
        self.enqueue(tx, OutgoingKind::Rejoin { group: id, name: on }, content, tx.now)?;
        Ok(())
    }

    /// The newest of a state and those before it that lies on a path.
    fn newest_common(&self, id: GroupId, path: &[StateName], of: StateName) -> Option<StateName> {
        self.way_back(id, of).into_iter().find(|name| path.contains(name))
    }

    /// The commits of a path after a state of it, in order; `None` if one is not kept.
    fn commits_after(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        path: &[StateName],
        from: &StateName,
    ) -> Result<Option<Vec<Side>>, Fault> {
        let after: Vec<&StateName> = path.iter().take_while(|name| *name != from).collect();
        let mut commits = Vec::new();
        for name in after.into_iter().rev() {
            let content = tx.overlay.get(&chain_key(&id, name))?.unwrap_or_default();
            let Some(side) = side_of(&content) else { return Ok(None) };
            commits.push(side);
        }
        Ok(Some(commits))
    }

    /// Somebody's commits after a state. It proves nothing: it shows where to look.
    pub(super) fn chain_said(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        on: StateName,
        chain: pb::ForkChain,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let theirs: Option<Vec<Side>> =
            chain.commits.into_iter().map(|side| side.try_into().ok()).collect();
        let from: Option<StateName> = chain.from.as_slice().try_into().ok();
        let sound = chain.group == id.as_bytes();
        let (Some(theirs), Some(from), true) = (theirs, from, sound) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
        };
        let path = self.path_names(id);
        if !path.contains(&from) {
            return Ok(());
        }
        let Some(own) = self.commits_after(tx, id, &path, &from)? else { return Ok(()) };
        let same = own.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        if same == theirs.len() {
            // it says what stands here, or less
            if same == own.len() || same == CHAIN_COMMITS {
                let said = self.chains.said.entry((id, on)).or_insert(at);
                *said = (*said).max(at);
                self.chains.due.remove(&(id, on));
            }
            return Ok(());
        }
        let place = path.iter().position(|name| *name == from).unwrap_or_default();
        let common = path[place - same];
        if let Some(held) = self.state_of(id, &common) {
            // what followed there can be read, once somebody shows it; where all of it is here, the
            // graph has chosen, and who said it is to hear that
            if !self.knows_chain(tx, id, held, &theirs[same..])? {
                let missing = self.chains.missing.entry(id).or_default();
                missing.insert(common, theirs[same..].to_vec());
                while missing.len() > CHAINS_AT_A_TIME {
                    missing.pop_first();
                }
                return self.must_ask(tx, id);
            }
            // what was missing before a start is not known any more, and is said again
            self.chains.missing.entry(id).or_default();
            self.mind_missing(tx, id)?;
            let due = tx.now + self.rng.duration_below(self.config.rejoin_backoff);
            if self.may_say_chain(tx.now, &(id, on)) {
                self.chains.due.entry((id, on)).or_insert(due);
            }
            return Ok(());
        }
        self.split_seen(tx, id, common, own.get(same).copied())
    }

    /// Whether these commits, one after the other, are in the graph after a state.
    fn knows_chain(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        mut at: StateId,
        sides: &[Side],
    ) -> Result<bool, Fault> {
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else {
            return Ok(false);
        };
        'sides: for side in sides {
            for next in line.graph.children(at) {
                let content = tx.overlay.get(&commit_key(&id, next))?.unwrap_or_default();
                if side_of(&content) == Some(*side) {
                    at = next;
                    continue 'sides;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Commits came: where all that chains told of are in the graph by now, nothing is asked for.
    pub(in crate::core) fn mind_missing(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<(), Fault> {
        let Some(missing) = self.chains.missing.get(&id) else { return Ok(()) };
        if self.groups.get(&id).is_none_or(|group| !group.ask.behind) {
            return Ok(());
        }
        for (common, sides) in missing {
            // of what is not kept any more, nothing can come
            let Some(at) = self.state_of(id, common) else { continue };
            if !self.knows_chain(tx, id, at, sides)? {
                return Ok(());
            }
        }
        self.chains.missing.remove(&id);
        self.found(tx, id)
    }

    /// Whether nobody has said a chain on a state's topic for a day.
    fn may_say_chain(&self, now: Timestamp, at: &(GroupId, StateName)) -> bool {
        let said = self.chains.said.get(at);
        said.is_none_or(|said| now.since(*said) >= self.config.rejoin_after)
    }

    /// The path parted here, and this side went on by `own`.
    fn split_seen(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        common: StateName,
        own: Option<Side>,
    ) -> Result<(), Fault> {
        let Some(own) = own else { return self.must_ask(tx, id) };
        let Some(account) = &self.account else { return Ok(()) };
        let (installation, account, signing) =
            (account.installation, account.account, account.key());
        let present = self.members_at(id, &common).contains_key(&installation);
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        if group.splits.contains_key(&common) {
            return Ok(());
        }
        let mut split = SplitRecord { own, seen: tx.now, statements: Vec::new(), stands: None };
        if present {
            split.statements.push((installation, account, own));
        }
        save_split(tx, id, common, &split)?;
        group.splits.insert(common, split);
        let due = tx.now + self.rng.duration_below(self.config.rejoin_backoff);
        self.chains.due.entry((id, common)).or_insert(due + self.config.rejoin_backoff);
        if present {
            let statement = pb::ForkStatement {
                group: id.as_bytes().to_vec(),
                installation: installation.as_bytes().to_vec(),
                state: common.to_vec(),
                first: own.to_vec(),
            }
            .encode_to_vec();
            let signature = signing.sign(label::FORK_STATEMENT, &statement).to_vec();
            let signed = pb::SignedStatement { statement, signature };
            let content = super::frame(pb::rejoin::Body::Statement(signed));
            self.mark_seen(tx, id, &content);
            self.enqueue(tx, OutgoingKind::Rejoin { group: id, name: common }, content, due)?;
        }
        Ok(())
    }

    /// An installation says on which side it stands.
    pub(super) fn stated(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        signed: &pb::SignedStatement,
    ) -> Result<(), Fault> {
        let Some((common, installation, side)) = verify_statement(id, signed) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Invalid);
        };
        let path = self.path_names(id);
        if !path.contains(&common) {
            return Ok(());
        }
        let Some(account) = self.members_at(id, &common).get(&installation).copied() else {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::NotAllowed);
        };
        let own = self.commits_after(tx, id, &path, &common)?;
        let own = own.and_then(|own| own.first().copied());
        self.split_seen(tx, id, common, own)?;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(split) = group.splits.get_mut(&common) else { return Ok(()) };
        let said = split.statements.iter().filter(|(i, ..)| *i == installation);
        let said: Vec<Side> = said.map(|(.., side)| *side).collect();
        if said.contains(&side) {
            return Ok(());
        }
        // one a leaf for good: with a second one it counts for neither
        if said.len() < 2 {
            split.statements.push((installation, account, side));
            save_split(tx, id, common, split)?;
        }
        let decided = split.stands.is_some();
        if !said.is_empty() {
            self.refuse(tx, Some(id), Some(installation), RefusedReason::NotAllowed)?;
        }
        if decided { self.decide(tx, id, common) } else { Ok(()) }
    }

    /// Settles which side stands, by what is known; more that comes later can change it.
    fn decide(&mut self, tx: &mut Tx<'_>, id: GroupId, common: StateName) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(split) = group.splits.get_mut(&common) else { return Ok(()) };
        let stands = winner(split) == split.own;
        if split.stands.replace(stands) == Some(stands) {
            return Ok(());
        }
        save_split(tx, id, common, split)?;
        group.ask.lost = (!stands).then_some(common);
        save_ask(tx, id, &group.ask)?;
        self.mind_lost(tx, id)?;
        self.emit(tx, Event::Split { group: id, stands })
    }

    /// Whether a split is lost was decided for the side that was stated. Who still keeps the state where
    /// the two part can come to the side that stands by its commits alone, and need not be led there.
    pub(in crate::core) fn mind_lost(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let split = group.ask.lost.and_then(|common| Some((common, group.splits.get(&common)?)));
        let Some((common, split)) = split else { return Ok(()) };
        let (path, stands) = (self.path_names(id), winner(split));
        if !path.contains(&common) {
            return Ok(());
        }
        let after = self.commits_after(tx, id, &path, &common)?;
        if after.and_then(|after| after.first().copied()) == Some(stands)
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.ask.lost = None;
            save_ask(tx, id, &group.ask)?;
        }
        Ok(())
    }

    /// Who was in a state of the own path, as far back as it is kept.
    pub(super) fn members_at(
        &self,
        id: GroupId,
        name: &StateName,
    ) -> BTreeMap<InstallationId, AccountId> {
        let Some(group) = self.groups.get(&id) else { return BTreeMap::new() };
        let mut members: BTreeMap<InstallationId, AccountId> =
            group.members().into_iter().collect();
        for at in self.path_names(id) {
            if at == *name {
                return members;
            }
            let Some(record) = group.rejoin.get(&at) else { break };
            for (installation, _) in &record.adds {
                members.remove(installation);
            }
            members.extend(record.removes.iter().copied());
        }
        BTreeMap::new()
    }

    /// When the own path went on from a state.
    pub(super) fn left_at(&self, id: GroupId, name: &StateName) -> Option<Timestamp> {
        let group = self.groups.get(&id)?;
        let path = self.path_names(id);
        let place = path.iter().position(|at| at == name)?;
        let next = path.get(place.checked_sub(1)?)?;
        Some(group.rejoin.get(next)?.since)
    }
}

/// The side with more accounts of the common state; an account on several counts for none, and of
/// equals the lower hash stands.
fn winner(split: &SplitRecord) -> Side {
    let mut sides: BTreeMap<Side, BTreeSet<AccountId>> = BTreeMap::new();
    let mut of: BTreeMap<AccountId, BTreeSet<Side>> = BTreeMap::new();
    sides.entry(split.own).or_default();
    for (_, account, side) in &split.statements {
        sides.entry(*side).or_default().insert(*account);
        of.entry(*account).or_default().insert(*side);
    }
    let weigh = |accounts: &BTreeSet<AccountId>| {
        accounts.iter().filter(|account| of.get(*account).is_some_and(|s| s.len() == 1)).count()
    };
    let sides = sides.iter().map(|(side, accounts)| (weigh(accounts), Reverse(*side)));
    sides.max().map_or(split.own, |(_, Reverse(side))| side)
}

/// The name of the commit in the content of a handshake.
fn side_of(content: &[u8]) -> Option<Side> {
    match super::frame_body(content)? {
        pb::frame::Body::Handshake(handshake) => {
            Some(hash(label::FORK_COMMIT, &[&handshake.commit]))
        }
        _ => None,
    }
}

fn verify_statement(
    id: GroupId,
    signed: &pb::SignedStatement,
) -> Option<(StateName, InstallationId, Side)> {
    let statement = pb::ForkStatement::decode(signed.statement.as_slice()).ok()?;
    let installation = InstallationId::from_slice(&statement.installation)?;
    let message = (&signed.statement, &signed.signature);
    let good = verify(installation.as_bytes(), label::FORK_STATEMENT, message.0, message.1);
    (good && statement.group == id.as_bytes()).then_some(())?;
    Some((statement.state.try_into().ok()?, installation, statement.first.try_into().ok()?))
}

fn save_split(
    tx: &Tx<'_>,
    id: GroupId,
    common: StateName,
    split: &SplitRecord,
) -> Result<(), Fault> {
    Ok(write(tx.overlay, key("split/", &[id.as_bytes(), &common]), split)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(own: u8, said: &[(u8, u8, u8)]) -> SplitRecord {
        let statement = |&(leaf, account, side): &(u8, u8, u8)| {
            let installation = InstallationId::from_bytes([leaf; 32]);
            (installation, AccountId::from_bytes([account; 32]), [side; 32])
        };
        let statements = said.iter().map(statement).collect();
        SplitRecord { own: [own; 32], seen: Timestamp::ZERO, statements, stands: None }
    }

    #[test]
    fn more_accounts_stand_not_more_leaves() {
        let said = [(1, 1, 7), (2, 1, 7), (3, 1, 7), (4, 2, 8), (5, 3, 8)];
        assert_eq!(winner(&split(7, &said)), [8; 32]);
        assert_eq!(winner(&split(8, &said)), [8; 32]);
    }

    #[test]
    fn an_account_on_both_sides_counts_for_neither() {
        let said = [(1, 1, 7), (2, 1, 8), (3, 2, 8), (4, 3, 7), (5, 4, 7)];
        assert_eq!(winner(&split(8, &said)), [7; 32]);
        let twice = [(1, 1, 7), (1, 1, 8), (2, 2, 8)];
        assert_eq!(winner(&split(7, &twice)), [8; 32]);
    }

    #[test]
    fn of_equals_the_lower_hash_stands() {
        for own in [7, 8] {
            assert_eq!(winner(&split(own, &[(1, 1, 7), (2, 2, 8)])), [7; 32]);
        }
        assert_eq!(winner(&split(9, &[])), [9; 32]);
    }
}
