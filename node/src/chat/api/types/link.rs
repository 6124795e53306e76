//! Bodies of `/installations/…`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waku_groupchat_core::InstallationId;

use crate::chat::api::schema;

/// To `POST /installations/link/digits`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkDigits {
    /// The eight digits that the other installation shows; spaces and dashes do not count.
    pub digits: String,
}

/// From `POST /installations/link/digits`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Whether they are the own digits. If not, the linking has ended.
    pub same: bool,
}

/// To `POST /installations/revocations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revocations {
    /// Live installations of the own account, other than this one.
    #[schema(value_type = Vec<schema::InstallationId>)]
    pub installations: Vec<InstallationId>,
}

/// From `POST /installations/revocations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// Live installations that those had added.
    #[schema(value_type = Vec<schema::InstallationId>)]
    pub added: Vec<InstallationId>,
}

/// To `PUT /installations/{installation}/label`.
// No `Debug`: what people write stays out of logs.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Label {
    /// What to call it, at most 64 bytes; an empty text takes the label away.
    pub label: String,
}
