//! The tokens of the chat API: the first one, which may do everything, and those that were made
//! with it. Of each only its hash is kept, in a file that only its owner can read.

use std::fmt;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;
use waku_groupchat_core::Timestamp;

use super::access::{Access, Scope, Scopes};
use super::owner_file::{self, OwnerFileError};
use super::token::Token;

/// The format of the file.
const VERSION: u32 = 1;
/// Most tokens beside the first one.
pub(super) const MAX_TOKENS: usize = 100;
/// Most bytes of a token's name.
pub(super) const NAME_BYTES: usize = 64;
/// The largest file that is read, in bytes: more than that many tokens of the longest names take.
const MAX_FILE: u64 = 256 * 1024;

/// Names a token without giving it away: 8 random bytes as hex, or `first`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TokenId(pub(super) String);

impl TokenId {
    /// The token in the node's token file.
    pub(super) fn first() -> Self {
        Self("first".to_owned())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({})", self.0)
    }
}

/// Why the file of the tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read or written, or others can.
    #[error("file of the API tokens {0}")]
    File(#[from] OwnerFileError),
    /// It holds something else.
    #[error(
        "file of the API tokens {path}: {reason} (remove it to revoke all tokens but the first)"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why a token is not made or revoked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error("there are {MAX_TOKENS} tokens, the most there can be: revoke one first")]
    TooMany,
    #[error("there is no token {0} here")]
    Unknown(TokenId),
    #[error(
        "the first token is not revoked here: stop the node, remove its token file, and it makes \
         another"
    )]
    First,
    #[error(transparent)]
    Write(#[from] TokensError),
    #[error("no random bytes for a token: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a text gives no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token, or none of this node's; a revoked one is forgotten.
    Unknown,
    /// It was good once.
    Expired,
}

/// What is kept of a token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    pub(super) id: TokenId,
    pub(super) name: String,
    pub(super) scopes: Scopes,
    pub(super) created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    sha256: Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    tokens: Vec<Record>,
}

#[derive(Clone)]
struct Issued {
    record: Record,
    revoked: CancellationToken,
}

/// Every token of a node.
pub(super) struct Tokens {
    first: Issued,
    path: PathBuf,
    issued: RwLock<Vec<Issued>>,
    /// Held while the file is written, so that changes follow each other.
    writing: Mutex<()>,
}

impl Tokens {
    /// The first token, and those in the file.
    pub(super) fn open(first: &Token, path: PathBuf) -> Result<Self, TokensError> {
        let records = match owner_file::read(&path, MAX_FILE)? {
            Some(text) => read(&text)
                .map_err(|reason| TokensError::Malformed { path: path.clone(), reason })?,
            None => Vec::new(),
        };
        let first = Record {
            id: TokenId::first(),
            name: "the node's token file".to_owned(),
            scopes: Scopes([Scope::Admin].into()),
            created: Timestamp::ZERO,
            expires: None,
            sha256: Hash(first.hash()),
        };
        Ok(Self {
            first: first.into(),
            path,
            issued: RwLock::new(records.into_iter().map(Into::into).collect()),
            writing: Mutex::new(()),
        })
    }

