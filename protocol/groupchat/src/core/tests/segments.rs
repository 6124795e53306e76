//! Commits and invitations over one message: lost, repeated, false and interrupted segments.

use prost::Message as _;

use super::*;
use crate::api::Publish;
use crate::core::inbound::frame_body;
use crate::kdf::{derive_key, label};
use crate::proto::group as pb;
use crate::segment;

/// Accounts of two installations each whose addition does not fit one message.
const CROWD: usize = 130;

/// Alice and Bob are in a group; Alice's commit that adds Carol and a crowd is published, and Bob
/// and Carol got nothing of it.
struct Crowded {
    world: World,
    /// Segments of the commit.
    commit: Vec<WakuMessage>,
    /// Carol's envelope.
    envelope: WakuMessage,
    /// Segments of the shared part.
    shared: Vec<WakuMessage>,
}

impl Crowded {
    fn new() -> Self {
        let mut world = World::new();
        let cards: Vec<String> = (0..3).map(|_| world.add().1).collect();
        world.make_group();
        world.invite(&cards[1..2]);
        world.command(BOB, Command::AcceptInvitation { group: world.group });
        world.run(MINUTE);
        let mut invited = world.crowd(CROWD);
        invited.push(cards[2].clone());
        let inbox = invitations::inbox(&world, CAROL);
        let before = world.wire.len();
        (world.peers[BOB].deaf, world.peers[CAROL].deaf) = (true, true);
        world.invite(&invited);
        let sent = &world.wire[before..];
        let of = |wanted: fn(&PublishKind) -> bool| {
            let sent = sent.iter().filter(|(kind, _)| wanted(kind));
            sent.map(|(_, message)| message.clone()).collect::<Vec<_>>()
        };
        let commit = of(|kind| matches!(kind, PublishKind::Commit(_)));
        let shared = of(|kind| matches!(kind, PublishKind::InvitationShared(_)));
        let envelopes = of(|kind| matches!(kind, PublishKind::InvitationEnvelope(_)));
        let envelope =
            envelopes.iter().find(|m| m.content_topic == inbox).expect("Carol's").clone();
        assert_eq!(envelopes.len(), CROWD + 1);
        Self { world, commit, envelope, shared }
    }

    /// Another core over what this one has written.
    fn reopen(&mut self, who: usize, store: MemoryStore) {
        let mut seed = [0; 32];
        self.world.rng.fill(&mut seed);
        let core = Core::open(store, World::config(), seed, self.world.now).expect("memory");
        self.world.peers[who].core = core;
        self.world.peers[who].archive.clear();
    }

    fn accounts(&self, who: usize) -> usize {
        let members = self.world.peers[who].core.members(self.world.group).expect("memory");
        members.map_or(0, |members| members.len())
    }

    fn all_accounts(&self) -> usize {
        3 + CROWD
    }

    /// Everybody hears again, and the three talk.
    fn ends_well(mut self) {
        let group = self.world.group;
        (self.world.peers[BOB].deaf, self.world.peers[CAROL].deaf) = (false, false);
        self.world.command(CAROL, Command::AcceptInvitation { group });
        self.world.run(MINUTE);
        assert_eq!(self.accounts(BOB), self.all_accounts());
        assert_eq!(self.accounts(CAROL), self.all_accounts());
        self.world.go_on(&[ALICE, BOB, CAROL]);
    }
}

#[test]
fn the_loss_of_any_one_segment_is_survived() {
    let mut crowded = Crowded::new();
    for segments in [&crowded.commit, &crowded.shared] {
        assert!(segments.len() > 2, "{} segments", segments.len());
        assert!(segments.iter().all(|m| m.payload.len() == 128 * 1024), "one class");
        let topics: Vec<_> = segments.iter().map(|m| &m.content_topic).collect();
        assert!(topics.windows(2).all(|pair| pair[0] == pair[1]), "one topic");
    }
    let [bob, carol] = [BOB, CAROL].map(|who| crowded.world.peers[who].core.store().clone());
    for lost in 0..crowded.commit.len() {
        crowded.reopen(BOB, bob.clone());
        for (index, segment) in crowded.commit.clone().iter().enumerate() {
            if index != lost {
                crowded.world.deliver(BOB, segment);
            }
        }
        assert_eq!(crowded.accounts(BOB), crowded.all_accounts(), "without segment {lost}");
        let late = crowded.commit[lost].clone();
        crowded.world.ignored(BOB, &late);
    }
    for lost in 0..crowded.shared.len() {
        crowded.reopen(CAROL, carol.clone());
        crowded.world.deliver(CAROL, &crowded.envelope.clone());
        for (index, segment) in crowded.shared.clone().iter().enumerate().rev() {
            if index != lost {
                crowded.world.deliver(CAROL, segment);
            }
        }
        let invited = crowded.world.peers[CAROL].core.invitations().expect("memory");
        assert_eq!(invited.len(), 1, "without segment {lost}");
    }
    crowded.ends_well();
}

