//! What happens on a virtual network, one thing after the other.

use std::sync::Arc;
use std::time::Duration;

use waku_groupchat_core::Timestamp;
use waku_groupchat_core::api::{
    FetchId, FetchRequest, FetchResult, FetchSource, FetchTry, FetchWhat, Input, Output, Publish,
    PublishId, PublishKind, PublishResult,
};

use super::node::Held;
use super::{Network, NodeId, Seen};

/// Messages of an archive that a core is given at a time.
const FETCHED_PAGE: usize = 16;

/// Something that is to happen.
pub(super) enum Happening {
    Deliver(NodeId, Held),
    Store(Held),
    // the answers a driver owes belong to one life of its core
    Published(NodeId, u32, PublishId, PublishResult),
    Answer(NodeId, u32, FetchId, FetchRequest),
}

impl Network {
    /// Jumps to the next thing that happens by `end`, and lets it happen.
    pub(super) fn step(&mut self, end: Timestamp) -> bool {
        let happens = self.due.first_key_value().map(|((at, _), _)| *at);
        let timer = self.timers.first().map(|(at, id)| ((*at).max(self.now), *id));
        match (happens, timer) {
            (Some(at), timer) if at <= end && timer.is_none_or(|(t, _)| at <= t) => {
                self.now = self.now.max(at);
                if let Some((_, happening)) = self.due.pop_first() {
                    self.happen(happening);
                }
                true
            }
            (_, Some((at, id))) if at <= end => {
                self.now = at;
                let now = self.clock(id);
                let survives = self.nodes[id.0].handle_timeout(now);
                self.retime(id);
                self.go_on(id, survives);
                true
            }
            _ => false,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver(id, held) => {
                if self.nodes[id.0].is_up() {
                    self.note(id, || format!("gets {} bytes", held.1.payload.len()));
                    self.nodes[id.0].archive(&held);
                    self.input(id, Input::Heard(vec![(*held.1).clone()]));
                }
            }
            Happening::Store(held) => {
                if self.store_up {
                    self.store.insert(&held);
                }
            }
            Happening::Published(id, life, publish, result) => {
                if self.nodes[id.0].life() == life {
                    self.input(id, Input::Published(publish, result));
                }
            }
            Happening::Answer(id, life, fetch, request) => {
                if self.nodes[id.0].life() == life {
                    self.answer_fetch(id, fetch, &request);
                }
            }
        }
    }

    pub(super) fn input(&mut self, id: NodeId, input: Input) {
        if self.nodes[id.0].is_up() {
            let now = self.clock(id);
            let survives = self.nodes[id.0].handle(now, &input);
            self.retime(id);
            self.go_on(id, survives);
        }
    }

    /// Does what a node wants done, or starts it again if it crashed.
    fn go_on(&mut self, id: NodeId, survives: bool) {
        if survives {
            self.drain(id);
        } else {
            self.note(id, || "crashes".to_owned());
            self.restart(id);
        }
    }

    pub(super) fn drain(&mut self, id: NodeId) {
        if self.doomed.remove(&id) {
            // what was written stands, what was to follow from it is gone
            let answers = self.nodes[id.0].outputs();
            for output in answers {
                if let Output::Answer(name, answer) = output {
                    self.nodes[id.0].answered(name, answer);
                }
            }
            self.stop(id);
            return;
        }
        while let Some(output) = self.nodes[id.0].poll_output() {
            match output {
                Output::Publish(publish) => self.publish(id, publish),
                Output::Fetch(fetch, request) => {
                    let delay = self.links.delay(&mut self.rng);
                    let life = self.nodes[id.0].life();
                    self.later(self.now + delay, Happening::Answer(id, life, fetch, request));
                }
                Output::Answer(name, answer) => self.nodes[id.0].answered(name, answer),
                Output::Refused(reason) => self.note(id, || format!("refuses: {reason:?}")),
                Output::Event(event) => {
                    self.note(id, || format!("event {:?}", event.event));
                    self.nodes[id.0].heard(event);
                }
            }
        }
    }

    fn publish(&mut self, id: NodeId, publish: Publish) {
        let held = (publish.hash, Arc::new(publish.message));
        let bytes = held.1.payload.len();
        self.note(id, || format!("publishes {} {bytes}", publish.kind.name()));
        self.nodes[id.0].archive(&held);
        let peers = match self.withhold_one(id, publish.kind, &held) {
            true => 1,
            false => self.spread(id, publish.kind, &held),
        };
        let result = match peers {
            0 => PublishResult::Failed { reason: "no peers".to_owned() },
            peers => PublishResult::Published { peers },
        };
        if peers > 0 {
            let (hash, message) = held;
            let (at, kind) = (self.now, publish.kind);
            self.published.push(Seen { node: id, at, kind, hash, message });
        }
        let at = self.now + Duration::from_millis(1);
        let life = self.nodes[id.0].life();
        self.later(at, Happening::Published(id, life, publish.id, result));
    }

    /// Sends a publish on its ways; how many it was handed to.
    pub(super) fn spread(&mut self, from: NodeId, kind: PublishKind, held: &Held) -> usize {
        let others: Vec<NodeId> = self
            .node_ids()
            .filter(|id| self.linked(from, *id) && self.listens(*id, from, kind))
            .collect();
        let slow = |id: &NodeId| self.slow.get(id).copied().unwrap_or_default();
        let (out, ways): (Duration, Vec<_>) =
            (slow(&from), others.iter().map(|to| (*to, slow(to))).collect());
        for (to, more) in ways {
            for delay in self.links.deliveries(&mut self.rng) {
                let at = self.now + out + more + delay;
                self.later(at, Happening::Deliver(to, held.clone()));
            }
        }
        let stored = self.store_linked(from);
        if stored {
            for delay in self.links.deliveries(&mut self.rng) {
                self.later(self.now + out + delay, Happening::Store(held.clone()));
            }
        }
        others.len() + usize::from(stored)
    }

    fn answer_fetch(&mut self, id: NodeId, fetch: FetchId, request: &FetchRequest) {
        if !self.nodes[id.0].is_up() {
            return;
        }
        let (source, found) = match &request.source {
            FetchSource::OwnArchive(topics) => {
                let found = self.nodes[id.0].archived(request.from, request.to, Some(topics));
                ("own archive".to_owned(), Some(found))
            }
            FetchSource::StorePeers => {
                let found = self.store_linked(id).then(|| {
                    let found = self.store.range(request.from, request.to, None);
                    self.listened(id, found)
                });
                ("store".to_owned(), found)
            }
        };
        let outcome = match &found {
            Some(found) => Ok(found.len() as u64),
            None => Err("cannot be reached".to_owned()),
        };
        let life = self.nodes[id.0].life();
        let (mut hashes, messages): (Vec<_>, Vec<_>) =
            found.unwrap_or_default().into_iter().unzip();
        if request.what == FetchWhat::Messages {
            for held in hashes.drain(..).zip(&messages) {
                // a node's own archive is to hold the whole shard
                self.nodes[id.0].archive(&(held.0, Arc::clone(held.1)));
            }
            for page in messages.chunks(FETCHED_PAGE) {
                let page = page.iter().map(|message| (**message).clone()).collect();
                self.input(id, Input::Messages(page));
                if self.nodes[id.0].life() != life {
                    return;
                }
            }
        }
        let result = FetchResult { tried: vec![FetchTry { source, outcome }], hashes };
        if self.nodes[id.0].life() == life {
            self.input(id, Input::Fetched(fetch, result));
        }
    }

    pub(super) fn later(&mut self, at: Timestamp, happening: Happening) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), happening);
    }
}
