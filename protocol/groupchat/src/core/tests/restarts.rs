//! What is kept of MLS over restarts and crashes, and what is not.

use std::collections::BTreeSet;

use prost::Message as _;

use super::*;
use crate::mls::message::{Inbound, receive};
use crate::mls::{Provider, View, group};
use crate::proto::group as pb;
use crate::store::Overlay;

impl World {
    /// The process of `who` ends, and what it had not handed over is gone with it.
    pub(super) fn restart(&mut self, who: usize) {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let store = self.peers[who].core.store().clone();
        let core = Core::open(store, Self::config(), seed, self.now);
        self.peers[who].core = core.expect("a good store");
        self.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    }

    /// MLS bytes of everything that was said, each once.
    fn application_bytes(&self) -> BTreeSet<Vec<u8>> {
        let said = self
            .wire
            .iter()
            .filter(|(kind, _)| matches!(kind, PublishKind::Message(_) | PublishKind::Retry(_)));
        said.map(|(_, message)| {
            let frame = pb::Frame::decode(self.unseal(BOB, message).as_slice()).expect("ours");
            match frame.body {
                Some(pb::frame::Body::Application(bytes)) => bytes,
                other => panic!("{other:?}"),
            }
        })
        .collect()
    }
}

#[test]
fn no_key_is_used_twice_whenever_the_process_ends() {
    let mut world = World::three();
    for round in 0..6 {
        world.say(BOB, &format!("read in between, {round}"));
        world.say(ALICE, &format!("published, {round}"));
        let text = format!("on disk, and not published before the end, {round}");
        let command = Command::Send { group: world.group, text };
        let (now, id) = (world.now, CommandId(10_000 + round));
        world.peers[ALICE].core.handle(now, Input::Command(id, command)).expect("memory");
        world.restart(ALICE);
        world.run(MINUTE);
    }
    assert_eq!(world.texts(CAROL).len(), 18);
    let all = world.application_bytes();
    assert_eq!(all.len(), 18);
    // one group that reads them all would refuse a generation that came twice
    let core = &world.peers[CAROL].core;
    let overlay = Overlay::new(core.store());
    let view = View::Base(world.group, world.tip(CAROL).id);
    let provider = Provider::new(&overlay, &core.inner.crypto, &core.inner.rng, view);
    let mut fresh = group::load(&provider).expect("memory").expect("a state");
    for bytes in &all {
        let read = receive(&mut fresh, &provider, bytes).expect("no fault");
        assert!(matches!(read, Inbound::Application { .. }), "{read:?}");
    }
}

#[test]
fn reading_is_written_once_in_a_while_alone() {
    let mut world = World::three();
    // a sync is a send of its own
    world.run(MINUTE * 10);
    world.peers[BOB].core.inner.config.sync_after = Duration::from_secs(86_400);
    let group = world.group;
    for peer in &mut world.peers {
        // no commit comes between
        let group = peer.core.inner.groups.get_mut(&group).expect("joined");
        group.record.update_at = Timestamp::ZERO;
    }
    let mls = |world: &World| {
        let mut all = world.dump(BOB, &[]);
        all.retain(|key, _| key.starts_with(b"mls/"));
        all
    };
    let before = mls(&world);
    // what was read before, a sync among it, counts too
    for n in 0..250 {
        world.say(ALICE, &n.to_string());
    }
    assert!(mls(&world) == before, "reading writes nothing of MLS");
    for n in 250..257 {
        world.say(ALICE, &n.to_string());
    }
    let after = mls(&world);
    let fresh: Vec<_> = after.keys().filter(|key| !before.contains_key(*key)).collect();
    assert!(matches!(fresh[..], [key] if key.starts_with(b"mls/2/l/")), "{fresh:?}");
    world.restart(BOB);
    world.go_on(&[ALICE, BOB, CAROL]);
    assert_eq!(world.read(BOB).len(), 260);
}

