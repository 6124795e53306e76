//! What comes to an inbox, and the shared part of an invitation: forged, altered, repeated.

use prost::Message as _;
use waku_groupchat_waku::ContentTopic;

use super::*;
use crate::account::{RegistrationSecret, inbox_key, inbox_topic, utc_day};
use crate::core::agreed::Agreed;
use crate::core::inbound::frame_body;
use crate::core::invite::{SLOT_BYTES, SLOT_PLAIN_BYTES, SLOTS};
use crate::kdf::{derive_key, label};
use crate::mls::View;
use crate::mls::group::Proposals;
use crate::mls::{Provider, slot};
use crate::proto::group as pb;
use crate::seal::{SizeClass, open_message, seal_message};
use crate::store::Overlay;

/// Content of a payload around a shared part.
fn shared_frame(shared: pb::InvitationShared) -> Vec<u8> {
    pb::Frame { body: Some(pb::frame::Body::Shared(shared)), mark: Vec::new() }.encode_to_vec()
}

fn registration(world: &World, who: usize) -> RegistrationSecret {
    world.peers[who].core.inner.account.as_ref().expect("an account").registration()
}

pub(super) fn inbox(world: &World, who: usize) -> ContentTopic {
    inbox_topic(&registration(world, who), utc_day(world.now))
}

/// Anything in the inbox of `who`, as every holder of the card can put it there.
fn mail(world: &World, who: usize, content: &[u8], class: SizeClass) -> WakuMessage {
    let key = inbox_key(&registration(world, who), utc_day(world.now));
    let topic = inbox(world, who);
    seal_message(&key, topic, world.now, content, class, &mut world.rng.clone()).expect("fits")
}

/// An envelope with one slot that opens for `who`.
fn envelope(world: &World, who: usize, slot: &[u8]) -> WakuMessage {
    let mut plain = (slot.len() as u16).to_be_bytes().to_vec();
    plain.extend_from_slice(slot);
    plain.resize(SLOT_PLAIN_BYTES, 0);
    padded_envelope(world, who, &plain)
}

fn padded_envelope(world: &World, who: usize, plain: &[u8]) -> WakuMessage {
    let inner = &world.peers[who].core.inner;
    let (_, package) = &inner.account.as_ref().expect("an account").key_packages[0];
    let overlay = Overlay::new(&world.peers[who].core.store);
    let provider = Provider::new(&overlay, &inner.crypto, &inner.rng, View::Global);
    let sealed = slot::seal(&provider, package, slot::Use::Slot, plain).expect("a key package");
    let mut content = world.random(SLOTS * SLOT_BYTES);
    content[7 * SLOT_BYTES..][..sealed.len()].copy_from_slice(&sealed);
    mail(world, who, &content, SizeClass::K16)
}

/// Alice's invitation to Bob and Carol on its way: Bob got nothing of it yet.
struct Invited {
    world: World,
    envelope: WakuMessage,
    shared: WakuMessage,
}

impl Invited {
    fn new() -> Self {
        let mut world = World::new();
        let cards: Vec<String> = (0..3).map(|_| world.add().1).collect();
        world.make_group();
        world.peers[BOB].deaf = true;
        world.invite(&cards[1..]);
        let find = |wanted: &dyn Fn(&(PublishKind, WakuMessage)) -> bool| {
            world.wire.iter().find(|sent| wanted(sent)).expect("published").1.clone()
        };
        let topic = inbox(&world, BOB);
        let envelope = find(&|(_, message)| message.content_topic == topic);
        let shared = find(&|(kind, _)| matches!(kind, PublishKind::InvitationShared(_)));
        world.command(CAROL, Command::AcceptInvitation { group: world.group });
        Self { world, envelope, shared }
    }

    /// The key that all who are invited have.
    fn content_key(&self) -> [u8; 32] {
        let awaited = &self.world.peers[BOB].core.inner.awaited;
        awaited.values().next().expect("the envelope came").content_key.0
    }

