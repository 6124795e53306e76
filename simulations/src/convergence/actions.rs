//! Carries out a plan on a virtual network, as far as each step can be done when its time comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use waku_groupchat_core::api::views::GroupState;
use waku_groupchat_core::api::{Answer, Command, CommandError, Event};
use waku_groupchat_core::{AccountId, GroupId, InstallationId, MessageId, Standing, Timestamp};

use super::plan::{Deed, Deeds, Happening, Pick, Plan};
use super::report::Counts;
use crate::cast;
use crate::network::{Links, Network, NodeId, START};

/// One installation.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) node: NodeId,
    pub(super) account: AccountId,
    pub(super) installation: InstallationId,
    pub(super) card: String,
    /// It does not keep to the rules.
    pub(super) hostile: bool,
}

/// Something that was said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) at: Timestamp,
    /// The sender's state then, and its epoch.
    pub(super) state: Option<[u8; 32]>,
    pub(super) epoch: u64,
    /// Who was in the group then, as the sender saw it.
    pub(super) members: BTreeSet<InstallationId>,
}

/// A group and what was done in it.
pub(super) struct Story {
    pub(super) net: Network,
    pub(super) people: Vec<Person>,
    pub(super) group: GroupId,
    pub(super) said: BTreeMap<MessageId, Said>,
    pub(super) counts: Counts,
    /// What was done, for people.
    pub(super) log: Vec<String>,
    deeds: Deeds,
    /// Who was in the group, or was invited.
    invited: BTreeSet<AccountId>,
    /// Those of them who were invited by honest members meanwhile.
    pub(super) came_later: BTreeSet<AccountId>,
    /// Copies of hostile members, and whose they are.
    pub(super) copies: Vec<(NodeId, usize)>,
    forks: BTreeSet<[u8; 32]>,
    healed: bool,
}

impl Story {
    /// The group of a plan, with all that are in it from the start.
    pub(super) fn begin(plan: &Plan, deeds: Deeds, traced: bool) -> Self {
        let mut net = Network::new(plan.seed, Links::perfect());
        net.set_traced(traced);
        net.config_mut().catch_up = plan.catch_up;
        let mut people = Vec::new();
        let mut first = Vec::new();
        let mut linked = false;
        for (n, installations) in plan.accounts.iter().enumerate() {
            let (node, card) = cast::account(&mut net);
            let mut nodes = vec![node];
            nodes.extend((1..*installations).map(|_| cast::link(&mut net, node)));
            linked |= nodes.len() > 1;
            let honest = plan.accounts.len() - plan.hostile;
            if n < plan.first || n == honest {
                first.extend(nodes.clone());
            }
            let person = |node| person(&net, node, &card, n >= honest);
            people.extend(nodes.into_iter().map(person));
        }
        if linked {
            // the record that names the new installation leaves with the next period
            net.run_for(Duration::from_secs(2 * 86_400));
        }
        let cards: BTreeSet<String> = people
            .iter()
            .filter(|p| first[1..].contains(&p.node))
            .map(|p| p.card.clone())
            .collect();
        let cards: Vec<String> = cards.into_iter().collect();
        let group = cast::group(&mut net, first[0], &cards, &first[1..]);
        let inside = people.iter().filter(|p| first.contains(&p.node));
        let invited = inside.map(|p| p.account).collect();
        Self {
            net,
            people,
            group,
            said: BTreeMap::new(),
            counts: Counts::default(),
            log: Vec::new(),
            deeds,
            invited,
            came_later: BTreeSet::new(),
            copies: Vec::new(),
            forks: BTreeSet::new(),
            healed: false,
        }
    }

    /// Carries out the first `most` steps.
    pub(super) fn carry_out(&mut self, plan: &Plan, most: usize) {
        for (n, step) in plan.steps.iter().take(most).enumerate() {
            self.note(|| format!("step {n}"));
            self.happen(&step.what);
            self.net.run_for(step.then);
            self.look_after();
        }
    }

