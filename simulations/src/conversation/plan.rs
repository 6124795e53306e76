//! Who plays which part, and which lines fall into which phase: a pure function of script and seed.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::script::{Rename, Script};

/// Name of the account that is added where a script has only two speakers.
const LISTENER: &str = "(listener)";

/// What is done with a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Names of the accounts: the speakers, and a listener where there are only two.
    pub accounts: Vec<String>,
    /// The chat nodes; each is an installation.
    pub seats: Vec<Seat>,
    /// The parts of the seats, by index into [`Plan::seats`].
    pub cast: Cast,
    /// The lines of each phase.
    pub phases: Phases,
    /// Names that the group is given, in order.
    pub renamings: Vec<Renaming>,
}

/// A name that the group is given, or two at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// The line that is said next.
    pub before: usize,
    /// One, or two by two seats.
    pub names: Vec<Naming>,
}

/// Who gives which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The seat.
    pub seat: usize,
    /// The name.
    pub name: String,
}

/// An installation on a node of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Name for people and for the run folder: `a`, `a2`.
    pub node: String,
    /// Index into [`Plan::accounts`].
    pub account: usize,
}

/// Who plays which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Is cut off for a while; the first installation of the account that has two. Stays.
    pub cut_off: usize,
    /// Sends the line that is lost, and is stopped; the second installation of that account.
    pub loser: usize,
    /// Alone hears the lost line, claims it, and is stopped. Also makes the group.
    pub holder: usize,
}

/// Ranges of line indices, one after the other. Together they are all lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Every link is up.
    pub calm: Range<usize>,
    /// One node is cut off.
    pub missed: Range<usize>,
    /// One node is cut off, and so is the store.
    pub dark: Range<usize>,
    /// The node is back, the store is not: its gaps show.
    pub shown: Range<usize>,
    /// Every link is up again.
    pub healed: Range<usize>,
    /// The one line that reaches a single other node.
    pub lost: usize,
    /// What its holder says afterwards.
    pub claimed: Range<usize>,
}

impl Plan {
    /// The plan for a script; the same seed gives the same plan.
    pub fn new(script: &Script, seed: u64) -> Self {
        let lost = script.lost_line();
        let two = script.lines[lost].speaker;
        let last = script.lines.last().map_or(two, |line| line.speaker);
        let mut accounts = script.speakers.clone();
        if accounts.len() == 2 {
            accounts.push(LISTENER.to_owned());
        }
        let mut seats: Vec<Seat> =
            (0..accounts.len()).map(|account| Seat { node: letter(account), account }).collect();
        seats.push(Seat { node: format!("{}2", letter(two)), account: two });
        let cast = Cast { cut_off: two, loser: accounts.len(), holder: last };
        let phases = Phases::new(lost, script.lines.len(), seed);
        let mut plan = Self { accounts, seats, cast, phases, renamings: Vec::new() };
        while plan.noticed(script).len() < plan.phases.away().len() && plan.phases.shown.end < lost
        {
            plan.phases.shown.end += 1;
            plan.phases.healed.start += 1;
        }
        plan.renamings = renamings(&script.renames, &plan.phases);
        plan
    }

    /// Two seats that take no part in a renaming by two: one for each side of the cut.
    pub fn witnesses(&self, renaming: &Renaming) -> Option<(usize, usize)> {
        let named = |seat: &usize| renaming.names.iter().any(|naming| naming.seat == *seat);
        let mut others = (0..self.seats.len()).filter(|seat| !named(seat));
        Some((others.next()?, others.next()?))
    }

    /// The missed lines that somebody's words show to the node once it is back and before the
    /// store is: the sender's own later line, or the line of somebody who heard the missed one
    /// after its own last line, and so says now that it did.
    pub fn noticed(&self, script: &Script) -> Vec<usize> {
        let shows = |missed: usize, shown: usize| {
            let (sender, witness) = (self.seat_for(script, missed), self.seat_for(script, shown));
            let before = (0..shown).rev().find(|line| self.seat_for(script, *line) == witness);
            let news = before.is_none_or(|before| before < missed);
            witness != self.cast.cut_off && (witness == sender || news)
        };
        let shown = || self.phases.shown.clone();
        self.phases.away().filter(|missed| shown().any(|shown| shows(*missed, shown))).collect()
    }