    /// The shared part with a change, as anybody who is invited can seal it.
    fn altered(&self, change: impl FnOnce(&mut pb::InvitationShared)) -> WakuMessage {
        let key = derive_key(&self.content_key(), label::INVITATION_KEY, &[]);
        let content = open_message(&key, &self.shared).expect("an invited member's key");
        let Some(pb::frame::Body::Shared(mut shared)) = frame_body(&content) else {
            panic!("Alice's")
        };
        change(&mut shared);
        self.sealed(&shared_frame(shared))
    }

    fn sealed(&self, content: &[u8]) -> WakuMessage {
        let key = derive_key(&self.content_key(), label::INVITATION_KEY, &[]);
        let topic = self.shared.content_topic.clone();
        self.world.seal_on(&key, topic, content, self.world.now)
    }

    fn is_invited(&self) -> bool {
        !self.world.peers[BOB].core.invitations().expect("memory").is_empty()
    }

    /// Bob gets what is left of the invitation, joins, and all three talk.
    fn ends_well(mut self) {
        self.world.deliver(BOB, &self.shared);
        assert!(self.is_invited());
        self.world.peers[BOB].deaf = false;
        self.world.command(BOB, Command::AcceptInvitation { group: self.world.group });
        self.world.run(MINUTE);
        self.world.go_on(&[ALICE, BOB, CAROL]);
    }
}

#[test]
fn junk_in_the_inbox_is_refused() {
    let mut invited = Invited::new();
    let world = &mut invited.world;
    let topic = inbox(world, BOB);
    for bytes in [0, 1024, 16_384, 131_072] {
        let junk = world.junk(topic.clone(), bytes);
        assert_eq!(world.refused_outright(BOB, &junk), RefusedReason::Seal, "{bytes} bytes");
    }
    let content = vec![0; SLOTS * SLOT_BYTES];
    let large = mail(world, BOB, &content, SizeClass::K32);
    assert_eq!(world.refused_outright(BOB, &large), RefusedReason::Seal, "another class");
    for bytes in [0, SLOT_BYTES, SLOTS * SLOT_BYTES - 1] {
        let short = mail(world, BOB, &content[..bytes], SizeClass::K16);
        assert_eq!(world.refused_outright(BOB, &short), RefusedReason::Malformed);
    }
    world.deliver(BOB, &invited.envelope.clone());
    invited.ends_well();
}

#[test]
fn envelopes_that_hold_nothing_for_us_are_passed_over() {
    let mut invited = Invited::new();
    let world = &mut invited.world;
    let foreign = mail(world, BOB, &world.random(SLOTS * SLOT_BYTES), SizeClass::K16);
    world.ignored(BOB, &foreign);
    let carols = envelope(world, CAROL, b"for Carol");
    let key = inbox_key(&registration(world, CAROL), utc_day(world.now));
    let content = open_message(&key, &carols).expect("a holder of the card");
    let to_bob = mail(world, BOB, &content, SizeClass::K16);
    world.ignored(BOB, &to_bob);
    for plain in [vec![0xff; SLOT_PLAIN_BYTES], vec![1; SLOT_PLAIN_BYTES], vec![0; 5], Vec::new()] {
        let padded = padded_envelope(world, BOB, &plain);
        world.ignored(BOB, &padded);
    }
    let content = pb::InvitationSlot { content_key: vec![1; 31], ..Default::default() };
    let short_key = envelope(world, BOB, &content.encode_to_vec());
    assert_eq!(world.refused_outright(BOB, &short_key), RefusedReason::Malformed);
    world.deliver(BOB, &invited.envelope.clone());
    invited.ends_well();
}

#[test]
fn false_times_and_secrets_in_an_envelope_do_not_keep_the_good_one_out() {
    let mut invited = Invited::new();
    let mut real = Invited::new();
    real.world.deliver(BOB, &real.envelope.clone());
    let content_key = real.content_key().to_vec();
    drop(real);
    for (secrets, shared_timestamp) in
        [(b"no secrets".to_vec(), 0), (Vec::new(), i64::MIN), (vec![0; 400], i64::MAX)]
    {
        let content_key = content_key.clone();
        let slot = pb::InvitationSlot {
            content_key,
            group_secrets: secrets,
            shared_timestamp,
            whole: Vec::new(),
        };
        let false_one = envelope(&invited.world, BOB, &slot.encode_to_vec());
        assert_eq!(invited.world.deliver(BOB, &false_one), []);
    }
    invited.world.deliver(BOB, &invited.envelope.clone());
    invited.ends_well();
}