    /// What this text may do. Every token is compared with, in time that does not depend on where
    /// they differ.
    pub(super) fn access(&self, text: &str, now: Timestamp) -> Result<Access, Denied> {
        let hash = Token::parse(text).ok_or(Denied::Unknown)?.hash();
        let issued = self.issued.read();
        let mut found = None;
        for token in std::iter::once(&self.first).chain(issued.iter()) {
            if bool::from(token.record.sha256.0.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        let Issued { record, revoked } = found.ok_or(Denied::Unknown)?;
        match record.expires {
            Some(at) if at <= now => Err(Denied::Expired),
            expires => {
                Ok(Access { scopes: record.scopes.clone(), expires, revoked: revoked.clone() })
            }
        }
    }

    /// All tokens, the first one first.
    pub(super) fn list(&self) -> Vec<Record> {
        let issued = self.issued.read();
        std::iter::once(&self.first).chain(issued.iter()).map(|t| t.record.clone()).collect()
    }

    /// Makes a token. Once this returns, it survives a crash. Blocks while the file is written.
    pub(super) fn create(
        &self,
        name: String,
        scopes: Scopes,
        created: Timestamp,
        expires: Option<Timestamp>,
    ) -> Result<(Record, Token), ChangeError> {
        let _writing = self.writing.lock();
        let mut issued = self.issued.read().clone();
        if issued.len() >= MAX_TOKENS {
            return Err(ChangeError::TooMany);
        }
        let token = Token::generate()?;
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        let id = TokenId(HEXLOWER.encode(&id));
        let sha256 = Hash(token.hash());
        let record = Record { id, name, scopes, created, expires, sha256 };
        issued.push(record.clone().into());
        self.write(issued)?;
        Ok((record, token))
    }

    /// Forgets a token. Once this returns it is refused, also by requests under way that wait, and
    /// stays so over a crash. Blocks while the file is written.
    pub(super) fn revoke(&self, id: &TokenId) -> Result<(), ChangeError> {
        if *id == self.first.record.id {
            return Err(ChangeError::First);
        }
        let _writing = self.writing.lock();
        let mut issued = self.issued.read().clone();
        let at = issued.iter().position(|token| token.record.id == *id);
        let gone = issued.remove(at.ok_or_else(|| ChangeError::Unknown(id.clone()))?);
        self.write(issued)?;
        gone.revoked.cancel();
        Ok(())
    }

    fn write(&self, issued: Vec<Issued>) -> Result<(), TokensError> {
        let tokens = issued.iter().map(|token| token.record.clone()).collect();
        let text = serde_json::to_string_pretty(&Contents { version: VERSION, tokens }).map_err(
            |error| TokensError::Malformed { path: self.path.clone(), reason: error.to_string() },
        )?;
        owner_file::write(&self.path, &text)?;
        *self.issued.write() = issued;
        Ok(())
    }
}

fn read(text: &str) -> Result<Vec<Record>, String> {
    let contents: Contents = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if contents.version != VERSION {
        return Err(format!("its version is {}, this node knows {VERSION}", contents.version));
    }
    Ok(contents.tokens)
}

impl From<Record> for Issued {
    fn from(record: Record) -> Self {
        Self { record, revoked: CancellationToken::new() }
    }
}

/// SHA-256 of a token, in hex.
#[derive(Clone)]
struct Hash([u8; 32]);

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("sha256 must be 64 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn scopes(scopes: &[Scope]) -> Scopes {
        Scopes(scopes.iter().copied().collect())
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn tokens_survive_a_restart_and_only_as_hashes() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("api-tokens.json");
        let first = Token::generate().expect("random bytes");
        let tokens = Tokens::open(&first, path.clone()).expect("no file yet");
        let made = tokens.create("bot".into(), scopes(&[Scope::Send]), at(10), Some(at(20)));
        let (record, token) = made.expect("written");
        let kept = fs::read_to_string(&path).expect("written");
        assert!(!kept.contains(token.reveal().as_str()), "{kept}");

        let tokens = Tokens::open(&first, path.clone()).expect("its own file");
        let access = tokens.access(&token.reveal(), at(19)).expect("known");
        assert_eq!(access.scopes, scopes(&[Scope::Send]));
        let denied = tokens.access(&token.reveal(), at(20)).expect_err("too late");
        assert_eq!(denied, Denied::Expired);
        assert!(tokens.access(&first.reveal(), at(20)).expect("known").scopes.allow(Scope::Send));

        tokens.revoke(&record.id).expect("written");
        let tokens = Tokens::open(&first, path).expect("its own file");
        let denied = tokens.access(&token.reveal(), at(11)).expect_err("revoked");
        assert_eq!(denied, Denied::Unknown);
    }

    #[test]
    fn a_change_that_cannot_be_written_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Token::generate().expect("random bytes");
        let path = dir.path().join("folder/api-tokens.json");
        fs::create_dir(dir.path().join("folder")).expect("own folder");
        let tokens = Tokens::open(&first, path).expect("no file yet");
        let made = tokens.create("a".into(), scopes(&[Scope::Read]), at(1), None);
        let (record, token) = made.expect("written");
        fs::remove_dir_all(dir.path().join("folder")).expect("own folder");
        assert!(matches!(tokens.revoke(&record.id), Err(ChangeError::Write(_))));
        assert!(tokens.create("b".into(), scopes(&[Scope::Read]), at(1), None).is_err());
        assert!(tokens.access(&token.reveal(), at(2)).is_ok());
        assert_eq!(tokens.list().len(), 2);
    }

    #[test]
    fn there_is_an_end_to_tokens() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Token::generate().expect("random bytes");
        let path = dir.path().join("api-tokens.json");
        let tokens = Tokens::open(&first, path.clone()).expect("no file yet");
        let name = "n".repeat(NAME_BYTES);
        for _ in 0..MAX_TOKENS {
            let made = tokens.create(name.clone(), scopes(&Scope::ALL), at(1), Some(at(2)));
            made.expect("written");
        }
        let more = tokens.create(name, scopes(&Scope::ALL), at(1), None).err();
        assert!(matches!(more, Some(ChangeError::TooMany)));
        let again = Tokens::open(&first, path).expect("all of them are read");
        assert_eq!(again.list().len(), MAX_TOKENS + 1);
        assert!(matches!(tokens.revoke(&TokenId::first()), Err(ChangeError::First)));
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Token::generate().expect("random bytes");
        let path = dir.path().join("api-tokens.json");
        for text in ["", "{}", r#"{"version":2,"tokens":[]}"#, r#"{"version":1,"tokens":[{}]}"#] {
            owner_file::write(&path, text).expect("own folder");
            let refused = Tokens::open(&first, path.clone()).err();
            assert!(matches!(refused, Some(TokensError::Malformed { .. })), "{text}");
        }
    }
}
