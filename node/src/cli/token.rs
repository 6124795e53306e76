//! `token`: who may use the node's API, and for what.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use waku_groupchat_core::Timestamp;

use super::client::Client;
use super::text::{clean_line, date_time, fields, table};
use super::{CliError, NodeArgs, Page};
use crate::chat::api::types::{CreatedToken, NewToken, TokenList, TokenView};
use crate::chat::{Scope, Token};
use crate::options::Scalar as _;

/// `token` and what stands before its command.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The first token, in the file `api-token` of the node's data directory, may do everything. Others \
are made with it, for programs that need less:\n\n  \
read     see the account, groups, messages, gaps and events\n  \
send     say something in a group, and what was read\n  \
manage   make groups, change them, invite, answer invitations\n  \
admin    all of it; make the account, link installations, make and revoke tokens")]
pub struct TokenArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(subcommand)]
    pub(super) command: TokenCommand,
}

/// What to do with tokens.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token; its secret is shown once
    Create {
        /// What it is for
        name: String,
        /// What it allows; several are joined by commas, or the option stands several times
        #[arg(long = "scope", required = true, value_name = "SCOPE", value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// How long it is good, such as 12h or 30d; for ever if left out
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
        /// Write it into this new file, for its owner only, instead of showing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the tokens, without their secrets
    List,
    /// Revoke a token: it is refused from now on, and streams that it opened end
    Revoke {
        /// Id, beginning of the id, or name
        token: String,
    },
}

impl ValueEnum for Scope {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let good = Duration::from_text(text).filter(|duration| !duration.is_zero());
    good.ok_or_else(|| format!("must be {}", Duration::EXPECTED))
}

pub(super) fn run(command: &TokenCommand, client: &Client) -> Result<Page, CliError> {
    match command {
        TokenCommand::Create { name, scopes, expires, out } => {
            let expires = expires.map(|duration| now() + duration);
            let body = NewToken { name: name.clone(), scopes: scopes.clone(), expires };
            create(client, &body, out.as_ref())
        }
        TokenCommand::List => {
            let answer: TokenList = client.get("/tokens")?;
            Page::new(&answer, listed(&answer.tokens, now()))
        }
        TokenCommand::Revoke { token } => {
            let answer: TokenList = client.get("/tokens")?;
            let token = pick(token, &answer.tokens)?;
            let nothing: Value = client.delete(&format!("/tokens/{}", token.id))?;
            let text = format!("Revoked {} ({}).\n", token.id, clean_line(&token.name));
            Page::new(&nothing, text)
        }
    }
}

fn create(client: &Client, body: &NewToken, out: Option<&PathBuf>) -> Result<Page, CliError> {
    if let Some(path) = out
        && path.exists()
    {
        // Before a token is made that could be written nowhere.
        return Err(CliError::FileExists { path: path.clone() });
    }
    let made: CreatedToken = client.post("/tokens", body)?;
    let Some(path) = out else {
        let text = created(&made);
        return Page::new(&made, text);
    };
    let token = Token::parse(&made.token).ok_or_else(|| client.not_the_api(201))?;
    if let Err(source) = token.write_new(path) {
        // Nobody will ever know its secret.
        let _: Value = client.delete(&format!("/tokens/{}", made.about.id))?;
        return Err(CliError::WriteToken { path: path.clone(), source });
    }
    let shown = path.display();
    let text = about(&made.about)
        + &format!("File     {shown}\n\nUse it with --token-file {shown}, or put its text into ")
        + "requests as `Authorization: Bearer …`.\n";
    Page::new(&made.about, text)
}

fn created(made: &CreatedToken) -> String {
    format!(
        "{}\n{}\n\nThis is the secret. Keep it now: it is shown once, and the node keeps only its \
         hash. It goes into requests\nas `Authorization: Bearer …`; commands take it from a file \
         (--token-file), which `token create --out FILE` writes.\n",
        about(&made.about),
        made.token
    )
}

fn about(token: &TokenView) -> String {
    fields(&[
        ("Token", token.id.clone()),
        ("Name", clean_line(&token.name)),
        ("Allows", scopes(token)),
        ("Expires", token.expires.map_or_else(|| "never".to_owned(), date_time)),
    ])
}

fn listed(tokens: &[TokenView], now: Timestamp) -> String {
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| {
            let expires = match token.expires {
                None => "never".to_owned(),
                Some(at) if at <= now => format!("{} (over)", date_time(at)),
                Some(at) => date_time(at),
            };
            let made = token.created.map(date_time).unwrap_or_default();
            [token.id.clone(), clean_line(&token.name), scopes(token), made, expires]
        })
        .collect();
    table(["TOKEN", "NAME", "ALLOWS", "MADE", "EXPIRES"], &rows)
}

fn scopes(token: &TokenView) -> String {
    token.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",")
}

/// The token with this name, or with an id that begins so.
fn pick<'t>(name: &str, tokens: &'t [TokenView]) -> Result<&'t TokenView, CliError> {
    let fits = |t: &&TokenView| t.name == name || (!name.is_empty() && t.id.starts_with(name));
    let found: Vec<_> = tokens.iter().filter(fits).collect();
    match found.as_slice() {
        [token] => Ok(token),
        [] => Err(CliError::NoToken { name: name.to_owned() }),
        _ => Err(CliError::Ambiguous {
            name: name.to_owned(),
            candidates: found
                .iter()
                .map(|t| format!("{} ({})", t.id, clean_line(&t.name)))
                .collect(),
        }),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::ZERO + since
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str, name: &str, expires: Option<u64>) -> TokenView {
        TokenView {
            id: id.to_owned(),
            name: name.to_owned(),
            scopes: vec![Scope::Read, Scope::Send],
            created: Some(Timestamp::from_secs(1_763_860_953)),
            expires: expires.map(Timestamp::from_secs),
        }
    }

    #[test]
    fn a_list_shows_what_is_over() {
        let tokens = [token("ab", "bot", Some(1_763_860_960)), token("cd", "x\u{1b}", None)];
        let text = listed(&tokens, Timestamp::from_secs(1_763_860_960));
        assert_eq!(
            text,
            "TOKEN  NAME  ALLOWS     MADE                  EXPIRES\n\
             ab     bot   read,send  2025-11-23 01:22:33Z  2025-11-23 01:22:40Z (over)\n\
             cd     x\u{fffd}    read,send  2025-11-23 01:22:33Z  never\n"
        );
    }

    #[test]
    fn tokens_are_found_by_name_and_beginning() {
        let tokens = [token("abc1", "bot", None), token("abd2", "bot", None)];
        assert_eq!(pick("abc", &tokens).expect("one").id, "abc1");
        assert!(matches!(pick("ab", &tokens), Err(CliError::Ambiguous { .. })));
        assert!(matches!(pick("bot", &tokens), Err(CliError::Ambiguous { .. })));
        for name in ["", "lunch"] {
            assert!(matches!(pick(name, &tokens), Err(CliError::NoToken { .. })));
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "2", "0s", "d", "1y"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