#[test]
fn a_flood_of_envelopes_is_bounded() {
    let mut invited = Invited::new();
    for n in 0..200_u8 {
        let slot = pb::InvitationSlot {
            content_key: vec![n; 32],
            group_secrets: vec![n; 100],
            shared_timestamp: invited.world.now.as_waku(),
            whole: Vec::new(),
        };
        let one = envelope(&invited.world, BOB, &slot.encode_to_vec());
        invited.world.deliver(BOB, &one);
    }
    assert_eq!(invited.world.peers[BOB].core.inner.awaited.len(), 64);
    invited.world.deliver(BOB, &invited.envelope.clone());
    invited.ends_well();
}

#[test]
fn an_altered_shared_part_is_refused_and_the_good_one_taken() {
    let mut invited = Invited::new();
    invited.world.deliver(BOB, &invited.envelope.clone());
    let topic = invited.shared.content_topic.clone();
    let junk = invited.world.junk(topic, 4096);
    assert_eq!(invited.world.refused_outright(BOB, &junk), RefusedReason::Seal);
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().expect("not empty") ^= 1;
    let altered = [
        ("nothing", invited.sealed(&[])),
        ("random bytes", invited.sealed(&invited.world.random(2000))),
        ("the welcome", invited.altered(|shared| flip(&mut shared.welcome))),
        ("a short welcome", invited.altered(|shared| shared.welcome.truncate(10))),
        ("the tree", invited.altered(|shared| flip(&mut shared.ratchet_tree))),
        ("no tree", invited.altered(|shared| shared.ratchet_tree.clear())),
        ("a log entry less", invited.altered(|shared| drop(shared.log_entries.pop()))),
        ("a log entry more", invited.altered(|shared| shared.log_entries.push(vec![7]))),
        ("a changed log entry", invited.altered(|shared| flip(&mut shared.log_entries[0]))),
    ];
    for (what, message) in altered {
        let reason = invited.world.refused_outright(BOB, &message);
        assert_eq!(reason, RefusedReason::Invalid, "{what}");
        assert!(!invited.is_invited());
    }
    invited.ends_well();
}

