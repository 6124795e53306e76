//! How the accounts come together: accounts, the second installation, the group, everybody in it.

use waku_groupchat_core::api::{Event, EventRecord};

use super::chat::LinkRequested;
use super::events::Events;
use super::network::Network;
use super::plan::{Cast, Plan};
use super::scenario::{GAPS, HEARD, Member, Talk, node_of};
use super::script::Script;
use super::ui::Ui;
use super::wait::until;

/// The group's name at first.
pub const GROUP_NAME: &str = "Conversation";

/// The account's record had left before its second installation was in it: records leave at a time
/// of their own, and the next one is a period away. Chance; the run begins anew.
#[derive(Debug, thiserror::Error)]
#[error("{account} was invited with {got} of its {expected} installations")]
pub struct LinkedTooLate {
    account: String,
    got: usize,
    expected: usize,
}

/// Makes the accounts, links the second installation, makes the group and lets everybody join.
///
/// # Errors
///
/// [`LinkedTooLate`] among others.
pub async fn meet<'a>(
    network: &Network,
    script: &'a Script,
    plan: &'a Plan,
    ui: &Ui,
) -> anyhow::Result<Talk<'a>> {
    let (members, cards) = accounts(network, plan).await?;
    ui.done("accounts", "accounts made, second installation linked");
    ui.doing("waiting for the accounts' records, which leave at a time of their own");
    let holder = plan.cast.holder;
    let client = &network.node(node_of(holder)).client;
    let group = client.create_group(GROUP_NAME, "Carried by the runner").await?;
    let talk = Talk { script, plan, members, group, said: Vec::new() };

    let cards: Vec<&str> = (0..plan.accounts.len())
        .filter(|account| *account != plan.seats[holder].account)
        .map(|account| cards[account].as_str())
        .collect();
    client.invite(group, &cards).await?;
    for account in (0..plan.accounts.len()).filter(|account| *account != holder) {
        invited(&talk, account).await?;
    }
    for seat in (0..talk.members.len()).filter(|seat| *seat != holder) {
        join(network, &talk, seat).await?;
    }
    for seat in 0..talk.members.len() {
        let client = &network.node(node_of(seat)).client;
        until(format!("{} sees all members", plan.label(seat)), HEARD, async || {
            let members = client.members(group).await?;
            let installations: usize = members.iter().map(|m| m.installations.len()).sum();
            Ok((installations == plan.seats.len()).then_some(()))
        })
        .await?;
    }
    ui.done("group", "group made, everybody invited and joined");
    Ok(talk)
}

/// Waits until an account's record was found, and checks that it names all its installations.
async fn invited(talk: &Talk<'_>, account: usize) -> anyhow::Result<()> {
    let (plan, name) = (talk.plan, &talk.plan.accounts[account]);
    let (group, id) = (talk.group, talk.members[account].account);
    let count = |records: &[EventRecord]| {
        records.iter().find_map(|record| match record.event {
            Event::Invited { group: g, account: a, installations } if (g, a) == (group, id) => {
                Some(installations)
            }
            _ => None,
        })
    };
    let events = &talk.members[plan.cast.holder].events;
    let got = events.until(format!("{name}'s record is found"), GAPS, count).await?;
    let expected = plan.seats.iter().filter(|seat| seat.account == account).count();
    let account = name.clone();
    if got == expected { Ok(()) } else { Err(LinkedTooLate { account, got, expected }.into()) }
}

async fn join(network: &Network, talk: &Talk<'_>, seat: usize) -> anyhow::Result<()> {
    let (id, name) = (talk.group, talk.plan.label(seat));
    let invited = |event: &Event| matches!(event, Event::Invitation { group, .. } if *group == id);
    let (seats, events) = (&talk.plan.seats, &talk.members[seat].events);
    // one of an account's installations answers, and the others follow it by themselves
    if seats.iter().position(|other| other.account == seats[seat].account) == Some(seat) {
        events.until_one(format!("{name} is invited"), GAPS, invited).await?;
        network.node(node_of(seat)).client.accept_invitation(id).await?;
    }
    let joined = |event: &Event| matches!(event, Event::Joined { group } if *group == id);
    Ok(events.until_one(format!("{name} joins"), HEARD, joined).await?)
}

/// The members by seat, and the cards by account.
async fn accounts(network: &Network, plan: &Plan) -> anyhow::Result<(Vec<Member>, Vec<String>)> {
    let (mut members, mut cards, mut second) = (Vec::new(), Vec::new(), None);
    // Asked before there is an account, so that the answer comes at once when there is one.
    let asked = network.node(node_of(plan.cast.loser)).client.request_link().await?;
    for seat in 0..plan.accounts.len() {
        let client = &network.node(node_of(seat)).client;
        let events = Events::follow(client.clone());
        let made = client.create_account().await?;
        cards.push(made.card);
        members.push(Member {
            account: made.account,
            installation: made.installation,
            events,
            last_view: None,
        });
        if seat == plan.cast.cut_off {
            // Right after the first, so that both are in the account's first record.
            second = Some(link(network, plan, &members[seat], &asked).await?);
        }
    }
    members.extend(second);
    Ok((members, cards))
}

/// Links the second installation to the first.
async fn link(
    network: &Network,
    plan: &Plan,
    first: &Member,
    asked: &LinkRequested,
) -> anyhow::Result<Member> {
    let Cast { cut_off, loser, .. } = plan.cast;
    let events = Events::follow(network.node(node_of(loser)).client.clone());
    network.node(node_of(cut_off)).client.accept_link(&asked.request).await?;
    let mut shown = Vec::new();
    for (seat, events) in [(cut_off, &first.events), (loser, &events)] {
        let what = format!("{} shows digits", plan.label(seat));
        let digits = |records: &[EventRecord]| {
            records.iter().rev().find_map(|record| match &record.event {
                Event::LinkDigits { digits, .. } => Some(digits.clone()),
                _ => None,
            })
        };
        shown.push((seat, events.until(what, HEARD, digits).await?));
    }
    for (seat, digits) in &shown {
        // what the other side shows
        let same = network.node(node_of(*seat)).client.confirm_link(digits).await?;
        anyhow::ensure!(same && *digits == shown[0].1, "both show the same digits");
    }
    let linked = |event: &Event| {
        matches!(event, Event::InstallationLinked { installation, .. }
            if *installation == asked.installation)
    };
    for (seat, events) in [(cut_off, &first.events), (loser, &events)] {
        let what = format!("{} sees the new installation", plan.label(seat));
        events.until_one(what, HEARD, linked).await?;
    }
    Ok(Member { account: first.account, installation: asked.installation, events, last_view: None })
}
