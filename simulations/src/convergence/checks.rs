//! What has to hold once everybody can reach everybody again.

use std::collections::{BTreeMap, BTreeSet};

use waku_groupchat_core::api::Event;
use waku_groupchat_core::api::views::{GapState, GroupState, MessageKind, MessageView};
use waku_groupchat_core::{FORGED, MessageId, Standing, Timestamp};

use super::actions::{Said, Story};
use crate::network::START;

impl Story {
    /// What does not hold, for people; empty if everything does.
    pub(super) fn failures(&self) -> Vec<String> {
        if let Some(person) = self.people.iter().find(|p| !self.net.node(p.node).is_up()) {
            return vec![format!("{:?} is down", person.node)];
        }
        let mut inside: BTreeMap<usize, Standing> =
            self.honest().filter_map(|n| Some((n, self.standing(n)?))).collect();
        if inside.is_empty() && self.people.iter().any(|p| p.hostile) {
            // they let somebody in who took them all out, as far as its role allowed
            return self.rules();
        }
        if inside.is_empty() && self.last_left() {
            return self.rules();
        }
        // who was taken out on another branch cannot read there what came of it: it is silent, and
        // no member for those who stand there
        let settled = |n: &usize| {
            let core = self.net.node(self.people[*n].node).core();
            !core.kept_states(self.group).unsettled
        };
        if inside.keys().any(settled) {
            inside.retain(|n, _| settled(n));
        }
        let stranded = self.stranded(&inside);
        inside.retain(|n, _| !stranded.contains(n));
        let mut failures = self.stand_together(&inside);
        if failures.is_empty() {
            failures.extend(self.messages(&inside));
        }
        if failures.is_empty() {
            failures.extend(self.rules());
        }
        failures
    }

    /// Whether somebody left by its own word when nobody else was left in the group.
    fn last_left(&self) -> bool {
        self.honest().any(|n| {
            let person = &self.people[n];
            let alone = self.standing_of(person.node).is_some_and(|s| s.members.len() == 1);
            let core = self.net.node(person.node).core();
            let messages = core.messages(self.group, None, usize::MAX).expect("memory");
            let own = |m: &&MessageView| m.id.installation == person.installation;
            let last = messages.iter().flatten().filter(own).max_by_key(|m| m.id.number);
            alone && last.is_some_and(|m| m.kind == MessageKind::Left)
        })
    }

    /// Where everybody stands, and what they know of other branches.
    pub(super) fn told_states(&self) -> String {
        let mut told = String::new();
        for (n, person) in self.people.iter().enumerate() {
            let node = self.net.node(person.node);
            let (of, hostile) = (person.account, if person.hostile { ", hostile" } else { "" });
            told += &format!("{n} is {:?} of {of:?}{hostile}\n", person.installation);
            let states = node.is_up().then(|| node.core().told_states(self.group));
            for line in states.into_iter().flatten() {
                told += &format!("    {line}\n");
            }
        }
        told
    }

