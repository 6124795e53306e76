//! Writes the stores of two members in the middle of things, as the code of today lays them out:
//! the fixtures that later versions have to open. `cargo run -p waku-groupchat-simulations
//! --example dump_stores -- <folder>`.
//!
//! Alice has two groups. In "Hut", Bob is a member: two commits, five messages that both have, one
//! of hers that he misses, one of hers that nobody took yet. To "Chalet" he is invited and has not
//! answered. She wants Carol in "Hut" as well, whose record nobody has seen.

use std::path::PathBuf;
use std::time::Duration;

use waku_groupchat_core::api::{Answer, Command};
use waku_groupchat_core::{GroupId, MemoryStore};
use waku_groupchat_simulations::cast::{account, group, say};
use waku_groupchat_simulations::dump::Dump;
use waku_groupchat_simulations::network::{Links, Network, NodeId};

const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    std::fs::create_dir_all(&folder)?;
    let mut net = Network::new(1, Links::perfect());
    let ((alice, _), (bob, bobs)) = (account(&mut net), account(&mut net));
    net.run_for(MINUTE);
    let hut = group(&mut net, alice, std::slice::from_ref(&bobs), &[bob]);
    talk(&mut net, alice, bob, hut)?;
    unfinished(&mut net, (alice, bob), hut, bobs)?;
    for (node, name) in [(alice, "alice"), (bob, "bob")] {
        let store: MemoryStore = net.node(node).written().clone();
        let dump = Dump { taken: net.now(), store };
        std::fs::write(folder.join(name).with_extension("txt"), dump.to_string())?;
    }
    Ok(())
}

/// What both have.
fn talk(
    net: &mut Network,
    alice: NodeId,
    bob: NodeId,
    hut: GroupId,
) -> Result<(), Box<dyn std::error::Error>> {
    for (who, text) in [(alice, "one"), (bob, "two"), (alice, "three")] {
        say(net, who, hut, text);
        net.run_for(MINUTE);
    }
    let (name, description) = ("Hut".to_owned(), "On Saturday".to_owned());
    net.command(alice, Command::SetProfile { group: hut, name, description })?;
    net.run_for(MINUTE);
    for (who, text) in [(bob, "four"), (alice, "five")] {
        say(net, who, hut, text);
        net.run_for(MINUTE);
    }
    Ok(())
}

/// What is still under way.
fn unfinished(
    net: &mut Network,
    (alice, bob): (NodeId, NodeId),
    hut: GroupId,
    bobs: String,
) -> Result<(), Box<dyn std::error::Error>> {
    net.set_store_cut(alice, true);
    net.set_store_cut(bob, true);
    net.set_cut(alice, bob, true);
    let (carol, taker) = (net.add_node(), net.add_node());
    for node in [bob, carol] {
        net.set_alone(node, true);
    }
    net.set_store_cut(taker, true);
    let Answer::AccountCreated { card: carols, .. } = net.command(carol, Command::CreateAccount)?
    else {
        return Err("no account".into());
    };
    say(net, alice, hut, "six, which Bob misses");
    net.run_for(Duration::from_secs(5));
    net.stop(taker);
    net.set_cut(alice, bob, false);
    say(net, alice, hut, "seven");
    net.run_for(MINUTE);
    let (name, description) = ("Chalet".to_owned(), String::new());
    let Answer::GroupCreated { group: chalet } =
        net.command(alice, Command::CreateGroup { name, description })?
    else {
        return Err("no group".into());
    };
    net.set_store_cut(bob, false);
    net.set_store_cut(alice, false);
    net.command(alice, Command::Invite { group: chalet, cards: vec![bobs] })?;
    net.run_for(MINUTE * 2);
    net.command(alice, Command::Invite { group: hut, cards: vec![carols.to_string()] })?;
    net.run_for(MINUTE);
    net.set_alone(alice, true);
    say(net, alice, hut, "eight, which nobody took yet");
    net.run_for(Duration::from_secs(5));
    Ok(())
}