/// More than repair makes up for comes with the next filling of the shard from a Store.
#[test]
fn what_is_lost_beyond_repair_comes_from_a_store() {
    let mut crowded = Crowded::new();
    crowded.world.deliver(BOB, &crowded.commit[0].clone());
    crowded.world.deliver(CAROL, &crowded.envelope.clone());
    crowded.world.deliver(CAROL, &crowded.shared[1].clone());
    assert_eq!(crowded.accounts(BOB), 2);
    for who in [BOB, CAROL] {
        crowded.world.peers[who].deaf = false;
        let (relay_peers, store_peers) = (2, 2);
        crowded.world.give(who, Input::Connectivity { relay_peers, store_peers });
    }
    crowded.world.run(World::config().catch_up);
    crowded.ends_well();
}

/// Segments are in memory alone; after a start the own archive gives those that came before.
#[test]
fn a_start_in_the_middle_loses_nothing() {
    let mut crowded = Crowded::new();
    let (commit, shared) = (crowded.commit.clone(), crowded.shared.clone());
    crowded.world.deliver(CAROL, &crowded.envelope.clone());
    for (who, first) in [(BOB, &commit[0]), (CAROL, &shared[0])] {
        crowded.world.deliver(who, first);
        let (store, archive) = (
            crowded.world.peers[who].core.store().clone(),
            crowded.world.peers[who].archive.clone(),
        );
        crowded.reopen(who, store);
        crowded.world.peers[who].archive = archive;
    }
    crowded.world.run(MINUTE);
    for (who, rest) in [(BOB, &commit[2..]), (CAROL, &shared[2..])] {
        rest.iter().for_each(|segment| drop(crowded.world.deliver(who, segment)));
    }
    assert_eq!(crowded.accounts(BOB), crowded.all_accounts());
    crowded.ends_well();
}

/// A member can repeat, change and invent segments, before and between the true ones.
#[test]
fn false_segments_spoil_nothing() {
    let mut crowded = Crowded::new();
    let (commit, shared) = (crowded.commit.clone(), crowded.shared.clone());
    let world = &mut crowded.world;
    let content = world.unseal(BOB, &commit[0]);
    let Some(pb::frame::Body::Segment(segment)) = frame_body(&content) else { panic!("a segment") };
    let frame = |segment: pb::Segment| {
        pb::Frame { body: Some(pb::frame::Body::Segment(segment)), mark: Vec::new() }
            .encode_to_vec()
    };
    let falsified = |change: &dyn Fn(&mut pb::Segment)| {
        let mut changed = segment.clone();
        change(&mut changed);
        frame(changed)
    };
    let false_ones = [
        ("a share", falsified(&|s| s.share[77] ^= 1)),
        ("a hash", falsified(&|s| s.hashes[0] ^= 1)),
        ("an index", falsified(&|s| s.index = 1)),
        ("a version", falsified(&|s| s.version = 2)),
        ("a length", falsified(&|s| s.length = u32::MAX)),
        ("nothing", frame(pb::Segment::default())),
    ];
    for (what, content) in &false_ones {
        let message = world.seal(BOB, content);
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Malformed, "{what}");
    }
    // another whole, with a hash of a share that is not the first: nothing of it is ever complete
    let message = world.seal(BOB, &falsified(&|s| s.hashes[40] ^= 1));
    world.ignored(BOB, &message);
    world.ignored(BOB, &commit[1]);
    world.ignored(BOB, &commit[1]);
    for n in 0..20_u8 {
        let other = segment::split(&vec![n; 200_000]).expect("a whole").segments.remove(0);
        let message = world.seal(BOB, &frame(other));
        world.ignored(BOB, &message);
        world.ignored(BOB, &commit[1]);
    }
    commit.iter().for_each(|segment| drop(world.deliver(BOB, segment)));
    // an invitation's topic takes the whole that the envelope named alone
    world.deliver(CAROL, &crowded.envelope);
    let awaited = world.peers[CAROL].core.inner.awaited.values().next().expect("awaited");
    let key = derive_key(&awaited.content_key.0, label::INVITATION_KEY, &[]);
    let other = segment::split(&[5; 200_000]).expect("a whole").segments.remove(0);
    let false_one = world.seal_on(&key, shared[0].content_topic.clone(), &frame(other), world.now);
    assert_eq!(world.refused_outright(CAROL, &false_one), RefusedReason::Invalid);
    shared.iter().for_each(|segment| drop(world.deliver(CAROL, segment)));
    crowded.ends_well();
}

