//! An invitation at size: many accounts of two installations each, invited at once; a plain OpenMLS
//! group of as many leaves beside it.
//!
//! Every account is made by real cores on a clock of its own ([`crowd`]): created, a second
//! installation linked, and a registration record published. All but a few of these cores are thrown
//! away then. One core invites all of them; those that were kept get every message, join, and talk.
//! The clock is virtual, so what is timed is the cores' own work: CPU time, on one thread; a store in
//! memory takes the writes. Verified signatures are known to the whole process, so they are made
//! forgotten before the invitation and before the first joiner sees it, whose work is told.

pub mod crowd;
pub mod net;
pub mod plain;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use waku_groupchat_core::GroupId;
use waku_groupchat_core::api::{Answer, Command, PublishKind};

use self::net::{Net, Sent};
use super::machine::Machine;
use super::relay::process;
use super::results::Results;

/// Installations of each account.
pub const INSTALLATIONS: usize = 2;
/// Longest that the inviter is given to find all records and send everything, on its own clock.
const WHILE: Duration = Duration::from_secs(900);

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Numbers of accounts, one case each.
    pub accounts: Vec<usize>,
    /// Accounts of a case whose first installation joins and talks.
    pub joiners: usize,
    /// Of all randomness of the cores.
    pub seed: u64,
}

/// What was measured of one case. Times are CPU time in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Accounts invited.
    pub accounts: usize,
    /// Leaves of the group after it.
    pub leaves: usize,
    /// Work of the inviter from the command until everything left.
    pub invite: f64,
    /// The longest of its steps: all that is made with the commit.
    pub longest_step: f64,
    /// The commit: messages and bytes.
    pub commit: Sent,
    /// What all joiners share: messages and bytes.
    pub shared: Sent,
    /// Envelopes: messages and bytes.
    pub envelopes: Sent,
    /// Most envelopes within a second of the inviter's clock.
    pub most_envelopes_a_second: usize,
    /// Work of the first joiner on everything up to the invitation.
    pub look: f64,
    /// Work of a joiner to accept, the mean.
    pub accept: f64,
    /// Work to send a message in the group.
    pub send: f64,
    /// Work to read one, the mean.
    pub read: f64,
    /// Work to make and to apply a commit that renames the group.
    pub rename: f64,
    /// Work of another to apply that commit, the mean.
    pub renamed: f64,
    /// Bytes that the inviter's store holds.
    pub store_bytes: u64,
    /// Resident at most in bytes, of this process with all its cores.
    pub peak_bytes: u64,
    /// Plain OpenMLS.
    pub plain: plain::Measured,
}

/// Runs all cases.
pub fn run(options: &Options) -> anyhow::Result<Results> {
    let machine = Machine::now();
    let mut measured = Vec::new();
    for &accounts in &options.accounts {
        eprintln!("bench: {accounts} accounts");
        measured.push(case(accounts, options.joiners.min(accounts), options.seed)?);
    }
    Ok(table::results(&measured, options, machine))
}

fn case(accounts: usize, joiners: usize, seed: u64) -> anyhow::Result<Measured> {
    let begun = Instant::now();
    let crowd = crowd::make(accounts, joiners, seed)?;
    eprintln!("bench: the accounts are made, after {:.0} s", begun.elapsed().as_secs_f64());
    let mut net = Net::new(crowd.end);
    net.archive(crowd.records);
    let inviter = net.add(seed ^ u64::MAX)?;
    net.command(inviter, Command::CreateAccount)?;
    let (name, description) = ("Hut".to_owned(), String::new());
    let created = net.command(inviter, Command::CreateGroup { name, description })?;
    let Answer::GroupCreated { group } = created else { anyhow::bail!("no group: {created:?}") };
    let members: Vec<usize> = crowd.kept.into_iter().map(|core| net.take_in(core)).collect();
    let mut measured = Measured { accounts, ..Measured::default() };
    net.hold(true);
    crowd::forget_signatures()?;
    net.reset();
    net.command(inviter, Command::Invite { group, cards: crowd.cards })?;
    net.run(WHILE)?;
    invited(&net, inviter, &mut measured);
    net.hold(false);
    crowd::forget_signatures()?;
    members.iter().try_for_each(|who| net.hear(*who))?;
    // the first one verified for all
    measured.look = members.first().map_or(0.0, |who| millis(net.work(*who)));
    joined(&mut net, &members, group, accounts, &mut measured)?;
    talk(&mut net, inviter, &members, group, &mut measured)?;
    measured.store_bytes = net.store_bytes(inviter);
    measured.peak_bytes = process::memory(std::process::id())?.peak;
    measured.plain = plain::run(accounts * INSTALLATIONS)?;
    Ok(measured)
}

