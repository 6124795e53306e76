//! Carries out what hostile members do, and counts what of it came about.

use waku_groupchat_core::api::{Command, PublishKind, Role};
use waku_groupchat_core::{AccountId, Forgery, InstallationId, Standing};

use super::actions::Story;
use super::attack::Attack;
use super::plan::{Deed, Pick};
use crate::network::NodeId;

/// How often a commit is tried for a low tie.
const TRIES: u32 = 12;

/// Somebody who acts for a hostile account: a member, or a copy of one.
#[derive(Clone, Copy)]
struct Hand {
    node: NodeId,
    person: usize,
    copy: bool,
}

impl Story {
    /// Carries out one step of a plot, if it can be done now.
    pub(super) fn attack(&mut self, attack: &Attack) {
        let (Attack::Trust(who, _)
        | Attack::Copy(who)
        | Attack::Expel(who)
        | Attack::Act(who, _)
        | Attack::Twins(who)
        | Attack::Grind(who)
        | Attack::Updates(who, _)
        | Attack::Withhold(who)
        | Attack::Release(who, _)
        | Attack::Forge(who, _)
        | Attack::Swap(who)
        | Attack::Replay(who, _)
        | Attack::Reseal(who, _)) = attack;
        let hostile: Vec<usize> =
            (0..self.people.len()).filter(|n| self.people[*n].hostile).collect();
        let Some(&person) = choose(&hostile, *who) else { return };
        let node = self.people[person].node;
        match attack {
            Attack::Trust(_, role) => self.judged(person, |account, group| Command::SetRole {
                group,
                account,
                role: *role,
            }),
            Attack::Expel(_) => self.judged(person, |account, group| Command::Remove {
                group,
                accounts: vec![account],
            }),
            Attack::Copy(_) => self.copy(person),
            Attack::Act(_, deed) => self.misdeed(person, deed),
            Attack::Twins(_) => self.twins(person),
            Attack::Grind(_) => {
                let group = self.group;
                let done = self.net.misuse(node, |core, now| core.grind(now, group, TRIES));
                if matches!(done, Some(Ok(true))) {
                    self.counted("ground-ties", 1);
                    self.note(|| format!("{person} grinds a tie"));
                }
            }
            Attack::Updates(_, times) => {
                for _ in 0..*times {
                    let update = Command::UpdateKeys { group: self.group };
                    let done = self.net.try_command(node, update);
                    self.counted("own-updates", usize::from(matches!(done, Some(Ok(_)))));
                    // each a commit of its own
                    self.net.run_for(std::time::Duration::from_millis(20));
                }
                self.note(|| format!("{person} renews its keys {times} times"));
            }
            Attack::Withhold(_) => {
                self.net.withhold(node);
                self.note(|| format!("{person} withholds"));
            }
            Attack::Release(_, bits) => {
                let to = |other: NodeId| bits.rotate_right(other.number() as u32) & 1 == 1;
                let released = self.net.release(node, to);
                self.counted("released-late", released);
                self.note(|| format!("{person} releases {released}"));
            }
            Attack::Forge(_, which) => self.forge(person, *which),
            Attack::Swap(_) => self.swap(person),
            Attack::Replay(_, which) => self.replay(node, *which, false),
            Attack::Reseal(_, which) => self.replay(node, *which, true),
        }
        self.restart_hostile();
    }

    /// All copies stop, and nobody keeps anything to itself any more.
    pub(super) fn end_attacks(&mut self) {
        for (copy, _) in std::mem::take(&mut self.copies) {
            if self.net.node(copy).is_up() {
                self.net.stop(copy);
            }
        }
        for n in (0..self.people.len()).filter(|n| self.people[*n].hostile).collect::<Vec<_>>() {
            let node = self.people[n].node;
            let released = self.net.release(node, |_| true);
            self.counted("released-late", released);
        }
    }

    fn restart_hostile(&mut self) {
        let nodes = self.people.iter().filter(|p| p.hostile).map(|p| p.node);
        let nodes: Vec<NodeId> = nodes.chain(self.copies.iter().map(|(copy, _)| *copy)).collect();
        for node in nodes {
            if !self.net.node(node).is_up() {
                self.net.restart(node);
            }
        }
    }

    pub(super) fn counted(&mut self, what: &'static str, times: usize) {
        if times > 0 {
            *self.counts.hostile.entry(what).or_default() += times;
        }
    }

    /// An honest member of the highest role does something about a hostile account.
    fn judged(
        &mut self,
        person: usize,
        command: impl FnOnce(AccountId, waku_groupchat_core::GroupId) -> Command,
    ) {
        let account = self.people[person].account;
        let role = |standing: &Standing, n: usize| {
            standing.roles.get(&self.people[n].account).copied().unwrap_or(Role::Member)
        };
        let honest = (0..self.people.len()).filter(|n| !self.people[*n].hostile);
        let highest = honest
            .filter(|n| self.is_joined(*n))
            .filter_map(|n| Some((n, self.standing(n)?)))
            .filter(|(_, standing)| standing.members.values().any(|a| *a == account))
            .max_by_key(|(n, standing)| (role(standing, *n), std::cmp::Reverse(*n)));
        let Some((n, standing)) = highest else { return };
        let members = standing.members.keys().copied().collect();
        self.give(n, command(account, self.group), members);
    }

    fn copy(&mut self, person: usize) {
        if !self.is_joined(person) {
            return;
        }
        let copy = self.net.copy_node(self.people[person].node);
        self.copies.push((copy, person));
        self.note(|| format!("{copy:?} is a copy of {person}"));
    }

