//! The core on a virtual network: what the chat promises, under loss, cuts and restarts.

use std::time::Duration;

use waku_groupchat_core::api::views::{Evidence, GapState, SendState};
use waku_groupchat_core::api::{Command, CommandError, Event, Policy, PublishKind, Role};
use waku_groupchat_core::{AccountId, GroupId, MessageId};
use waku_groupchat_simulations::cast::{account, gaps, group, link, publishes, read, say, texts};
use waku_groupchat_simulations::network::{Links, Network, NodeId};

const MINUTE: Duration = Duration::from_secs(60);

/// Alice, Bob and Carol, each with a node, in one group that Alice made.
fn three(net: &mut Network) -> ([NodeId; 3], GroupId) {
    let (alice, _) = account(net);
    let (bob, bobs) = account(net);
    let (carol, carols) = account(net);
    let group = group(net, alice, &[bobs, carols], &[bob, carol]);
    ([alice, bob, carol], group)
}

fn state_of(net: &Network, node: NodeId, id: MessageId) -> Option<SendState> {
    net.node(node).core().message(id).expect("memory").and_then(|m| m.sending)
}

#[test]
fn a_conversation_reaches_everybody_with_one_publish_a_message() {
    let mut net = Network::new(1, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    let mut ids = Vec::new();
    for (node, text) in [(alice, "Grüezi"), (bob, "Bonjour 👋"), (carol, "안녕"), (alice, "x")]
    {
        ids.push(say(&mut net, node, group, text));
        net.run_for(Duration::from_secs(2));
    }
    net.run_for(MINUTE);
    for node in [alice, bob, carol] {
        assert_eq!(texts(&net, node, group), ["Grüezi", "Bonjour 👋", "안녕", "x"]);
        assert!(net.node(node).core().gaps(None).expect("memory").is_empty());
    }
    for id in ids {
        assert_eq!(publishes(&net, id), (1, 0));
    }
}

#[test]
fn an_own_message_shows_how_far_it_got() {
    let mut net = Network::new(2, Links::perfect());
    let ([alice, bob, _], group) = three(&mut net);
    net.set_alone(alice, true);
    let id = say(&mut net, alice, group, "anybody?");
    net.run_for(MINUTE);
    assert_eq!(state_of(&net, alice, id), Some(SendState::Queued), "nobody took it");
    net.set_alone(alice, false);
    net.run_for(Duration::from_secs(1));
    assert_eq!(state_of(&net, alice, id), Some(SendState::Published { peers: 3 }));
    net.run_for(MINUTE);
    assert_eq!(state_of(&net, alice, id), Some(SendState::Stored));
    let id = say(&mut net, alice, group, "well?");
    net.run_for(Duration::from_secs(1));
    say(&mut net, bob, group, "here");
    net.run_for(Duration::from_secs(1));
    assert_eq!(state_of(&net, alice, id), Some(SendState::Acknowledged));
}

#[test]
fn both_installations_of_an_account_read_and_write() {
    let mut net = Network::new(3, Links::perfect());
    let (alice, _) = account(&mut net);
    let (bob, bobs) = account(&mut net);
    let tablet = link(&mut net, bob);
    assert_eq!(net.node(tablet).core().installations().expect("memory").len(), 2);
    // the record that names both leaves with the next period
    net.run_for(Duration::from_secs(2 * 86_400));
    let group = group(&mut net, alice, &[bobs], &[bob, tablet]);
    for (node, text) in [(alice, "one"), (tablet, "two"), (bob, "three")] {
        say(&mut net, node, group, text);
        net.run_for(MINUTE);
    }
    for node in [alice, bob, tablet] {
        assert_eq!(texts(&net, node, group), ["one", "two", "three"]);
    }
    let view = net.node(alice).core().group(group).expect("memory").expect("a group");
    assert_eq!((view.accounts, view.installations), (2, 3));
}

#[test]
fn a_gap_is_reported_with_its_sender_and_recovered_from_the_store() {
    let mut net = Network::new(4, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    say(&mut net, alice, group, "before");
    net.run_for(MINUTE);
    net.set_alone(carol, true);
    let lost = say(&mut net, alice, group, "unheard");
    net.run_for(MINUTE);
    net.set_cut(carol, alice, false);
    let next = say(&mut net, alice, group, "heard");
    net.run_for(Duration::from_secs(5));
    // before Carol could ask her
    net.set_cut(carol, alice, true);
    net.run_for(MINUTE);
    let open = gaps(&net, carol, GapState::Fetching);
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((open[0].installation, open[0].number), (lost.installation, lost.number));
    assert_eq!(open[0].evidence, Evidence::Proven { by_number: next.number });
    net.set_alone(carol, false);
    net.run_for(MINUTE);
    assert_eq!(gaps(&net, carol, GapState::Recovered).len(), 1);
    for node in [bob, carol] {
        assert_eq!(texts(&net, node, group), ["before", "unheard", "heard"]);
    }
    let states: Vec<GapState> = net
        .node(carol)
        .events()
        .filter_map(|event| match event {
            Event::Gap { gap } => Some(gap.state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [GapState::Missing, GapState::Fetching, GapState::Recovered]);
}

/// Without any archive, a member hands over what another missed.
#[test]
fn a_gap_is_filled_by_a_member_where_no_archive_can_be_reached() {
    let mut net = Network::new(6, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    net.set_store_up(false);
    net.set_alone(carol, true);
    let lost = say(&mut net, alice, group, "unheard");
    net.run_for(MINUTE);
    net.set_cut(carol, bob, false);
    let handed = net.published().len();
    say(&mut net, bob, group, "Alice said something");
    net.run_for(MINUTE * 3);
    assert_eq!(texts(&net, carol, group).len(), 2, "{}", net.story(40));
    assert_eq!(gaps(&net, carol, GapState::Recovered).len(), 1);
    assert_eq!(gaps(&net, carol, GapState::Recovered)[0].number, lost.number);
    let repairs = net.published()[handed..].iter();
    let repairs = repairs.filter(|seen| matches!(seen.kind, PublishKind::Repair(_))).count();
    assert!((2..=4).contains(&repairs), "{repairs} repairs: one asks, one answers");
}

/// Nobody mentions it, and its sender says nothing more: the sync after it tells.
#[test]
fn a_senders_last_message_does_not_stay_unnoticed() {
    let mut net = Network::new(7, Links::perfect());
    let ([alice, _, carol], group) = three(&mut net);
    net.run_for(MINUTE * 10);
    net.set_alone(carol, true);
    say(&mut net, alice, group, "the last word");
    net.run_for(Duration::from_secs(5));
    // archives know nothing of it either, so only members can tell
    net.set_alone(carol, false);
    net.set_store_cut(carol, true);
    net.run_for(MINUTE * 10);
    assert_eq!(texts(&net, carol, group), ["the last word"]);
}

#[test]
fn what_nobody_holds_any_more_stays_unavailable_with_what_was_tried() {
    let mut net = Network::new(5, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    say(&mut net, alice, group, "before");
    net.run_for(MINUTE);
    // Alice reaches Bob, and only Bob
    net.set_store_cut(alice, true);
    net.set_cut(alice, carol, true);
    let lost = say(&mut net, alice, group, "for Bob's ears");
    net.run_for(Duration::from_secs(5));
    let claim = say(&mut net, bob, group, "Alice said something");
    net.run_for(Duration::from_secs(5));
    net.stop(alice);
    net.stop(bob);
    net.run_for(MINUTE * 30);
    let gone = gaps(&net, carol, GapState::Unavailable);
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].installation, gone[0].number), (lost.installation, lost.number));
    assert_eq!(gone[0].evidence, Evidence::Claimed { by: claim.installation });
    let sources: Vec<&str> = gone[0].tried.iter().map(|t| t.source.as_str()).collect();
    assert_eq!(sources, ["own archive", "store", "members"]);
    assert!(gone[0].tried[..2].iter().all(|t| t.times >= 3));
}

#[test]
fn a_joiner_calls_nothing_missing_from_before() {
    let mut net = Network::new(6, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    for i in 0..5 {
        say(&mut net, alice, group, &format!("early {i}"));
        say(&mut net, bob, group, &format!("early too {i}"));
        net.run_for(Duration::from_secs(1));
    }
    let (dave, daves) = account(&mut net);
    net.run_for(MINUTE);
    net.command(alice, Command::Invite { group, cards: vec![daves] }).expect("a good card");
    net.run_for(MINUTE);
    say(&mut net, bob, group, "after the commit, before Dave joins");
    net.run_for(MINUTE);
    net.command(dave, Command::AcceptInvitation { group }).expect("an invitation");
    net.run_for(MINUTE);
    say(&mut net, alice, group, "welcome");
    net.run_for(MINUTE);
    assert_eq!(texts(&net, dave, group), ["after the commit, before Dave joins", "welcome"]);
    assert!(net.node(dave).core().gaps(None).expect("memory").is_empty());
    assert_eq!(read(&net, carol, group).len(), 12);
}

#[test]
fn a_stopped_node_catches_up_with_messages_and_commits() {
    let mut net = Network::new(7, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    net.run_for(MINUTE);
    net.stop(carol);
    say(&mut net, alice, group, "one");
    net.run_for(Duration::from_secs(7200));
    let profile = |name: &str| Command::SetProfile {
        group,
        name: name.to_owned(),
        description: String::new(),
    };
    net.command(alice, profile("Cabin")).expect("the creator");
    net.run_for(MINUTE);
    say(&mut net, bob, group, "two");
    net.command(alice, profile("Chalet")).expect("the creator");
    net.run_for(MINUTE);
    say(&mut net, alice, group, "three");
    net.run_for(Duration::from_secs(7200));
    net.restart(carol);
    net.run_for(MINUTE);
    assert_eq!(texts(&net, carol, group), ["one", "two", "three"]);
    let [mut carols, alices] = [carol, alice]
        .map(|node| net.node(node).core().group(group).expect("memory").expect("a group"));
    assert_eq!(carols.name, "Chalet");
    // what is unread is the account's own: Alice said two of the three
    assert_eq!((carols.unread, alices.unread), (3, 1));
    carols.unread = alices.unread;
    assert_eq!(carols, alices);
}

#[test]
fn a_command_that_needs_a_higher_role_says_so() {
    let mut net = Network::new(8, Links::perfect());
    let ([alice, bob, carol], group) = three(&mut net);
    let [alices, carols] = [alice, carol].map(|node| account_of(&net, node));
    let commands = [
        Command::Remove { group, accounts: vec![carols] },
        Command::SetRole { group, account: carols, role: Role::Admin },
        Command::SetRole { group, account: alices, role: Role::Member },
        Command::SetPolicy { group, policy: Policy::default() },
    ];
    for command in commands {
        let refused = net.command(bob, command).err();
        assert!(matches!(refused, Some(CommandError::NotAllowed(_))), "{refused:?}");
    }
    let mine = Command::Remove { group, accounts: vec![account_of(&net, bob)] };
    assert_eq!(net.command(bob, mine).err(), Some(CommandError::OwnAccount));
}

/// All three change the group at the same time, cut off from each other, and say something.
#[test]
fn concurrent_changes_all_stand_in_the_end() {
    for seed in 0..20 {
        let mut net = Network::new(100 + seed, Links::perfect());
        let (nodes, group) = three(&mut net);
        for node in nodes {
            net.set_alone(node, true);
        }
        let mut said = Vec::new();
        for (i, node) in nodes.into_iter().enumerate() {
            let (name, description) = (format!("Hut {i}"), String::new());
            let change = Command::SetProfile { group, name, description };
            net.command(node, change).expect("a member");
            net.run_for(MINUTE);
            said.push(say(&mut net, node, group, &format!("from branch {i}")));
        }
        for node in nodes {
            net.set_alone(node, false);
        }
        net.run_for(MINUTE * 60);
        let views = nodes.map(|node| {
            let core = net.node(node).core();
            (core.group(group).expect("memory"), core.tip_name(group))
        });
        assert_eq!(views[0], views[1], "seed {seed}");
        assert_eq!(views[0], views[2], "seed {seed}");
        for node in nodes {
            let texts = texts(&net, node, group);
            assert_eq!(texts.len(), 3, "seed {seed}: {texts:?}");
            assert!(net.node(node).core().gaps(None).expect("memory").is_empty(), "seed {seed}");
        }
        let epoch = views[0].0.as_ref().expect("a group").epoch;
        assert!(epoch >= 4, "seed {seed}: all three changes were made, epoch {epoch}");
    }
}

fn account_of(net: &Network, node: NodeId) -> AccountId {
    net.node(node).core().account().expect("memory").expect("an account").account
}

#[test]
fn a_refused_command_changes_nothing() {
    let mut net = Network::new(9, Links::perfect());
    let ([alice, ..], group) = three(&mut net);
    net.run_for(MINUTE);
    let dump = |net: &Network| -> Vec<(Vec<u8>, Vec<u8>)> {
        let store = net.node(alice).written();
        store.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
    };
    let before = dump(&net);
    let unknown = GroupId::from_bytes([9; 16]);
    let commands = [
        Command::CreateAccount,
        Command::RequestLink,
        Command::AcceptLink { request: "wgcl1nonsense".to_owned() },
        Command::CreateGroup { name: String::new(), description: String::new() },
        Command::CreateGroup { name: "x".repeat(129), description: String::new() },
        Command::Send { group, text: String::new() },
        Command::Send { group, text: "x".repeat(120 * 1024 + 1) },
        Command::Send { group: unknown, text: "x".to_owned() },
        Command::Invite { group, cards: vec!["wgc1typo".to_owned()] },
        Command::AcceptInvitation { group },
        Command::DeclineInvitation { group: unknown },
    ];
    for command in commands {
        let shown = format!("{command:?}");
        net.command(alice, command).expect_err(&shown);
        assert!(before == dump(&net), "{shown} changed something");
    }
}

#[test]
fn the_longest_text_fits_one_publish() {
    let mut net = Network::new(10, Links::perfect());
    let ([alice, bob, _], group) = three(&mut net);
    let long = "ß".repeat(60 * 1024);
    let id = say(&mut net, alice, group, &long);
    net.run_for(MINUTE);
    assert_eq!(texts(&net, bob, group), [long]);
    assert_eq!(publishes(&net, id), (1, 0));
}

#[test]
fn everything_on_the_wire_has_one_form() {
    let mut net = Network::new(11, Links::perfect());
    let ([alice, bob, _], group) = three(&mut net);
    for i in 0..20 {
        say(&mut net, if i % 2 == 0 { alice } else { bob }, group, &"y".repeat(100 * i + 1));
        net.run_for(Duration::from_secs(400));
    }
    let mut topics = std::collections::BTreeSet::new();
    for seen in net.published() {
        let m = &seen.message;
        let parts = m.content_topic.parsed().expect("a topic");
        assert_eq!((parts.application, parts.version, parts.encoding), ("wgc", "1", "proto"));
        assert_eq!(parts.name.len(), 26);
        assert!(m.payload.len().is_power_of_two() && m.payload.len() >= 1024);
        assert_eq!(m.timestamp.expect("always stamped") % 5_000_000_000, 0);
        assert!(m.meta.is_empty() && m.version == 0 && !m.ephemeral);
        if matches!(seen.kind, PublishKind::Message(_)) {
            topics.insert(m.content_topic.as_str().to_owned());
        }
    }
    assert!(topics.len() >= 2, "two hours have at least two topic periods");
}

/// The same calls and seed give the same run, byte for byte in all that is published.
#[test]
fn a_seed_gives_the_same_run_again() {
    let run = |seed| {
        let mut net = Network::new(seed, Links::bad());
        let ([alice, bob, _], group) = three(&mut net);
        for i in 0..10 {
            say(&mut net, if i % 2 == 0 { alice } else { bob }, group, &format!("line {i}"));
            net.run_for(Duration::from_secs(3));
        }
        net.run_for(MINUTE * 10);
        let hashes: Vec<String> = net.published().iter().map(|s| s.hash.to_string()).collect();
        (net.trace().to_vec(), hashes)
    };
    let (first, second) = (run(12), run(12));
    assert!(first.0 == second.0, "the traces differ");
    assert!(first.1 == second.1, "the published bytes differ");
    assert_ne!(first.1, run(13).1);
}
