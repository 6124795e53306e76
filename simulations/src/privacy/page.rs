//! What was measured, for people: `docs/reports/privacy.md`.

use std::fmt::Write as _;

use super::counting::{FEW, MANY};
use super::report::{Attack, BOUND, PLANTED, Report};

/// The page. It is made of the report alone.
pub fn page(report: &Report) -> String {
    let mut page = format!(
        "# What registering shows\n\nMeasured, not argued: what somebody who records the whole shard learns of accounts from how they \
         register. Made by `make report` (seed {}); numbers for programs are in [privacy.json](privacy.json).\n\n\
         ## What was done\n\n\
         {} accounts of 1 to {} installations lived {} days on the virtual network: real cores, under virtual time. \
         They linked {} installations on days of their own and revoked {}, with which their contact cards changed; {} cards changed by \
         hand; {} times all installations were lost and the phrase brought the account back, in half of the cases against somebody \
         who had them and let them go on. They published {} times a day's two records. The observer gets every publish \
         whole (payload, content topic, timestamp, size) and the time at which it came, 30 to 600 ms after it left. Each account had \
         a network of its own, since registering takes nothing from others.\n\n",
        report.seed,
        report.accounts,
        report.most_installations,
        report.days,
        report.linked,
        report.revoked,
        report.rotated,
        report.recovered,
        report.records
    );
    attacks(&mut page, report);
    shapes(&mut page, report);
    strings(&mut page, report);
    beyond(&mut page, report);
    page
}

fn attacks(page: &mut String, report: &Report) {
    let _ = write!(
        page,
        "## Attacks\n\nA classifier (one hidden layer, Adam) gets numbers from bytes, sizes, times, order and counts, is trained on \
         some accounts and asked about others. Advantage is 2 × accuracy − 1 over balanced pairs; the interval is the wider one of the \
         binomial one and a bootstrap over accounts. An upper end of at most {BOUND} is required, and at least {PLANTED} where \
         something was planted to be found.\n\n\
         | question | test pairs | advantage | 95 % interval | |\n|---|---|---|---|---|\n"
    );
    for attack in &report.attacks {
        row(page, attack, if attack.holds() { "as required" } else { "**not as required**" });
    }
    let _ = write!(
        page,
        "\n![The advantages with their intervals](privacy.svg)\n\n\
         - **Linking**: two records of different days, of one account or of two, from the real cores. Every record is in as many pairs \
         of either kind. The tag was 8 bytes of its account's at a random place in one of the eight payloads of each day.\n\
         - **Number of installations**: one record of an account with 1 to {} installations and one of an account with {MANY} to 20. \
         Here one record says little, so there are very many, and they are made without cores: by the core's own code for logs, \
         records, parcels, seals and topics, and its schedule written again. For the planted size, a payload was one byte longer for \
         each installation.\n\n",
        FEW - 1
    );
}

fn row(page: &mut String, attack: &Attack, verdict: &str) {
    let _ = writeln!(
        page,
        "| {} | {} | {:.4} | {:.4} to {:.4} | {verdict} |",
        attack.name.replace('-', " "),
        attack.samples,
        attack.advantage,
        attack.ci_low,
        attack.ci_high
    );
}

fn shapes(page: &mut String, report: &Report) {
    page.push_str(
        "## Number and size\n\nWhat the records of the real cores were from outside, by the number of live installations.\n\n\
         | installations | records | publishes a record | payload, bytes |\n|---|---|---|---|\n",
    );
    for parts in &report.parts {
        let publishes = if parts.fewest == parts.most {
            parts.most.to_string()
        } else {
            format!("{} to {}", parts.fewest, parts.most)
        };
        let sizes: Vec<_> = parts.sizes.iter().map(usize::to_string).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {publishes} | {} |",
            parts.installations,
            parts.records,
            sizes.join(", ")
        );
    }
    if !report.recovery_days.is_empty() {
        let days: Vec<_> =
            report.recovery_days.iter().map(|(parts, n)| format!("{n} with {parts}")).collect();
        let _ = write!(
            page,
            "\nDays on which a phrase brought an account back, and those after, stand apart: records by their publishes: {}. Where \
             part of a record was out when all installations were lost, the recovered one publishes it whole, on the same topics; and an \
             installation that somebody has taken publishes once more if its turn comes before it hears of the root entry: **that \
             somebody came back by a phrase can show on these two days**, as more than eight publishes.\n",
            days.join(", ")
        );
    }
    let links: Vec<_> =
        report.link_publishes.iter().map(|(size, n)| format!("{n} of {size} bytes")).collect();
    let _ = write!(
        page,
        "\nLinking an installation is seen as such: publishes of one size within minutes, on topics used once ({} for {} \
         installations). They say that somebody links, not who. A step is as many parts as it needs, so an account whose log is long \
         shows that there.\n\n",
        links.join(", "),
        report.linked
    );
}

fn strings(page: &mut String, report: &Report) {
    let strings = &report.strings;
    let _ = write!(
        page,
        "## Strings that recur\n\nEvery string of 8 bytes at every place of {} records was compared with all others.\n\n\
         | where | in several records | in records of one account alone | the same, records dealt out anew |\n|---|---|---|---|\n\
         | payloads | {} | {} | |\n| whole messages | {} | {} | {:.1} on average, {} at most |\n\n\
         What recurs in whole messages is the form of topics and timestamps. Dealt out anew ({} times), each account gets records of \
         others, one a day: that is what chance gives, and real accounts may not have more than any of these. No string of one \
         account alone was in more than {} of its records; dealt out anew, {}. With 8 bytes planted in one account's payloads, \
         {} string of one account was found; with 8 letters planted in one account's topics, one in {} of its records.\n\n",
        strings.records,
        strings.in_payloads,
        strings.in_payloads_of_one_account,
        strings.in_messages,
        strings.in_messages_of_one_account.strings,
        strings.in_messages_of_one_dealt_account,
        strings.most_of_one_dealt_account.strings,
        strings.deals,
        strings.in_messages_of_one_account.records,
        strings.most_of_one_dealt_account.records,
        strings.found_when_planted,
        strings.found_when_planted_in_topics.records
    );
}

fn beyond(page: &mut String, report: &Report) {
    page.push_str("## Beyond what is promised\n\n");
    if !report.beyond.is_empty() {
        page.push_str(
            "| question | test pairs | advantage | 95 % interval | |\n|---|---|---|---|---|\n",
        );
        for attack in &report.beyond {
            row(page, attack, "");
        }
        page.push_str(
            "\nTimestamps are the node's time within ± 5 s, rounded to 5 s. A clock that is off by some seconds all the time shows \
             through that on average, as a difference between timestamps and arrivals, until peers in shared groups correct it. Keep \
             clocks set (NTP): those above were within nothing of the network's.\n\n",
        );
    }
    page.push_str(
        "- The eight publishes of a day's two records leave within half an hour, so an observer may group them where few accounts register. \
         Within a day, that is no secret.\n\
         - How many accounts there are can be counted by the publishes of this size.\n\
         - Direct relay peers see network addresses, which are the same each day: [the threat model](../threat-model.md).\n\
         - A publish that nobody confirmed is repeated on the same topic with another timestamp. Loss was none here; it does not \
         depend on the account.\n",
    );
}