    /// A copy of a person if there is one, or the person itself.
    fn hand(&self, person: usize) -> Hand {
        let copy = self.copies.iter().rev().find(|(_, of)| *of == person);
        let node = copy.map_or(self.people[person].node, |(copy, _)| *copy);
        Hand { node, person, copy: copy.is_some() }
    }

    fn misdeed(&mut self, person: usize, deed: &Deed) {
        let Hand { node, copy, .. } = self.hand(person);
        let account = self.people[person].account;
        let own = self.standing_of(node);
        // who was let in by a copy acts too
        let Some(standing) = own else { return };
        let honest: Vec<Standing> = (0..self.people.len())
            .filter(|n| !self.people[*n].hostile)
            .filter_map(|n| self.standing(n))
            .collect();
        let inside = |s: &Standing| s.members.values().any(|a| *a == account);
        let role = |s: &Standing| s.roles.get(&account).copied();
        let out = copy && honest.iter().any(|s| !inside(s));
        let demoted = copy && honest.iter().any(|s| inside(s) && role(s) < role(&standing));
        let outside = |p: &&super::actions::Person| {
            p.hostile && !standing.members.contains_key(&p.installation)
        };
        let command = match deed {
            // nobody but hostile ones are invited by hostile ones: they stay among themselves
            Deed::Invite(_) => {
                let card = self.people.iter().find(outside).map(|p| p.card.clone());
                card.map(|card| Command::Invite { group: self.group, cards: vec![card] })
            }
            deed => self.command(account, &standing, deed),
        };
        let Some(command) = command else { return };
        let what = format!("{command:?}");
        let done = self.net.try_command(node, command);
        self.note(|| format!("{node:?} for {person}, {what}: {}", super::actions::shown(&done)));
        if !matches!(done, Some(Ok(_))) {
            return;
        }
        let commits = !matches!(deed, Deed::Say);
        self.counted("expelled-goes-on", usize::from(out && commits));
        self.counted(
            "leaves-added-by-expelled",
            usize::from(out && matches!(deed, Deed::Invite(_))),
        );
        self.counted("demoted-goes-on", usize::from(demoted && commits));
    }

    fn twins(&mut self, person: usize) {
        let hand = self.hand(person);
        if !hand.copy {
            return;
        }
        let mut numbers = Vec::new();
        for node in [hand.node, self.people[hand.person].node] {
            let text = format!("twin {node:?} {}", self.log.len());
            let said = Command::Send { group: self.group, text };
            if let Some(Ok(waku_groupchat_core::api::Answer::Accepted { message })) =
                self.net.try_command(node, said)
            {
                numbers.push(message.number);
            }
        }
        self.note(|| format!("{person} and its copy say numbers {numbers:?}"));
        if let [a, b] = numbers[..] {
            self.counted("one-number-twice", usize::from(a == b));
        }
    }

    fn forge(&mut self, person: usize, which: Pick) {
        let node = self.people[person].node;
        let Some(standing) = self.standing_of(node) else { return };
        let own = self.people[person].installation;
        let others: Vec<InstallationId> =
            standing.members.keys().filter(|i| **i != own).copied().collect();
        let kinds = [
            choose(&others, which / 8).map(|i| Forgery::Removal(*i)),
            Some(Forgery::Crown),
            Some(Forgery::Policy),
            Some(Forgery::Parameters),
            Some(Forgery::LogDigest),
            self.package_of(|n, standing| !standing.members.contains_key(&n), &standing)
                .map(Forgery::Unproven),
        ];
        let Some(Some(forgery)) = choose(&kinds, which).cloned() else { return };
        if self.send_forged(person, &forgery) {
            self.counted("policy-breaches", 1);
        }
    }

    fn swap(&mut self, person: usize) {
        let own = self.people[person].installation;
        let Some(standing) = self.standing_of(self.people[person].node) else { return };
        let other =
            |n: InstallationId, standing: &Standing| n != own && standing.members.contains_key(&n);
        let Some(package) = self.package_of(other, &standing) else { return };
        if self.send_forged(person, &Forgery::Swap(package)) {
            self.counted("swaps-without-request", 1);
        }
    }

    /// A key package of some hostile installation.
    fn package_of(
        &mut self,
        fits: impl Fn(InstallationId, &Standing) -> bool,
        standing: &Standing,
    ) -> Option<Vec<u8>> {
        let people = self.people.iter().filter(|p| p.hostile && fits(p.installation, standing));
        let node = people.map(|p| p.node).find(|node| self.net.node(*node).is_up())?;
        self.net.misuse(node, |core, now| core.key_package(now))?.ok()
    }

    fn send_forged(&mut self, person: usize, forgery: &Forgery) -> bool {
        let (node, group) = (self.people[person].node, self.group);
        let made = self.net.misuse(node, |core, now| core.forge(now, group, forgery));
        let Some(Ok(Some(message))) = made else { return false };
        self.note(|| format!("{person} forges {forgery:?}"));
        self.net.publish_as(node, PublishKind::Commit(group), message);
        true
    }

    fn replay(&mut self, node: NodeId, which: Pick, anew: bool) {
        let published = self.net.published();
        // mostly something of late
        let last = published.len().min(if which.is_multiple_of(4) { usize::MAX } else { 60 });
        let Some(seen) = choose(&published[published.len() - last..], which / 4).cloned() else {
            return;
        };
        let (group, mut message) = (self.group, (*seen.message).clone());
        if anew {
            let sealed = self.net.misuse(node, |core, now| core.reseal(now, group, &message));
            let Some(Some(sealed)) = sealed else { return };
            message = sealed;
        }
        self.net.publish_as(node, seen.kind, message);
        self.counted(if anew { "resealed" } else { "replayed" }, 1);
    }
}

fn choose<T>(of: &[T], pick: Pick) -> Option<&T> {
    of.get(pick as usize % of.len().max(1))
}