#[test]
fn few_groups_are_in_memory() {
    let mut world = World::three();
    let mut groups = vec![world.group];
    for _ in 0..40 {
        world.make_group();
        groups.push(world.group);
    }
    for round in 0..2 {
        for &group in &groups {
            let text = round.to_string();
            world.command(ALICE, Command::Send { group, text });
        }
    }
    assert_eq!(format!("{:?}", world.peers[ALICE].core.inner.loaded), "LoadedGroups(16)");
    world.group = groups[0];
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn sending_is_counted_and_the_secrets_are_written_once_in_a_while() {
    let mut world = World::three();
    world.run(MINUTE * 10);
    for peer in &mut world.peers {
        // neither a sync nor a commit comes between
        peer.core.inner.config.sync_after = Duration::from_secs(86_400);
        let group = peer.core.inner.groups.get_mut(&world.group).expect("joined");
        group.record.update_at = Timestamp::ZERO;
    }
    let live = |world: &World| {
        let mut all = world.dump(ALICE, &[]);
        all.retain(|key, _| key.starts_with(b"mls/2/l/"));
        let (counts, secrets): (Vec<_>, Vec<_>) =
            all.into_values().partition(|value| value.len() == 4);
        let count = counts
            .first()
            .map_or(0, |bytes| u32::from_be_bytes(bytes[..].try_into().expect("4 bytes")));
        (count, secrets)
    };
    let (mut count, mut secrets) = live(&world);
    let mut written = 0;
    for n in 0..150 {
        world.say(ALICE, &n.to_string());
        let (next, after) = live(&world);
        if after == secrets {
            assert_eq!(next, count + 1);
        } else {
            assert_eq!((next, count), (0, 63));
            written += 1;
        }
        (count, secrets) = (next, after);
        if n % 11 == 0 {
            world.restart(ALICE);
            world.peers[ALICE].core.inner.config.sync_after = Duration::from_secs(86_400);
        }
    }
    assert_eq!(written, 2);
    world.run(MINUTE);
    assert_eq!(world.texts(BOB).len(), 150);
    let core = &world.peers[CAROL].core;
    let overlay = Overlay::new(core.store());
    let view = View::Base(world.group, world.tip(CAROL).id);
    let provider = Provider::new(&overlay, &core.inner.crypto, &core.inner.rng, view);
    let mut fresh = group::load(&provider).expect("memory").expect("a state");
    let all = world.application_bytes();
    assert!(all.len() >= 150);
    for bytes in &all {
        // a generation that came twice would be refused
        let read = receive(&mut fresh, &provider, bytes).expect("no fault");
        assert!(matches!(read, Inbound::Application { .. }), "{read:?}");
    }
}

/// The commit is the last entry of the queue when Alice's process ends; what follows from it is queued
/// when relay peers take it.
#[test]
fn an_invitation_whose_commit_was_not_taken_before_a_restart_arrives_whole() {
    let mut world = World::three();
    let (dave, card) = world.add();
    world.run(MINUTE * 30);
    world.peers[ALICE].deaf = true;
    world.say(ALICE, "an entry right before it, which stays until a Store has it");
    world.invite(&[card]);
    let pending = &world.peers[ALICE].core.inner.groups[&world.group].record.pending;
    let commit = pending.as_ref().expect("a commit that nobody takes").outgoing;
    assert_eq!(world.peers[ALICE].core.inner.outgoing.last(), Some(commit));
    world.restart(ALICE);
    world.peers[ALICE].deaf = false;
    world.give(ALICE, Input::Connectivity { relay_peers: 2, store_peers: 1 });
    world.run(MINUTE);
    world.command(dave, Command::AcceptInvitation { group: world.group });
    world.go_on(&[ALICE, BOB, CAROL, dave]);
}

/// Who reaches nobody for days lets go of registration records that nobody can use any more.
#[test]
fn registration_records_that_nobody_took_do_not_pile_up() {
    use crate::core::records::{OutgoingKind, OutgoingRecord, decode};
    let mut world = World::three();
    world.peers[CAROL].deaf = true;
    let mut most = 0;
    for _ in 0..6 {
        world.peers[CAROL].asleep = true;
        world.run(MINUTE * 60 * 23);
        world.peers[CAROL].asleep = false;
        world.run(MINUTE * 60);
        let waiting = world.dump(CAROL, &[]).into_iter().filter(|(key, value)| {
            key.starts_with(b"out/")
                && decode::<OutgoingRecord>(value)
                    .is_ok_and(|r| matches!(r.kind, OutgoingKind::Registration { .. }))
        });
        most = waiting.count().max(most);
    }
    assert!(most > 0, "records are made all the same");
    assert!(most <= 2 * crate::account::PARTS, "{most} parts of records wait");
    world.peers[CAROL].deaf = false;
    world.run(MINUTE * 30);
    world.go_on(&[ALICE, BOB, CAROL]);
}
