//! A good run passes; each check fails on a run that was doctored for it.

use waku_groupchat_core::api::views::{GapState, MessageKind, MessageView, TryView};
use waku_groupchat_core::{AccountId, GroupId, MessageId, Timestamp};

use super::super::ledger::{Logged, Publish};
use super::super::observed::SaidLine;
use super::super::scenario::View;
use super::*;

const GROUP: GroupId = GroupId::from_bytes([9; 16]);

fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 32])
}

fn installation(n: u8) -> InstallationId {
    InstallationId::from_bytes([100 + n; 32])
}

fn line(index: usize, by: u8, number: u64, phase: Phase) -> SaidLine {
    SaidLine {
        file_line: index + 1,
        speaker: format!("speaker {by}"),
        account: account(by),
        id: MessageId { group: GROUP, installation: installation(by), number },
        text: format!("text {index}"),
        phase,
    }
}

fn publish(line: &SaidLine, reaches_store: bool) -> Publish {
    let what = Logged {
        hash: format!("0x{}", line.text.replace(' ', "")),
        kind: "message".to_owned(),
        group: Some(GROUP),
        installation: Some(line.id.installation),
        number: Some(line.id.number),
    };
    Publish { node: 1, reaches_store, what }
}

fn gap(line: &SaidLine, state: GapState, evidence: Evidence) -> GapView {
    let at = Timestamp::from_secs(5);
    let tried = TryView { source: "store x".into(), outcome: "0 messages".into(), times: 3, at };
    GapView {
        group: GROUP,
        account: line.account,
        installation: line.id.installation,
        number: line.id.number,
        evidence,
        first_noticed: at,
        state,
        tried: vec![tried],
    }
}

/// Four lines by two speakers: the second is missed by a third and recovered, the third is lost,
/// and the fourth claims it.
fn good() -> Observed {
    let lines = vec![
        line(0, 1, 1, Phase::AllUp),
        line(1, 2, 1, Phase::NodeCutOff),
        line(2, 1, 2, Phase::OneLinkUp),
        line(3, 2, 2, Phase::AllUp),
    ];
    let publishes: Vec<Publish> =
        lines.iter().map(|line| publish(line, line.phase != Phase::OneLinkUp)).collect();
    let archive = publishes.iter().filter(|p| p.reaches_store).map(|p| p.what.hash.clone());
    let recovered = gap(&lines[1], GapState::Recovered, Evidence::Proven { by_number: 2 });
    let lost = gap(&lines[2], GapState::Unavailable, Evidence::Claimed { by: installation(2) });
    let expected = vec![0, 1, 3];
    let messages = expected.iter().map(|index| message(&lines[*index])).collect();
    let states = [
        (lines[1].id, vec![GapState::Missing, GapState::Fetching, GapState::Recovered]),
        (lines[2].id, vec![GapState::Missing, GapState::Fetching, GapState::Unavailable]),
    ];
    let seat = SeatView {
        label: "third".to_owned(),
        node: ("c".to_owned(), "http://127.0.0.1:1".to_owned()),
        speaker: "third".to_owned(),
        account: account(3),
        installation: installation(3),
        stopped: false,
        expected,
        recovered: vec![1],
        view: View { messages, gaps: vec![recovered, lost], name: "Hut".to_owned(), epoch: 5 },
        states: BTreeMap::from(states),
        named: vec!["Huts".to_owned(), "Hut".to_owned()],
        reordered: 1,
    };
    Observed {
        archive: archive.collect(),
        lines,
        names: vec!["Huts".to_owned(), "Hut".to_owned()],
        at_once: 2,
        seats: vec![seat],
        lost: 2,
        holder: installation(2),
        publishes,
    }
}

fn message(line: &SaidLine) -> MessageView {
    MessageView {
        id: line.id,
        account: line.account,
        kind: MessageKind::Text,
        text: line.text.clone(),
        time: Timestamp::from_secs(1),
        waku_hash: publish(line, true).what.hash,
        blocked: false,
        sending: None,
        handed_by: None,
    }
}

