//! What older versions wrote: opened by today's code, read whole, and gone on with.
//!
//! A fixture is made by `cargo run -p waku-groupchat-simulations --example dump_stores` with the
//! code that wrote the format, and never changes after that.

use std::time::Duration;

use waku_groupchat_core::api::views::{GapState, GroupState, MessageView, SendState};
use waku_groupchat_core::api::{Command, Event};
use waku_groupchat_simulations::cast::{gaps, read, say, texts};
use waku_groupchat_simulations::dump::Dump;
use waku_groupchat_simulations::network::{Links, Network, NodeId};

const FIRST: [&str; 2] =
    [include_str!("fixtures/format-1/alice.txt"), include_str!("fixtures/format-1/bob.txt")];
const LINES: [&str; 8] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six, which Bob misses",
    "seven",
    "eight, which nobody took yet",
];

/// Two nodes on the stores of a fixture, at the time it was taken.
fn opened(fixture: [&str; 2]) -> (Network, [NodeId; 2]) {
    let dumps = fixture.map(|text| text.parse::<Dump>().expect("a dump"));
    let mut net = Network::starting_at(2, Links::perfect(), dumps[0].taken);
    let nodes = dumps.map(|dump| net.add_node_on(dump.store));
    (net, nodes)
}

#[test]
fn all_of_the_first_format_can_be_read() {
    let (net, [alice, bob]) = opened(FIRST);
    let core = net.node(alice).core();
    let groups = core.groups().expect("memory");
    let named = |name: &str| groups.iter().find(|g| g.name == name).expect("a group").group;
    let hut = named("Hut");
    assert_eq!(texts(&net, alice, hut), LINES);
    let sending: Vec<_> = read(&net, alice, hut).into_iter().map(|m| m.sending).collect();
    assert_eq!(sending[1], None, "Bob's");
    assert_eq!(sending[0], Some(SendState::Acknowledged));
    assert_eq!(sending[7], Some(SendState::Queued));
    let view = core.group(hut).expect("memory").expect("a group");
    assert_eq!((view.description.as_str(), view.epoch), ("On Saturday", 2));
    // nobody could say yet what was read
    let last = read(&net, alice, hut).last().map(MessageView::cursor);
    assert_eq!((view.unread, view.read_upto), (0, last));
    let core = net.node(bob).core();
    assert_eq!(core.invitations().expect("memory").len(), 1);
    assert_eq!(texts(&net, bob, hut)[..5], LINES[..5]);
    assert!(core.events_after(0, usize::MAX).expect("memory").len() > 10);
}

#[test]
fn a_conversation_of_the_first_format_goes_on() {
    let (mut net, [alice, bob]) = opened(FIRST);
    let groups = net.node(alice).core().groups().expect("memory");
    let named = |name: &str| groups.iter().find(|g| g.name == name).expect("a group").group;
    let (hut, chalet) = (named("Hut"), named("Chalet"));
    net.command(bob, Command::AcceptInvitation { group: chalet }).expect("an invitation");
    say(&mut net, bob, hut, "nine");
    say(&mut net, alice, chalet, "welcome");
    net.run_for(Duration::from_secs(1800));
    say(&mut net, bob, chalet, "thanks");
    let (name, description) = ("Hut".to_owned(), "On Sunday".to_owned());
    net.command(alice, Command::SetProfile { group: hut, name, description }).expect("hers");
    net.run_for(Duration::from_secs(1800));
    say(&mut net, bob, hut, "ten");
    net.run_for(Duration::from_secs(1800));
    for node in [alice, bob] {
        let mut lines = texts(&net, node, hut);
        lines.sort();
        let mut all: Vec<_> = LINES.iter().copied().chain(["nine", "ten"]).collect();
        all.sort_unstable();
        assert_eq!(lines, all, "{}", net.story(60));
        assert_eq!(texts(&net, node, chalet), ["welcome", "thanks"]);
        for group in [hut, chalet] {
            let view = net.node(node).core().group(group).expect("memory").expect("a group");
            assert_eq!(view.state, GroupState::Joined);
        }
        let view = net.node(node).core().group(hut).expect("memory").expect("a group");
        assert_eq!((view.description.as_str(), view.epoch), ("On Sunday", 3));
        for state in [GapState::Missing, GapState::Fetching, GapState::Unavailable] {
            assert_eq!(gaps(&net, node, state), []);
        }
        for own in read(&net, node, hut).iter().filter(|m| m.sending.is_some()) {
            let sent = matches!(own.sending, Some(SendState::Stored | SendState::Acknowledged));
            assert!(sent, "{own:?}");
        }
        let refused = net.node(node).events().any(|e| matches!(e, Event::Refused { .. }));
        assert!(!refused, "{}", net.story(60));
    }
}