    /// Everybody is there again, and nothing is lost any more.
    pub(super) fn heal(&mut self) {
        self.note(|| "everything heals".to_owned());
        self.healed = true;
        self.end_attacks();
        self.net.set_links(Links::perfect());
        self.happen(&Happening::Heal);
        self.happen(&Happening::StartAll);
        for n in 0..self.people.len() {
            let node = self.people[n].node;
            self.net.set_slow(node, Duration::ZERO);
            self.net.set_skew(node, 0);
        }
    }

    /// What people would do by themselves: those who crashed start again, those who are invited
    /// accept. Notes what is seen of forks meanwhile. Whether somebody accepted.
    pub(super) fn look_after(&mut self) -> bool {
        let mut came = false;
        for n in 0..self.people.len() {
            let node = self.people[n].node;
            if !self.net.node(node).is_up() && self.healed {
                self.net.restart(node);
            }
            if !self.net.node(node).is_up() {
                continue;
            }
            let invited = self.net.node(node).core().invitations().expect("memory");
            if invited.iter().any(|invitation| invitation.group == self.group) {
                let done =
                    self.net.try_command(node, Command::AcceptInvitation { group: self.group });
                came |= matches!(done, Some(Ok(_)));
                self.note(|| format!("{n} accepts: {done:?}"));
            }
            if self.net.node(node).is_up() {
                let kept = self.net.node(node).core().kept_states(self.group);
                self.forks.extend(kept.forks);
                self.counts.most_states = self.counts.most_states.max(kept.states);
            }
        }
        self.counts.forks = self.forks.len();
        came
    }

    fn happen(&mut self, what: &Happening) {
        match what {
            Happening::Do(deeds) => {
                for (who, deed) in deeds {
                    self.act(*who, deed);
                }
            }
            Happening::Split { sides, bits } => {
                self.counts.splits += 1;
                let side = |node: NodeId| {
                    (bits.rotate_right(node.number() as u32 * 3) % *sides as u64) as usize
                };
                self.net.set_sides(side);
                let all: Vec<usize> = self.people.iter().map(|p| side(p.node)).collect();
                self.note(|| format!("split: {all:?}"));
            }
            Happening::Heal => {
                self.net.set_sides(|_| 0);
                self.net.set_store_up(true);
                self.note(|| "heal".to_owned());
            }
            Happening::Alone(who) => {
                let node = self.anybody(*who);
                self.net.set_alone(node, true);
                self.counts.splits += 1;
                self.note(|| format!("{node:?} is alone"));
            }
            Happening::NoStore(who) => {
                let node = self.anybody(*who);
                self.net.set_store_cut(node, true);
                self.note(|| format!("{node:?} has no store"));
            }
            Happening::StoreDown => {
                self.net.set_store_up(false);
                self.note(|| "no store".to_owned());
            }
            Happening::Stop(who) => {
                let node = self.anybody(*who);
                if self.net.node(node).is_up() {
                    self.net.stop(node);
                    self.counts.stops += 1;
                }
                self.note(|| format!("{node:?} stops"));
            }
            Happening::StartAll => {
                for n in 0..self.people.len() {
                    let node = self.people[n].node;
                    if !self.net.node(node).is_up() {
                        self.net.restart(node);
                    }
                }
                self.note(|| "all start".to_owned());
            }
            Happening::Crash(who) => {
                let node = self.anybody(*who);
                self.net.crash_after_next_write(node);
                self.counts.crashes += 1;
                self.note(|| format!("{node:?} is to crash"));
            }
            Happening::Links(links) => {
                self.net.set_links(*links);
                self.note(|| format!("{links:?}"));
            }
            Happening::Slow(who, by) => {
                let node = self.anybody(*who);
                self.net.set_slow(node, *by);
                self.note(|| format!("{node:?} is slow by {by:?}"));
            }
            Happening::Clock(who, seconds) => {
                let node = self.anybody(*who);
                self.net.set_skew(node, *seconds);
                self.note(|| format!("{node:?}'s clock is {seconds} s ahead"));
            }
            Happening::Mishap(who, mishap) => {
                let node = self.anybody(*who);
                self.net.restart_with(node, *mishap);
                self.counts.mishaps += 1;
                self.note(|| format!("{node:?} is to have a mishap: {mishap:?}"));
            }
            Happening::Attack(attack) => self.attack(attack),
        }
    }

