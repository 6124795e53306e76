//! Groups as people name them: by id, by the beginning of an id, or by name. Members by the first
//! two.

use waku_groupchat_core::{AccountId, GroupId};

use super::CliError;
use super::client::Client;
use super::text::clean;
use crate::chat::api::types::{Groups, Invitations, Members};

/// The group of this installation that `name` means.
pub(super) fn group(client: &Client, name: &str) -> Result<GroupId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let groups: Groups = client.get("/groups")?;
    let known: Vec<_> = groups.groups.into_iter().map(|g| (g.group, g.name)).collect();
    pick("group", name, &known)
}

/// The group that `name` means among those that this installation is invited to.
pub(super) fn invitation(client: &Client, name: &str) -> Result<GroupId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let answer: Invitations = client.get("/invitations")?;
    let known: Vec<_> = answer.invitations.into_iter().map(|i| (i.group, i.name)).collect();
    pick("invitation", name, &known)
}

/// The member of a group that `digits` means.
pub(super) fn member(client: &Client, group: GroupId, digits: &str) -> Result<AccountId, CliError> {
    pick_member(digits, &all_members(client, group)?)
}

/// The members of a group that these mean, each once.
pub(super) fn members(
    client: &Client,
    group: GroupId,
    digits: &[String],
) -> Result<Vec<AccountId>, CliError> {
    let known = all_members(client, group)?;
    let mut accounts = Vec::new();
    for digits in digits {
        let account = pick_member(digits, &known)?;
        if !accounts.contains(&account) {
            accounts.push(account);
        }
    }
    Ok(accounts)
}

fn all_members(client: &Client, group: GroupId) -> Result<Vec<AccountId>, CliError> {
    let answer: Members = client.get(&format!("/groups/{group}/members"))?;
    Ok(answer.members.into_iter().map(|member| member.account).collect())
}

/// An id, or the first digits of one that no other member's begins with.
fn pick_member(digits: &str, known: &[AccountId]) -> Result<AccountId, CliError> {
    if let Ok(id) = digits.parse() {
        return Ok(id);
    }
    let lower = digits.to_ascii_lowercase();
    let begins = |id: &&AccountId| !lower.is_empty() && id.to_string().starts_with(&lower);
    let found: Vec<_> = known.iter().filter(begins).collect();
    match found.as_slice() {
        [id] => Ok(**id),
        [] => Err(CliError::NoMember {
            digits: digits.to_owned(),
            known: known.iter().map(AccountId::short).collect(),
        }),
        _ => Err(CliError::Ambiguous {
            name: digits.to_owned(),
            candidates: found.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// A group's name means it if no other has it; so do the first digits of its id.
fn pick(what: &'static str, name: &str, known: &[(GroupId, String)]) -> Result<GroupId, CliError> {
    let digits = name.to_ascii_lowercase();
    let found: Vec<_> = known
        .iter()
        .filter(|(id, called)| {
            called == name || (!digits.is_empty() && id.to_string().starts_with(&digits))
        })
        .collect();
    match found.as_slice() {
        [(id, _)] => Ok(*id),
        [] => Err(CliError::NoGroup {
            what,
            name: name.to_owned(),
            known: known.iter().map(|(id, n)| format!("{} ({})", id.short(), clean(n))).collect(),
        }),
        _ => Err(CliError::Ambiguous {
            name: name.to_owned(),
            candidates: found.iter().map(|(id, n)| format!("{id} ({})", clean(n))).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<(GroupId, String)> {
        [([0xab; 16], "Lunch"), ([0xac; 16], "Dinner"), ([0x12; 16], "Dinner"), ([0xde; 16], "ab")]
            .map(|(id, name)| (GroupId::from_bytes(id), name.to_owned()))
            .into()
    }

    #[test]
    fn unique_names_and_prefixes_are_found() {
        let known = groups();
        assert_eq!(pick("group", "Lunch", &known).expect("a name"), known[0].0);
        assert_eq!(pick("group", "ABAB", &known).expect("a prefix"), known[0].0);
        assert_eq!(pick("group", "12", &known).expect("a prefix"), known[2].0);
    }

    #[test]
    fn unclear_names_are_refused_with_the_choices() {
        let known = groups();
        for (name, choices) in [("Dinner", 2), ("a", 2), ("ab", 2)] {
            let Err(CliError::Ambiguous { candidates, .. }) = pick("group", name, &known) else {
                panic!("{name} is unclear");
            };
            assert_eq!(candidates.len(), choices, "{name}");
        }
        for name in ["Supper", ""] {
            assert!(matches!(pick("group", name, &known), Err(CliError::NoGroup { .. })));
        }
    }

    #[test]
    fn members_are_found_by_their_first_digits() {
        let known = [[0xab; 32], [0xac; 32], [0x12; 32]].map(AccountId::from_bytes);
        assert_eq!(pick_member("AB", &known).expect("a prefix"), known[0]);
        assert_eq!(pick_member("1", &known).expect("a prefix"), known[2]);
        let whole = AccountId::from_bytes([7; 32]);
        assert_eq!(pick_member(&whole.to_string(), &known).expect("an id"), whole);
        let Err(CliError::Ambiguous { candidates, .. }) = pick_member("a", &known) else {
            panic!("two begin with it");
        };
        assert_eq!(candidates.len(), 2);
        for digits in ["7", "", "wgc1"] {
            let Err(CliError::NoMember { known, .. }) = pick_member(digits, &known) else {
                panic!("{digits:?} is nobody");
            };
            assert_eq!(known, ["abababab", "acacacac", "12121212"]);
        }
    }
}
