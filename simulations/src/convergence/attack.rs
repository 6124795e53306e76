//! What hostile members do: drawn as short plots, several steps each.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::api::Role;

use super::plan::{Deed, Happening, Pick, Step};

const MINUTE: Duration = Duration::from_secs(60);

/// One step of a plot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attack {
    /// An honest member gives a hostile one a role, as people do who do not know better.
    Trust(Pick, Role),
    /// A hostile member's database is copied; the copy goes on from there and hears nothing more.
    Copy(Pick),
    /// An honest member takes a hostile account out.
    Expel(Pick),
    /// A copy, or a hostile member, does something.
    Act(Pick, Deed),
    /// A copy and the member that it is a copy of say different things, as the same number.
    Twins(Pick),
    /// A hostile member tries commits until one has a low tie.
    Grind(Pick),
    /// A hostile member asks for new keys so many times.
    Updates(Pick, u32),
    /// From now on a hostile member keeps what it publishes to itself.
    Withhold(Pick),
    /// It publishes all of that, to those nodes that the bits say.
    Release(Pick, u64),
    /// A hostile member makes a commit that breaks the rules.
    Forge(Pick, Pick),
    /// A hostile member exchanges the leaf of another one that did not ask.
    Swap(Pick),
    /// Something that was published before comes again, byte for byte.
    Replay(Pick, Pick),
    /// The same, sealed anew with a new time.
    Reseal(Pick, Pick),
}

fn soon(rng: &mut ChaCha20Rng) -> Duration {
    match rng.random_range(0..3) {
        0 => Duration::from_millis(rng.random_range(0..3_000)),
        1 => Duration::from_secs(rng.random_range(3..120)),
        _ => MINUTE * rng.random_range(2..30),
    }
}

/// A plot, from its first step to its last.
pub(super) fn plot(rng: &mut ChaCha20Rng) -> Vec<Step> {
    let who: Pick = rng.random();
    let attacks: Vec<Attack> = match rng.random_range(0..9) {
        // whom the copy lets in goes on there as well
        0 => [Attack::Trust(who, trust(rng)), Attack::Copy(who), Attack::Expel(who)]
            .into_iter()
            .chain(acts(who, rng))
            .chain(acts(who.wrapping_add(1), rng))
            .collect(),
        1 => [Attack::Trust(who, Role::Admin), Attack::Copy(who), Attack::Trust(who, Role::Member)]
            .into_iter()
            .chain(acts(who, rng))
            .collect(),
        2 => vec![Attack::Copy(who), Attack::Twins(who), Attack::Twins(who)],
        3 => (0..rng.random_range(1..=3)).map(|_| Attack::Grind(who)).collect(),
        4 => vec![Attack::Updates(who, rng.random_range(3..=12))],
        5 => [Attack::Withhold(who)]
            .into_iter()
            .chain(acts(who, rng))
            .chain([Attack::Grind(who), Attack::Release(who, rng.random())])
            .collect(),
        6 => (0..rng.random_range(1..=4)).map(|_| Attack::Forge(who, rng.random())).collect(),
        7 => vec![Attack::Swap(who), Attack::Forge(who, rng.random())],
        _ => (0..rng.random_range(2..=8))
            .map(|_| match rng.random_bool(0.5) {
                true => Attack::Replay(who, rng.random()),
                false => Attack::Reseal(who, rng.random()),
            })
            .collect(),
    };
    let step = |attack| Step { what: Happening::Attack(attack), then: soon(rng) };
    attacks.into_iter().map(step).collect()
}

fn trust(rng: &mut ChaCha20Rng) -> Role {
    if rng.random() { Role::Admin } else { Role::Member }
}

/// What is done where it is not allowed any more, or nobody hears of it yet.
fn acts(who: Pick, rng: &mut ChaCha20Rng) -> Vec<Attack> {
    (0..rng.random_range(2..=6))
        .map(|_| match rng.random_range(0..8) {
            0..2 => Deed::Keys,
            2 => Deed::Say,
            3 => Deed::Profile,
            4 => Deed::Remove(rng.random()),
            5 => Deed::Role(rng.random(), Role::Admin),
            _ => Deed::Invite(rng.random()),
        })
        .map(|deed| Attack::Act(who, deed))
        .collect()
}