    /// The seat that says a line. With two installations each in turn, but the second from when the
    /// first is cut off until the store is back: the first one's own words show it nothing.
    pub fn seat_for(&self, script: &Script, line: usize) -> usize {
        let speaker = script.lines[line].speaker;
        let Cast { cut_off, loser, .. } = self.cast;
        if speaker != self.seats[cut_off].account {
            return speaker;
        }
        let turns = script.lines[..line].iter().filter(|l| l.speaker == speaker).count();
        let Phases { lost, missed, shown, .. } = &self.phases;
        if line == *lost || (missed.start..shown.end).contains(&line) || turns % 2 == 1 {
            loser
        } else {
            cut_off
        }
    }

    /// What people see for a seat: the account's name, and the node where it has two.
    pub fn label(&self, seat: usize) -> String {
        let Seat { node, account } = &self.seats[seat];
        let name = &self.accounts[*account];
        if [self.cast.cut_off, self.cast.loser].contains(&seat) {
            format!("{name}/{node}")
        } else {
            name.clone()
        }
    }
}

impl Phases {
    /// Splits the `lost` lines before the lost one, two at least, and those after it.
    fn new(lost: usize, lines: usize, seed: u64) -> Self {
        let share = |part: usize, least: usize| (lost * part / 100).max(least);
        let (missed, dark, shown) = (share(25, 1), share(8, 0), share(12, 1));
        let spare = lost - missed - dark - shown;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let calm = rng.random_range(spare / 3..=spare / 2);
        let away = calm + missed;
        let (back, healed) = (away + dark, away + dark + shown);
        Self {
            calm: 0..calm,
            missed: calm..away,
            dark: away..back,
            shown: back..healed,
            healed: healed..lost,
            lost,
            claimed: lost + 1..lines,
        }
    }

    /// The first place from here on, before the lost line at the latest, where every link is up.
    fn linked(&self, place: usize) -> usize {
        if place <= self.calm.end { place } else { place.clamp(self.healed.start, self.lost) }
    }

    /// All lines that the node that is cut off misses.
    pub fn away(&self) -> Range<usize> {
        self.missed.start..self.dark.end
    }
}

/// Two that stand together by two speakers are one. While a node or the store is cut off, and once
/// somebody is stopped for good, nobody names the group: what falls there is moved.
fn renamings(renames: &[Rename], phases: &Phases) -> Vec<Renaming> {
    let mut all: Vec<Renaming> = Vec::new();
    let mut last = None;
    for rename in renames {
        let naming = Naming { seat: rename.speaker, name: rename.name.clone() };
        let pair = all.last_mut().filter(|open| {
            last == Some(rename.before)
                && open.names.len() == 1
                && open.names.iter().all(|other| other.seat != naming.seat)
        });
        last = Some(rename.before);
        match pair {
            Some(open) => open.names.push(naming),
            None => {
                all.push(Renaming { before: phases.linked(rename.before), names: vec![naming] });
            }
        }
    }
    all
}

