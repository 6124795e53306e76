//! Groups that anybody changes at any time, on a bad network: everybody ends in one state.
//!
//! A seed gives a [`Plan`]: who takes part, and what happens when. It is carried out on the virtual
//! network ([`crate::network`]) with real cores; then everything heals, and after some time all
//! members have to stand in one state and to have read the same.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what a seed lets happen |
//! | [`attack`] | what hostile members do meanwhile |
//! | `actions`, `hostile` | carrying it out |
//! | `checks` | what has to hold afterwards |
//! | [`many`] | many seeds at once |
//! | [`report`] | counts, for people and programs |

mod actions;
pub mod attack;
mod checks;
mod hostile;
pub mod many;
pub mod plan;
pub mod report;

use std::time::Duration;

use self::actions::Story;
use self::plan::{Deeds, Kind, Plan};
use self::report::Counts;

/// How long everybody may take to come together after everything has healed.
const PATIENCE: Duration = Duration::from_secs(2 * 86_400);
/// The same where a part of the group may have to come back to the other one.
const LONG_PATIENCE: Duration = Duration::from_secs(12 * 86_400);
/// How often it is looked whether they have, at first; later less often.
const LOOK_EVERY: Duration = Duration::from_secs(1200);
/// How often at least.
const LOOK_AT_LEAST: Duration = Duration::from_secs(4 * 3600);
/// For this long they have to stay together then.
const STAY: Duration = Duration::from_secs(3 * 3600);

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What does not hold; empty if everything does.
    pub failures: Vec<String>,
    /// What happened.
    pub counts: Counts,
    /// What was done, one line each.
    pub log: Vec<String>,
    /// The trace of the network, if one was asked for.
    pub trace: String,
}

/// Carries out the first `most` steps of a seed's plan, and looks what came of it.
///
/// # Panics
///
/// If a core has a fault of its own, or a set-up does not work.
pub fn run(seed: u64, most: usize, deeds: Deeds, traced: bool) -> Outcome {
    let plan = Plan::of(seed);
    let mut story = Story::begin(&plan, deeds, traced);
    story.carry_out(&plan, most);
    story.heal();
    let healed = story.net.now();
    let mut failures = story.failures();
    let patience = if plan.kind == Kind::Apart { LONG_PATIENCE } else { PATIENCE };
    let mut wait = LOOK_EVERY;
    loop {
        while !failures.is_empty() && story.net.now().since(healed) < patience {
            story.net.run_for(wait);
            wait = (wait * 5 / 4).min(LOOK_AT_LEAST);
            story.look_after();
            failures = story.failures();
        }
        if !failures.is_empty() {
            break;
        }
        story.net.run_for(STAY);
        let came = story.look_after();
        failures = story.failures();
        // who has just come in has to follow what happened since it was invited
        if !came || story.net.now().since(healed) > patience {
            break;
        }
    }
    story.count_events();
    story.count_stranded();
    story.counts.stories = [(plan.kind.name(), 1)].into();
    story.counts.nodes = story.people.len();
    story.counts.hours = story.net.now().since(crate::network::START).as_secs() / 3600;
    let mut trace = if traced { story.net.story(usize::MAX) } else { String::new() };
    if traced {
        trace += &story.told_states();
    }
    Outcome { failures, counts: story.counts, log: story.log, trace }
}
