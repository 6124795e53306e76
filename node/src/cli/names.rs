//! Groups as people name them: by id, by the beginning of an id, or by name.

use waku_groupchat_core::GroupId;

use super::CliError;
use super::client::Client;
use super::text::clean;
use crate::chat::api::types::{Groups, Invitations};

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
}