    /// Those who keep to the rules.
    fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.people.len()).filter(|n| !self.people[*n].hostile)
    }

    /// Nobody took a commit that nobody may make, and each stands where its commits say.
    fn rules(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for n in self.honest() {
            let node = self.net.node(self.people[n].node);
            let forged = |event: &Event| match event {
                Event::ProfileChanged { name, .. } => name.starts_with(FORGED),
                _ => false,
            };
            if node.events().any(forged) {
                failures.push(format!("{n} took a commit that breaks the rules"));
            }
            if !node.core().follows_the_rules(self.group) {
                failures.push(format!("{n} stands elsewhere than the rules say"));
            }
        }
        failures
    }

    pub(super) fn count_stranded(&mut self) {
        let up = self.honest().filter(|n| self.net.node(self.people[*n].node).is_up());
        let inside = up.filter_map(|n| Some((n, self.standing(n)?))).collect();
        self.counts.stranded = self.stranded(&inside).len();
    }

    /// Who was let in on a branch that lost its place, by somebody who was taken out on the other one:
    /// nobody is left who would invite it again, and nobody there knows of it. It waits for a new
    /// invitation; `docs/status.md` says so.
    pub(super) fn stranded(&self, inside: &BTreeMap<usize, Standing>) -> Vec<usize> {
        let Some(agreed) = inside.values().next() else { return Vec::new() };
        let people = inside.keys().map(|n| (*n, &self.people[*n]));
        people
            .filter(|(_, person)| !agreed.members.contains_key(&person.installation))
            .filter(|(_, person)| self.came_later.contains(&person.account))
            .map(|(n, _)| n)
            .collect()
    }

    /// Everybody stands in one state, and those who are in it are those whom it names.
    fn stand_together(&self, inside: &BTreeMap<usize, Standing>) -> Vec<String> {
        let mut failures = Vec::new();
        let Some((first, agreed)) = inside.first_key_value() else {
            return vec!["nobody is in the group any more".to_owned()];
        };
        for (n, standing) in inside {
            if standing != agreed {
                let what = differences(agreed, standing);
                failures.push(format!("{n} stands elsewhere than {first}: {what}"));
            }
        }
        for n in self.honest() {
            let person = &self.people[n];
            let named = agreed.members.contains_key(&person.installation);
            if named && !inside.contains_key(&n) {
                failures.push(format!("{n} is a member for {first}, and is not in the group"));
            }
            let core = self.net.node(person.node).core();
            let view = core.group(self.group).expect("memory");
            let leaving = view.is_some_and(|view| view.state == GroupState::Leaving);
            if leaving && named && inside.len() > 1 {
                failures.push(format!("{n} waits for being taken out"));
            }
        }
        failures
    }

    /// What was said is read, once, by all who were there; nothing else is read.
    fn messages(&self, inside: &BTreeMap<usize, Standing>) -> Vec<String> {
        let mut failures = Vec::new();
        let read: BTreeMap<usize, Vec<(MessageId, String)>> =
            inside.keys().map(|n| (*n, self.read(*n))).collect();
        for (n, messages) in &read {
            let ids: BTreeSet<&MessageId> = messages.iter().map(|(id, _)| id).collect();
            if ids.len() < messages.len() {
                failures.push(format!("{n} shows a message twice"));
            }
            failures.extend(self.told_twice(*n));
            for (id, text) in messages.iter().filter(|(id, _)| !self.is_hostile(*id)) {
                if self.said.get(id).is_none_or(|said| said.text != *text) {
                    failures.push(format!("{n} shows {id:?} {text:?}, which nobody said"));
                }
            }
        }
        let path = inside.keys().next().map(|n| {
            let node = self.net.node(self.people[*n].node);
            node.core().kept_states(self.group).path
        });
        for (id, said) in &self.said {
            let path = path.as_deref().unwrap_or_default();
            if !self.is_owed(*id, said, inside, &read, path) {
                continue;
            }
            for n in inside.keys().filter(|n| self.was_there(**n, said)) {
                if !read[n].iter().any(|(shown, _)| shown == id) {
                    let by = self.people.iter().position(|p| p.installation == id.installation);
                    failures.push(format!(
                        "{n} does not show {:?}, number {} of {by:?}{}",
                        said.text,
                        id.number,
                        self.gap(*n, *id)
                    ));
                }
            }
        }
        failures.extend(self.orders(&read));
        failures
    }

    /// Whether a hostile member wrote it: members may hold different things under its number.
    fn is_hostile(&self, id: MessageId) -> bool {
        let by = self.people.iter().find(|p| p.installation == id.installation);
        by.is_some_and(|person| person.hostile)
    }

    /// A message that was told of more than once.
    fn told_twice(&self, n: usize) -> Option<String> {
        let mut told = BTreeSet::new();
        let again = self.net.node(self.people[n].node).events().find_map(|event| match event {
            Event::Message { id, .. } if !told.insert(*id) => Some(*id),
            _ => None,
        })?;
        Some(format!("{n} tells of number {} twice", again.number))
    }

    /// Whether a message has to be read by all who were there: its sender is still there to send
    /// it, or it lies on the standing path, and an honest member has it.
    fn is_owed(
        &self,
        id: MessageId,
        said: &Said,
        inside: &BTreeMap<usize, Standing>,
        read: &BTreeMap<usize, Vec<(MessageId, String)>>,
        path: &[[u8; 32]],
    ) -> bool {
        let Some(n) = self.people.iter().position(|p| p.installation == id.installation) else {
            return false;
        };
        if inside.contains_key(&n) && self.was_there(n, said) {
            return true;
        }
        let held = read.values().any(|messages| messages.iter().any(|(held, _)| *held == id));
        held && said.state.is_some_and(|state| path.contains(&state))
    }

    /// Whether a person was in the group from a message on to the end.
    fn was_there(&self, n: usize, said: &Said) -> bool {
        let person = &self.people[n];
        let joined = self.net.node(person.node).core().kept_states(self.group).joined;
        said.members.contains(&person.installation)
            && joined <= said.epoch
            && self.inside_since(n).is_some_and(|since| since <= said.at)
    }

    /// Since when a person is in the group without a break.
    fn inside_since(&self, n: usize) -> Option<Timestamp> {
        // who made the group was never told that it joined
        let mut since = (n == 0).then_some(START);
        for record in self.net.node(self.people[n].node).event_records() {
            match &record.event {
                Event::Joined { group } if *group == self.group && since.is_none() => {
                    since = Some(record.at);
                }
                Event::Removed { group } if *group == self.group => since = None,
                _ => {}
            }
        }
        since
    }

    fn read(&self, n: usize) -> Vec<(MessageId, String)> {
        let core = self.net.node(self.people[n].node).core();
        let messages = core.messages(self.group, None, usize::MAX).expect("memory");
        let texts = messages.unwrap_or_default().into_iter();
        texts.filter(|m| m.kind == MessageKind::Text).map(|m| (m.id, m.text)).collect()
    }

    fn gap(&self, n: usize, id: MessageId) -> String {
        let core = self.net.node(self.people[n].node).core();
        let gaps = core.gaps(Some(self.group)).expect("memory");
        let gap = gaps.iter().find(|g| (g.installation, g.number) == (id.installation, id.number));
        match gap.map(|gap| gap.state) {
            None => ", and does not know of it".to_owned(),
            Some(GapState::Unavailable) => ", which is unavailable".to_owned(),
            Some(state) => format!(", a gap: {state:?}"),
        }
    }

    /// All show what they share in one order.
    fn orders(&self, read: &BTreeMap<usize, Vec<(MessageId, String)>>) -> Vec<String> {
        let mut failures = Vec::new();
        let Some((first, theirs)) = read.first_key_value() else { return failures };
        let honest = theirs.iter().filter(|(id, _)| !self.is_hostile(*id));
        let place: BTreeMap<MessageId, usize> =
            honest.enumerate().map(|(at, (id, _))| (*id, at)).collect();
        for (n, messages) in read {
            let places = messages.iter().filter_map(|(id, _)| place.get(id));
            if !places.is_sorted() {
                failures.push(format!("{n} shows messages in another order than {first}"));
            }
        }
        failures
    }
}

fn differences(a: &Standing, b: &Standing) -> String {
    let mut what = Vec::new();
    if a.epoch != b.epoch {
        what.push(format!("epoch {} and {}", a.epoch, b.epoch));
    }
    if a.authenticator != b.authenticator {
        what.push("another state".to_owned());
    }
    if (&a.name, &a.description) != (&b.name, &b.description) {
        what.push(format!("name {:?} and {:?}", a.name, b.name));
    }
    if a.members != b.members {
        what.push(format!("{} and {} members", a.members.len(), b.members.len()));
    }
    if (&a.roles, a.policy) != (&b.roles, b.policy) {
        what.push("other roles or policy".to_owned());
    }
    what.join(", ")
}
