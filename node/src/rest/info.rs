//! `/info` and `/version`, and both under `/debug/v1`, where nwaku had them before.

use axum::Json;
use axum::extract::State as Shared;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::RestError;
use super::state::State;

/// What `/version` answers, and what the metric `waku_version` is labelled with.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// nwaku's `DebugWakuInfo`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    /// Own addresses with `/p2p/<peer id>`.
    listen_addresses: Vec<String>,
    /// The node record (EIP-778). Empty: the node takes part in no discovery yet.
    enr_uri: String,
}

/// Say where the node is
#[utoipa::path(
    get, path = "/info", tag = "node", operation_id = "info",
    responses(
        (status = 200, description = "Its addresses", body = Info, example = json!({
            "listenAddresses": ["/ip4/203.0.113.7/tcp/60000/p2p/16Uiu2HAkzHaTP5JsUwfR9NR8Rj9HC24puS6ocaU8wze4QrXr9iXp"],
            "enrUri": "",
        })),
        (status = 503, description = "The engine has ended", body = String),
    ),
)]
pub(super) async fn info(Shared(state): Shared<State>) -> Result<Json<Info>, RestError> {
    let listen_addresses = state.engine.info().await?.addresses;
    Ok(Json(Info { listen_addresses, enr_uri: String::new() }))
}

/// Say which version runs
#[utoipa::path(
    get, path = "/version", tag = "node", operation_id = "version",
    responses((status = 200, description = "Such as v0.1.0", body = String)),
)]
pub(super) async fn version() -> &'static str {
    VERSION
}
