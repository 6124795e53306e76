//! `/info` and `/version`, and both under `/debug/v1`, where nwaku had them before.

use axum::Json;
use axum::extract::State as Shared;
use serde::Serialize;

use super::error::RestError;
use super::state::State;

/// What `/version` answers, and what the metric `waku_version` is labelled with.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// nwaku's `DebugWakuInfo`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    /// Own addresses with `/p2p/<peer id>`.
    listen_addresses: Vec<String>,
    /// The node record (EIP-778). Empty: the node takes part in no discovery yet.
    enr_uri: String,
}

/// `GET /info`.
pub(super) async fn info(Shared(state): Shared<State>) -> Result<Json<Info>, RestError> {
    let listen_addresses = state.engine.info().await?.addresses;
    Ok(Json(Info { listen_addresses, enr_uri: String::new() }))
}

/// `GET /version`.
pub(super) async fn version() -> &'static str {
    VERSION
}
