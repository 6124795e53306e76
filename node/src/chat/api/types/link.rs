//! Bodies of `/installations/link`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