    fn anybody(&self, who: Pick) -> NodeId {
        self.people[who as usize % self.people.len()].node
    }

    fn state(&self, n: usize) -> Option<GroupState> {
        let node = self.net.node(self.people[n].node);
        let view = node.is_up().then(|| node.core().group(self.group).expect("memory"))?;
        view.map(|view| view.state)
    }

    /// Where a node stands in the group, whoever's it is.
    pub(super) fn standing_of(&self, node: NodeId) -> Option<Standing> {
        let node = self.net.node(node);
        node.is_up().then(|| node.core().standing(self.group).expect("memory"))?
    }

    /// Whether a person is in the group, and did not say that it leaves.
    pub(super) fn is_joined(&self, n: usize) -> bool {
        self.state(n) == Some(GroupState::Joined)
    }

    /// Where a person stands in the group; `None` for who is not in it, or not there.
    pub(super) fn standing(&self, n: usize) -> Option<Standing> {
        match self.state(n)? {
            GroupState::Joined | GroupState::Leaving => {
                self.net.node(self.people[n].node).core().standing(self.group).expect("memory")
            }
            _ => None,
        }
    }

    fn act(&mut self, who: Pick, deed: &Deed) {
        let honest = (0..self.people.len()).filter(|n| !self.people[*n].hostile);
        let able = honest.filter(|n| self.is_joined(*n));
        let inside: Vec<(usize, Standing)> =
            able.filter_map(|n| Some((n, self.standing(n)?))).collect();
        let Some((n, standing)) = inside.get(who as usize % inside.len().max(1)) else {
            self.note(|| "nobody is in the group".to_owned());
            return;
        };
        if let Some(command) = self.command(self.people[*n].account, standing, deed) {
            let members = standing.members.keys().copied().collect();
            self.give(*n, command, members);
        }
    }

    /// A deed of an account as a command, if there is somebody to do it to.
    pub(super) fn command(
        &self,
        own: AccountId,
        standing: &Standing,
        deed: &Deed,
    ) -> Option<Command> {
        let group = self.group;
        let inside: BTreeSet<AccountId> = standing.members.values().copied().collect();
        let choose = |accounts: Vec<AccountId>, pick: Pick| {
            (!accounts.is_empty()).then(|| accounts[pick as usize % accounts.len()])
        };
        let others = || inside.iter().filter(|a| **a != own).copied().collect::<Vec<_>>();
        Some(match deed {
            Deed::Say => Command::Send { group, text: format!("line {}", self.said.len()) },
            Deed::Profile => Command::SetProfile {
                group,
                name: format!("name {}", self.log.len()),
                description: String::new(),
            },
            Deed::Invite(pick) => {
                let may =
                    |p: &&Person| self.deeds.invite_again || !self.invited.contains(&p.account);
                let honest = self.people.iter().filter(|p| !p.hostile);
                let outside = honest.filter(|p| !inside.contains(&p.account)).filter(may);
                let cards: Vec<&String> = outside.map(|p| &p.card).collect();
                let card = (*cards.get(*pick as usize % cards.len().max(1))?).clone();
                Command::Invite { group, cards: vec![card] }
            }
            Deed::Remove(pick) => {
                Command::Remove { group, accounts: vec![choose(others(), *pick)?] }
            }
            Deed::Leave => self.deeds.leave.then_some(Command::Leave { group })?,
            Deed::Role(pick, role) => {
                let account = choose(inside.iter().copied().collect(), *pick)?;
                Command::SetRole { group, account, role: *role }
            }
            Deed::Policy(policy) => Command::SetPolicy { group, policy: *policy },
            Deed::Keys => Command::UpdateKeys { group },
        })
    }