fn letter(account: usize) -> String {
    char::from(b'a' + u8::try_from(account % 26).unwrap_or(0)).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn script(speakers: &[usize]) -> Option<Script> {
        let text: String = speakers.iter().map(|s| format!("{}: x\n", letter(*s))).collect();
        Script::parse(Path::new("t"), text.as_bytes()).ok()
    }

    #[test]
    fn the_node_stays_without_the_store_until_all_it_missed_has_shown() {
        // a is the account with two nodes, b the holder. What c and b missed shows by b's line;
        // what b said then, by a's.
        let script = script(&[0, 1, 2, 1, 2, 2, 0, 1]).expect("parses");
        let plan = Plan::new(&script, 0);
        assert_eq!(plan.noticed(&script), plan.phases.away().collect::<Vec<_>>());

        // c is silent after its missed line, and b said that it heard it while the node was away.
        let phases =
            Phases { missed: 1..2, dark: 2..4, shown: 4..5, healed: 5..6, ..plan.phases.clone() };
        let early = Plan { phases, ..plan };
        let script = self::script(&[0, 1, 2, 1, 1, 1, 0, 1]).expect("parses");
        assert_eq!(early.noticed(&script), [1, 3]);
    }

    #[test]
    fn what_is_missed_shows_even_in_the_shortest_script() {
        let script = script(&[0, 1, 1, 0]).expect("parses");
        let plan = Plan::new(&script, 0);
        assert_eq!(plan.noticed(&script), [0]);
    }

    #[test]
    fn names_are_given_while_every_link_is_up() {
        let text = "a: x\nb: /name 1\nc: x\nb: x\nb: /name 2\nc: /name 3\na: /name 4\n\
                    a: x\nb: x\nc: x\na: /name 5\na: x\nb: x\na: x\nb: /name 6\n";
        let script = Script::parse(Path::new("t"), text.as_bytes()).expect("parses");
        let phases = Phases {
            calm: 0..2,
            missed: 2..3,
            dark: 3..4,
            shown: 4..5,
            healed: 5..7,
            lost: 7,
            claimed: 8..9,
        };
        let given = renamings(&script.renames, &phases);
        let given: Vec<_> = given
            .iter()
            .map(|r| (r.before, r.names.iter().map(|n| n.name.as_str()).collect::<Vec<_>>()))
            .collect();
        let expected =
            [(1, vec!["1"]), (5, vec!["2", "3"]), (5, vec!["4"]), (6, vec!["5"]), (7, vec!["6"])];
        assert_eq!(given, expected);
        let plan = Plan::new(&script, 0);
        let pair = plan.renamings.iter().find(|r| r.names.len() == 2).expect("a pair");
        assert_eq!(plan.witnesses(pair), Some((0, 3)));
    }

    #[test]
    fn two_speakers_get_a_listener() {
        let script = script(&[0, 1, 0, 1]).expect("parses");
        let plan = Plan::new(&script, 7);
        assert_eq!(plan.accounts, ["a", "b", LISTENER]);
        let nodes: Vec<_> = plan.seats.iter().map(|seat| seat.node.as_str()).collect();
        assert_eq!(nodes, ["a", "b", "c", "a2"]);
        assert_eq!(plan.cast, Cast { cut_off: 0, loser: 3, holder: 1 });
        assert_eq!(plan.label(3), "a/a2");
        assert_eq!(plan.label(1), "b");
        assert_eq!(plan.phases.lost, 2);
    }

    /// A script of up to four speakers, who name the group now and then.
    fn text() -> impl Strategy<Value = String> {
        let line = (0usize..4, prop::bool::weighted(0.1));
        let line = line.prop_map(|(speaker, names)| {
            let said = if names { "/name y" } else { "x" };
            format!("{}: {said}\n", letter(speaker))
        });
        prop::collection::vec(line, 3..200).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn every_script_that_parses_has_a_plan(text in text(), seed in any::<u64>()) {
            let Ok(script) = Script::parse(Path::new("t"), text.as_bytes()) else { return Ok(()) };
            let plan = Plan::new(&script, seed);
            prop_assert_eq!(&plan, &Plan::new(&script, seed));
            let away = plan.phases.away();
            let Phases { calm, missed, dark, shown, healed, lost, claimed } = plan.phases.clone();
            let mut all: Vec<usize> =
                [calm, missed.clone(), dark, shown.clone(), healed.clone()].into_iter().flatten().collect();
            all.push(lost);
            all.extend(claimed.clone());
            prop_assert_eq!(all, (0..script.lines.len()).collect::<Vec<_>>());
            prop_assert!(!missed.is_empty() && !shown.is_empty() && !claimed.is_empty());
            let noticed = plan.noticed(&script);
            prop_assert!(!noticed.is_empty());
            prop_assert!(noticed.len() == away.len() || healed.is_empty());

            let given: usize = plan.renamings.iter().map(|renaming| renaming.names.len()).sum();
            prop_assert_eq!(given, script.renames.len());
            for renaming in &plan.renamings {
                let at = renaming.before;
                prop_assert!(at <= plan.phases.calm.end || at >= plan.phases.healed.start);
                prop_assert!(at <= plan.phases.lost && plan.witnesses(renaming).is_some());
            }
            let Cast { cut_off, loser, holder } = plan.cast;
            let said_by: Vec<usize> =
                (0..script.lines.len()).map(|line| plan.seat_for(&script, line)).collect();
            prop_assert_eq!(said_by[lost], loser);
            prop_assert!(claimed.into_iter().all(|line| said_by[line] == holder));
            prop_assert!(plan.seats.len() >= 4 && holder != loser && holder != cut_off);
            for (line, seat) in said_by.iter().enumerate() {
                prop_assert_eq!(plan.seats[*seat].account, script.lines[line].speaker);
                prop_assert!(!away.contains(&line) || *seat != cut_off);
            }
        }
    }
}