/// Who is invited too can make the baselines say anything: the senders' own words outweigh them.
#[test]
fn too_high_baselines_hide_nothing_for_long() {
    let mut invited = Invited::new();
    invited.world.deliver(BOB, &invited.envelope.clone());
    let senders = [ALICE, CAROL].map(|who| invited.world.installation(who).as_bytes().to_vec());
    let altered = invited.altered(|shared| {
        shared.baselines = vec![
            pb::Baseline { installation: senders[0].clone(), number: u64::MAX },
            pb::Baseline { installation: senders[1].clone(), number: u64::MAX - 1 },
            pb::Baseline { installation: vec![1; 31], number: 1 },
        ];
    });
    let Invited { mut world, .. } = invited;
    world.deliver(BOB, &altered);
    world.command(BOB, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
    let (lost, message) = world.say_aside(ALICE, "one");
    let (_, next) = world.say_aside(ALICE, "two");
    world.deliver(BOB, &next);
    world.run(Duration::from_secs(15));
    let gaps = world.peers[BOB].core.gaps(None).expect("memory");
    assert_eq!(gaps.iter().map(|gap| gap.number).collect::<Vec<_>>(), [lost.number]);
    world.deliver(BOB, &message);
    assert_eq!(world.gaps(BOB, GapState::Recovered).len(), 1);
    world.peers[BOB].deaf = false;
    world.go_on(&[ALICE, BOB]);
}

#[test]
fn a_repeated_invitation_changes_nothing() {
    let mut invited = Invited::new();
    let world = &mut invited.world;
    world.deliver(BOB, &invited.envelope);
    world.deliver(BOB, &invited.shared);
    let told = |world: &World| {
        let events = world.peers[BOB].heard.iter();
        events.filter(|event| matches!(event, Event::Invitation { .. })).count()
    };
    let again = |world: &mut World| {
        for message in [&invited.envelope, &invited.shared, &invited.shared, &invited.envelope] {
            world.deliver(BOB, message);
        }
    };
    again(world);
    assert_eq!(told(world), 1);
    world.command(BOB, Command::AcceptInvitation { group: world.group });
    again(world);
    assert_eq!(told(world), 1);
    world.peers[BOB].deaf = false;
    world.run(MINUTE);
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn what_was_declined_does_not_come_again() {
    let mut invited = Invited::new();
    let world = &mut invited.world;
    world.deliver(BOB, &invited.envelope);
    world.deliver(BOB, &invited.shared);
    world.command(BOB, Command::DeclineInvitation { group: world.group });
    let key = inbox_key(&registration(world, BOB), utc_day(world.now));
    let content = open_message(&key, &invited.envelope).expect("a holder of the card");
    world.run(MINUTE);
    let fresh = mail(world, BOB, &content, SizeClass::K16);
    for message in [&invited.envelope, &invited.shared, &fresh, &invited.shared] {
        world.deliver(BOB, message);
    }
    assert_eq!(world.peers[BOB].core.invitations().expect("memory"), []);
    assert_eq!(world.peers[BOB].core.groups().expect("memory"), []);
    let group = world.group;
    let late = world.try_command(BOB, Command::AcceptInvitation { group });
    assert_eq!(late.err(), Some(CommandError::NoInvitation(group)));
    world.as_written(BOB);
    world.go_on(&[ALICE, CAROL]);
}

/// Any member can invite by a commit of its own, as the policy allows.
#[test]
fn an_invitation_by_another_than_the_creator_opens() {
    let mut world = World::three();
    let (dave, _) = world.add();
    let mut shared = pb::InvitationShared::default();
    let mut secrets = Vec::new();
    let (package, agreed) = (world.package(dave), world.agreed());
    let mut log = world.log_set(CAROL);
    assert!(log.extend(&world.own_log(dave)));
    let entries: Vec<Vec<u8>> = log.iter().cloned().collect();
    let set = world.extensions(&Agreed { log_digest: log.digest(), ..agreed });
    world.in_copy(CAROL, &world.tip(CAROL), |group, provider, key| {
        let extensions = Some(set.as_slice());
        let proposals = Proposals { adds: vec![package], extensions, ..Default::default() };
        let made = crate::mls::group::commit(group, provider, key, proposals);
        let welcome = made.expect("own state").expect("fits").welcome.expect("an addition");
        crate::mls::group::merge_pending(group, provider).expect("own state");
        let split = crate::mls::welcome::split(&welcome).expect("an own one");
        secrets = split.entries[0].1.clone();
        shared = pb::InvitationShared {
            welcome: split.shared,
            ratchet_tree: crate::mls::group::ratchet_tree(group).expect("a tree"),
            log_entries: entries.clone(),
            baselines: Vec::new(),
            made: 0,
        };
    });
    let slot = pb::InvitationSlot {
        content_key: vec![3; 32],
        group_secrets: secrets,
        shared_timestamp: world.now.as_waku(),
        whole: Vec::new(),
    };
    world.deliver(dave, &envelope(&world, dave, &slot.encode_to_vec()));
    let key = derive_key(&[3; 32], label::INVITATION_KEY, &[]);
    let topic = crate::kdf::derive_topic(&[3; 32], label::INVITATION_TOPIC, &[]);
    let message = world.seal_on(&key, topic, &shared_frame(shared), world.now);
    world.deliver(dave, &message);
    let invitations = world.peers[dave].core.invitations().expect("memory");
    assert_eq!(invitations.len(), 1);
    assert_eq!(invitations[0].from, world.account(CAROL));
    world.go_on(&[ALICE, BOB]);
}
