//! What JSON values look like, for the OpenAPI document.
//!
//! The core's types know nothing of HTTP, so their JSON forms are described here, a type a type,
//! under the same names. The document's examples are made from the core's own values
//! ([`super::examples`]) and a test validates them, so what is written here cannot drift from what
//! is answered.

// Nothing here is ever made: the types only carry the descriptions.
#![allow(dead_code)]

pub(in crate::chat) mod events;
pub(in crate::chat) mod views;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::code::Code;

/// An account: its root's Ed25519 public key, in hex.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{64}$")]
pub(in crate::chat) struct AccountId(String);

/// An installation: its Ed25519 public key, in hex.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{64}$")]
pub(in crate::chat) struct InstallationId(String);

/// A group: 16 random bytes, in hex.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{32}$")]
pub(in crate::chat) struct GroupId(String);

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(ToSchema)]
#[schema(format = "uint64", minimum = 0)]
pub(in crate::chat) struct Timestamp(u64);

/// A message of a group, by its sender and that sender's number for it.
#[derive(ToSchema)]
pub(in crate::chat) struct MessageId {
    /// The group it was sent in.
    group: GroupId,
    /// The installation that sent it.
    installation: InstallationId,
    /// The sender's number for it in this group, from 1.
    #[schema(minimum = 1)]
    number: u64,
}

/// What a token allows; `admin` allows everything.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum Scope {
    /// To see the account, groups, messages, gaps and events.
    Read,
    /// To say something in a group, and what was read.
    Send,
    /// To make groups, change them, invite, and answer invitations.
    Manage,
    /// All of it, and to make the account, link installations, and make and revoke tokens.
    Admin,
}

/// A fixed kebab-case name of an error, for programs.
pub(in crate::chat) struct ErrorCode;

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        let about = "A fixed kebab-case name of an error, for programs.";
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(about))
            .enum_values(Some(names))
            .into()
    }
}

impl ToSchema for ErrorCode {}