    pub(super) fn give(&mut self, n: usize, command: Command, members: BTreeSet<InstallationId>) {
        let node = self.people[n].node;
        let text = match &command {
            Command::Send { text, .. } => text.clone(),
            _ => String::new(),
        };
        let again = self.is_again(&command);
        if let Command::Invite { cards, .. } = &command {
            let invited = self.people.iter().filter(|p| cards.contains(&p.card));
            let invited: Vec<AccountId> = invited.map(|p| p.account).collect();
            self.invited.extend(invited.iter().copied());
            self.came_later.extend(invited);
        }
        let leaves = matches!(command, Command::Leave { .. });
        let what = format!("{command:?}");
        let path = self.net.node(node).core().kept_states(self.group).path;
        let epoch = self.standing_of(node).map_or(0, |standing| standing.epoch);
        let answer = self.net.try_command(node, command);
        self.note(|| format!("{n} {what}: {}", shown(&answer)));
        match answer {
            Some(Ok(_)) if text.is_empty() => {
                self.counts.changes += 1;
                self.counts.leavers += usize::from(leaves);
                self.counts.invited_again += usize::from(again);
            }
            Some(Ok(_)) | None => {}
            Some(Err(_)) => self.counts.refused += 1,
        }
        if !self.net.node(node).is_up() {
            self.net.restart(node);
        }
        if text.is_empty() {
            return;
        }
        let (at, state) = (self.net.now(), path.last().copied());
        // a crash may take the answer of what is written
        for message in self.unheard_of(n, &text) {
            let members = members.clone();
            self.said.insert(message, Said { text: text.clone(), at, state, epoch, members });
            self.counts.messages += 1;
        }
    }

    /// Whether a command invites somebody who was in the group before, or was invited.
    fn is_again(&self, command: &Command) -> bool {
        let Command::Invite { cards, .. } = command else { return false };
        let mut of = self.people.iter().filter(|p| cards.contains(&p.card));
        of.any(|person| self.invited.contains(&person.account))
    }

    /// What a person wrote with this text, and that is not noted yet.
    fn unheard_of(&self, n: usize, text: &str) -> Vec<MessageId> {
        let person = &self.people[n];
        let messages = self.net.node(person.node).core().messages(self.group, None, usize::MAX);
        let messages = messages.expect("memory").unwrap_or_default().into_iter();
        let own = messages.filter(|m| m.id.installation == person.installation && m.text == text);
        own.map(|m| m.id).filter(|id| !self.said.contains_key(id)).collect()
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        let at = self.net.now().since(START).as_secs_f64();
        self.log.push(format!("{at:>12.3} {}", what()));
    }

    /// Counts what the events of all nodes tell.
    pub(super) fn count_events(&mut self) {
        for person in self.people.iter().filter(|person| !person.hostile) {
            for event in self.net.node(person.node).events() {
                match event {
                    Event::Reordered { group, depth } if *group == self.group => {
                        *self.counts.rewinds.entry(*depth).or_default() += 1;
                    }
                    Event::Removed { group } if *group == self.group => self.counts.removed += 1,
                    Event::ChangeFailed { .. } => self.counts.given_up += 1,
                    Event::Rejoined { .. } => self.counts.rejoins += 1,
                    Event::Split { .. } => self.counts.long_splits += 1,
                    _ => {}
                }
            }
        }
        let commits = |seen: &&crate::network::Seen| {
            matches!(seen.kind, waku_groupchat_core::api::PublishKind::Commit(_))
        };
        self.counts.commits = self.net.published().iter().filter(commits).count();
    }
}

fn person(net: &Network, node: NodeId, card: &str, hostile: bool) -> Person {
    let view = net.node(node).core().account().expect("memory").expect("an account");
    let (account, installation) = (view.account, view.installation);
    Person { node, account, installation, card: card.to_owned(), hostile }
}

pub(super) fn shown(answer: &Option<Result<Answer, CommandError>>) -> String {
    match answer {
        Some(Ok(Answer::Accepted { message })) => format!("number {}", message.number),
        Some(Ok(_)) => "done".to_owned(),
        Some(Err(error)) => error.to_string(),
        None => "crashed".to_owned(),
    }
}