/// What the inviter sent, and what it cost.
fn invited(net: &Net, inviter: usize, measured: &mut Measured) {
    measured.invite = millis(net.work(inviter));
    measured.longest_step = millis(net.longest(inviter));
    measured.commit = net.sent(|kind| matches!(kind, PublishKind::Commit(_)));
    measured.shared = net.sent(|kind| matches!(kind, PublishKind::InvitationShared(_)));
    measured.envelopes = net.sent(|kind| matches!(kind, PublishKind::InvitationEnvelope(_)));
    measured.most_envelopes_a_second = net
        .most_within(Duration::from_secs(1), |k| matches!(k, PublishKind::InvitationEnvelope(_)));
}

fn joined(
    net: &mut Net,
    members: &[usize],
    group: GroupId,
    accounts: usize,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    net.reset();
    for &who in members {
        net.command(who, Command::AcceptInvitation { group })
            .with_context(|| format!("joiner {who}"))?;
    }
    net.run(Duration::from_secs(60))?;
    measured.accept = mean(members.iter().map(|who| net.work(*who)));
    for &who in members {
        let groups = net.core(who).groups()?;
        let view = groups.iter().find(|view| view.group == group).context("not in the group")?;
        let (got, leaves) = (view.accounts, view.installations);
        ensure!(got == accounts + 1, "{got} accounts for a joiner");
        ensure!(leaves == accounts * INSTALLATIONS + 1, "{leaves} leaves for a joiner");
        measured.leaves = leaves;
    }
    Ok(())
}

fn talk(
    net: &mut Net,
    inviter: usize,
    members: &[usize],
    group: GroupId,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let all: Vec<usize> = members.iter().copied().chain([inviter]).collect();
    let (mut sends, mut reads) = (Vec::new(), Vec::new());
    for &who in &all {
        net.reset();
        let text = format!("from {who}");
        let sent = net.command(who, Command::Send { group, text: text.clone() })?;
        let Answer::Accepted { message } = sent else { anyhow::bail!("not sent: {sent:?}") };
        sends.push(net.work(who));
        for other in all.iter().filter(|other| **other != who) {
            let read = net.core(*other).message(message)?.context("a message did not come")?;
            ensure!(read.text == text, "another text came");
            reads.push(net.work(*other));
        }
    }
    (measured.send, measured.read) = (mean(sends), mean(reads));
    net.reset();
    let (name, description) = ("Cabin".to_owned(), String::new());
    net.command(inviter, Command::SetProfile { group, name: name.clone(), description })?;
    measured.rename = millis(net.work(inviter));
    measured.renamed = mean(members.iter().map(|who| net.work(*who)));
    for &who in &all {
        let groups = net.core(who).groups()?;
        ensure!(groups.iter().any(|view| view.name == name), "the commit did not come");
    }
    Ok(())
}

/// CPU time of this thread so far: what else runs on the machine does not count.
pub(super) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // both are small and not negative
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mean(times: impl IntoIterator<Item = Duration>) -> f64 {
    let times: Vec<f64> = times.into_iter().map(millis).collect();
    times.iter().sum::<f64>() / times.len().max(1) as f64
}