/// What Alice's core puts out, by hand.
pub(super) struct ByHand {
    pub(super) world: World,
    publishes: Vec<Publish>,
    pub(super) fetches: Vec<(crate::api::FetchId, FetchRequest)>,
}

impl ByHand {
    pub(super) fn new(world: World) -> Self {
        Self { world, publishes: Vec::new(), fetches: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(output) = self.world.peers[ALICE].core.poll_output() {
            match output {
                Output::Publish(publish) => self.publishes.push(publish),
                Output::Fetch(id, request) => self.fetches.push((id, request)),
                _ => {}
            }
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.world.input(ALICE, input);
        self.drain();
    }

    /// Lets the time pass until Alice's core wants something.
    fn wait(&mut self) {
        let at = self.world.peers[ALICE].core.poll_timeout().expect("something to do");
        self.world.now = self.world.now.max(at);
        let now = self.world.now;
        self.world.peers[ALICE].core.handle_timeout(now).expect("memory");
        self.drain();
    }

    fn take(&mut self) -> Vec<Publish> {
        let (commits, rest) = std::mem::take(&mut self.publishes)
            .into_iter()
            .partition(|p| matches!(p.kind, PublishKind::Commit(_)));
        self.publishes = rest;
        commits
    }

    fn accounts(&self) -> usize {
        let members = self.world.peers[ALICE].core.members(self.world.group).expect("memory");
        members.map_or(0, |members| members.len())
    }
}

/// An own commit counts when peers took all its segments; a Store that has all but one has that one
/// published again alone.
#[test]
fn each_segment_is_published_and_confirmed_by_itself() {
    let mut world = World::new();
    world.add();
    world.make_group();
    let cards = world.crowd(CROWD);
    let mut hand = ByHand::new(world);
    let group = hand.world.group;
    hand.input(Input::Command(CommandId(1000), Command::Invite { group, cards }));
    while let Some((id, request)) = hand.fetches.pop() {
        let (messages, result) = hand.world.fetched(ALICE, &request);
        messages.into_iter().for_each(|message| hand.input(Input::Message(message)));
        hand.input(Input::Fetched(id, result));
    }
    let before = hand.world.tip(ALICE);
    let segments = hand.take();
    assert!(segments.len() > 2, "{} segments", segments.len());
    let last = segments.len() - 1;
    for segment in &segments[..last] {
        hand.input(Input::Published(segment.id, PublishResult::Published { peers: 1 }));
        assert_eq!(hand.accounts(), 1, "not all segments are out");
    }
    let reason = "alone".to_owned();
    hand.input(Input::Published(segments[last].id, PublishResult::Failed { reason }));
    let again = loop {
        hand.wait();
        if let [again] = &hand.take()[..] {
            break again.clone();
        }
    };
    assert_ne!(again.hash, segments[last].hash, "sealed anew");
    hand.input(Input::Published(again.id, PublishResult::Published { peers: 1 }));
    assert_eq!(hand.accounts(), 1 + CROWD);
    // a Store has all but the second
    let stored = segments.iter().map(|s| s.hash).filter(|hash| *hash != segments[1].hash);
    let stored: Vec<_> = stored.chain([again.hash]).collect();
    let repeated = loop {
        for publish in std::mem::take(&mut hand.publishes) {
            hand.input(Input::Published(publish.id, PublishResult::Published { peers: 1 }));
        }
        for (id, request) in std::mem::take(&mut hand.fetches) {
            let tried = vec![FetchTry { source: "store".to_owned(), outcome: Ok(0) }];
            let asked = request.what == FetchWhat::Hashes;
            let hashes = if asked { stored.clone() } else { Vec::new() };
            hand.input(Input::Fetched(id, FetchResult { tried, hashes }));
        }
        let repeated = hand.take();
        if !repeated.is_empty() {
            break repeated;
        }
        hand.wait();
    };
    let [repeated] = &repeated[..] else { panic!("{} segments again", repeated.len()) };
    let content = |message: &WakuMessage| hand.world.unseal_under(&before, message);
    assert_eq!(content(&repeated.message), content(&segments[1].message));
}