/// The failures of a good run after `doctor`, as text.
fn after(doctor: impl FnOnce(&mut Observed)) -> Vec<String> {
    let mut run = good();
    doctor(&mut run);
    failures(&run).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_run_has_no_failures() {
    assert_eq!(after(|_| {}), [""; 0]);
}

#[test]
fn notices_what_is_shown() {
    let gone = after(|run| drop(run.seats[0].view.messages.remove(0)));
    assert_eq!(gone, ["third does not show line 1"]);

    let twice = after(|run| {
        let again = run.seats[0].view.messages[2].clone();
        run.seats[0].view.messages.push(again);
    });
    assert_eq!(twice, ["third shows number 2 of 66666666, which it should not, or shows it twice"]);

    let lost = after(|run| {
        let lost = message(&run.lines[2]);
        run.seats[0].view.messages.insert(2, lost);
    });
    assert_eq!(lost, ["third shows number 2 of 65656565, which it should not, or shows it twice"]);

    let changed = after(|run| run.seats[0].view.messages[0].text.push('!'));
    assert_eq!(changed, ["third shows line 1 with another text or account"]);

    let other = after(|run| run.seats[0].view.messages[0].account = account(7));
    assert_eq!(other, ["third shows line 1 with another text or account"]);

    let hash = after(|run| run.seats[0].view.messages[0].waku_hash.push('0'));
    assert_eq!(hash, ["third shows line 1 with the hash of something else"]);

    let repaired = after(|run| {
        let mut repair = run.publishes[0].clone();
        (repair.node, repair.what.kind) = (2, "repair".to_owned());
        (repair.what.installation, repair.what.number) = (None, None);
        repair.what.hash.push('0');
        run.archive.insert(repair.what.hash.clone());
        run.publishes.push(repair);
        run.seats[0].view.messages[0].waku_hash.push('0');
    });
    assert_eq!(repaired, [""; 0]);

    let order = after(|run| run.seats[0].view.messages.swap(0, 1));
    assert_eq!(order, ["third shows line 1 after line 2"]);
}

#[test]
fn notices_names() {
    let other = |change: fn(&mut View)| {
        after(|run| {
            let mut seat = run.seats[0].clone();
            seat.label = "fourth".to_owned();
            change(&mut seat.view);
            run.seats.push(seat);
        })
    };
    assert_eq!(other(|_| ()), [""; 0]);
    let apart = other(|view| view.name = "Huts".to_owned());
    assert_eq!(apart, ["fourth shows the group as Huts in epoch 5, another as Hut in 5"]);
    let behind = other(|view| view.epoch = 4);
    assert_eq!(behind, ["fourth shows the group as Hut in epoch 4, another as Hut in 5"]);
    let strange = after(|run| run.seats[0].view.name = "Conversation".to_owned());
    assert_eq!(
        strange,
        ["third shows the group as Conversation, which is not the name it was given last"]
    );
    let one_by_one = after(|run| run.seats[0].reordered = 0);
    assert_eq!(
        one_by_one,
        ["two names were given at the same time, and no installation put them in an order"]
    );
    let alone = after(|run| (run.seats[0].reordered, run.at_once) = (0, 0));
    assert_eq!(alone, [""; 0]);
}

#[test]
fn notices_numbers() {
    let repeated = after(|run| {
        run.lines[3].id.number = 1;
        run.publishes[3].what.number = Some(1);
        run.seats[0].view.messages[2].id.number = 1;
    });
    assert!(repeated.contains(&"line 4 has number 1 of its sender, not 2".to_owned()));
}

#[test]
fn notices_gaps() {
    let unreported = after(|run| drop(run.seats[0].view.gaps.remove(0)));
    assert_eq!(unreported, ["third never reported line 2 as missing"]);

    let too_late = after(|run| {
        let id = run.lines[1].id;
        run.seats[0].states.insert(id, vec![GapState::Recovered]);
    });
    assert_eq!(too_late, ["third never reported line 2 as missing"]);

    let unheard_of = after(|run| drop(run.seats[0].view.gaps.remove(1)));
    assert_eq!(unheard_of, ["third never reported line 3 as missing"]);

    let open = after(|run| run.seats[0].view.gaps[0].state = GapState::Fetching);
    assert_eq!(open, ["third: the gap of number 1 of 66666666 is Fetching, not Recovered"]);

    let found = after(|run| run.seats[0].view.gaps[1].state = GapState::Recovered);
    assert_eq!(found, ["third: the gap of number 2 of 65656565 is Recovered, not Unavailable"]);

    let whose = after(|run| run.seats[0].view.gaps[0].account = account(7));
    assert_eq!(whose, ["third: the gap of line 2 names another account"]);

    let proven = after(|run| {
        run.seats[0].view.gaps[1].evidence = Evidence::Proven { by_number: 3 };
    });
    assert_eq!(proven, ["third: the gap of line 3 does not rest on its holder's claim"]);

    let untried = after(|run| run.seats[0].view.gaps[1].tried.clear());
    assert_eq!(untried, ["third: the gap of line 3 does not say what was tried"]);
}

#[test]
fn notices_a_gap_of_what_nobody_said() {
    let stranger = after(|run| {
        let mut gap = run.seats[0].view.gaps[0].clone();
        gap.number = 77;
        gap.state = GapState::Missing;
        run.seats[0].view.gaps.push(gap);
    });
    assert_eq!(stranger, ["third: the gap of number 77 of 66666666 is Missing, not Recovered"]);
}

#[test]
fn notices_publishes() {
    let twice = after(|run| {
        let mut again = run.publishes[0].clone();
        again.what.hash = "0xagain".to_owned();
        run.archive.insert(again.what.hash.clone());
        run.publishes.push(again);
    });
    assert_eq!(twice, ["line 1 was first published 2 times, not once"]);

    let own_group = after(|run| {
        // numbers begin anew in each group
        let mut other = run.publishes[0].clone();
        other.what.hash = "0xother".to_owned();
        other.what.group = Some(GroupId::from_bytes([0x77; GroupId::LEN]));
        run.archive.insert(other.what.hash.clone());
        run.publishes.push(other);
    });
    assert!(own_group.is_empty(), "{own_group:?}");

    let never = after(|run| {
        run.publishes[0].what.kind = "retry".to_owned();
    });
    assert_eq!(never, ["line 1 was first published 0 times, not once"]);
}

#[test]
fn notices_the_archive() {
    let lacking = after(|run| {
        run.archive.remove("0xtext1");
    });
    assert_eq!(
        lacking,
        [
            "the store does not hold the first publish of line 2",
            "the store does not hold 0xtext1 (message)"
        ]
    );

    let leaked = after(|run| {
        run.archive.insert("0xtext2".to_owned());
    });
    assert_eq!(leaked, ["the store holds line 3, which only one node should have"]);

    let stranger = after(|run| {
        run.archive.insert("0xstranger".to_owned());
    });
    assert_eq!(stranger, ["the store holds 0xstranger, which no node says it published"]);
}

#[test]
fn what_the_store_could_not_hear_it_need_not_hold() {
    let cut = after(|run| {
        run.lines[1].phase = Phase::StoreCutOff;
        run.publishes[1].reaches_store = false;
        run.archive.remove("0xtext1");
    });
    assert_eq!(cut, [""; 0]);
}
