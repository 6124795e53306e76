//! Accounts, each made by two cores on a clock of its own.

use std::time::Duration;

use anyhow::{Context, bail};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use waku_groupchat_core::account::{Entry, InstallationKey, Phrase};
use waku_groupchat_core::api::{Answer, Command, Event};
use waku_groupchat_core::{Core, MemoryStore, Timestamp};
use waku_groupchat_waku::WakuMessage;

use super::net::{Net, REGISTRATION_PERIOD};

/// When every account begins: the start of a registration period.
const BEGIN: Timestamp = Timestamp::from_secs(1_767_225_600);
/// Parts of a registration record.
const PARTS: usize = 4;

/// Log entries, with two signatures each, after which the process knows none that it verified before:
/// it keeps two generations of 8,192.
const OTHERS: u64 = 8_300;

/// Many accounts of two installations.
pub struct Crowd {
    /// The contact card of each.
    pub cards: Vec<String>,
    /// The registration record of each, with key packages of both installations.
    pub records: Vec<WakuMessage>,
    /// First installations of the last of them.
    pub kept: Vec<Core<MemoryStore>>,
    /// When all of them are registered.
    pub end: Timestamp,
}

/// Makes `accounts` of them, and keeps the first installations of `kept`.
pub fn make(accounts: usize, kept: usize, seed: u64) -> anyhow::Result<Crowd> {
    let (cards, records) = (Vec::new(), Vec::new());
    let end = BEGIN + REGISTRATION_PERIOD * 2;
    let mut crowd = Crowd { cards, records, kept: Vec::new(), end };
    for n in 0..accounts {
        // seeds of different accounts lie apart
        let seed = seed.wrapping_mul(1 << 32).wrapping_add(2 * n as u64);
        let keep = n + kept >= accounts;
        account(&mut crowd, seed, keep).with_context(|| format!("account {n}"))?;
    }
    Ok(crowd)
}

/// Has the process verify so many other signatures that it knows none from before.
pub fn forget_signatures() -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (root, key) = (Phrase::generate(&mut rng).root(), InstallationKey::generate(&mut rng));
    for second in 0..OTHERS {
        let at = BEGIN + Duration::from_secs(second);
        Entry::decode(&Entry::create(&root, &key, at).encode())?;
    }
    Ok(())
}

fn account(crowd: &mut Crowd, seed: u64, keep: bool) -> anyhow::Result<()> {
    let mut net = Net::new(BEGIN);
    let (first, second) = (net.add(seed)?, net.add(seed + 1)?);
    let Answer::AccountCreated { card, .. } = net.command(first, Command::CreateAccount)? else {
        bail!("no account")
    };
    let Answer::LinkRequested { request, .. } = net.command(second, Command::RequestLink)? else {
        bail!("no link request")
    };
    net.command(first, Command::AcceptLink { request })?;
    net.run(Duration::from_secs(5))?;
    let shown = net.events(first).iter().find_map(|e| match e {
        Event::LinkDigits { digits, .. } => Some(digits.clone()),
        _ => None,
    });
    let digits = shown.context("no digits to compare")?;
    for side in [first, second] {
        net.command(side, Command::ConfirmLink { digits: digits.clone() })?;
    }
    net.run(crowd.end.since(net.now()))?;
    let linked = |e: &Event| matches!(e, Event::InstallationLinked { .. });
    if !net.events(second).iter().any(linked) {
        bail!("the second installation was not linked")
    }
    let records = net.records();
    let newest = records.len().checked_sub(PARTS).context("no registration record")?;
    crowd.records.extend_from_slice(&records[newest..]);
    crowd.cards.push(card.to_string());
    if keep {
        crowd.kept.extend(net.into_first());
    }
    Ok(())
}
