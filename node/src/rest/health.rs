//! `/health`: whether the node does what it is for.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use waku_groupchat_waku::{relay, store};

use super::state::State;
use crate::engine::PeerInfo;

const READY: &str = "READY";
const NOT_READY: &str = "NOT_READY";
const NOT_MOUNTED: &str = "NOT_MOUNTED";

/// nwaku's `HealthReport`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    /// `READY` or `NOT_READY`.
    node_health: &'static str,
    /// One object a protocol: `{"Relay": "READY"}`, with `desc` where it is not ready, or where
    /// there is something to be known all the same.
    #[schema(value_type = Vec<BTreeMap<String, String>>)]
    protocols_health: Vec<Map<String, Value>>,
}

/// Say whether the node does what it is for
///
/// 503 if the engine has ended, the archive cannot be written or an extension is not
/// ready; a node without peers is ready, its protocols are not.
#[utoipa::path(
    get, path = "/health", tag = "node", operation_id = "health",
    responses(
        (status = 200, description = "It does", body = Health, example = json!({
            "nodeHealth": "READY",
            "protocolsHealth": [
                { "Relay": "READY" },
                { "Store": "READY" },
                { "Store Client": "NOT_READY", "desc": "No Store service peer available yet" },
                { "GroupChat": "READY" },
            ],
        })),
        (status = 503, description = "It does not", body = Health, example = json!({
            "nodeHealth": "NOT_READY",
            "protocolsHealth": [{ "GroupChat": "NOT_READY", "desc": "stopped" }],
        })),
    ),
)]
pub(super) async fn get(Shared(state): Shared<State>) -> (StatusCode, Json<Health>) {
    let peers = state.engine.peers().await;
    let mut ready = peers.is_ok();
    let peers = peers.unwrap_or_default();
    let mut protocols = vec![relay(&state, &peers), own_store(&state), store_client(&peers)];
    if let Some(why) = &*state.archive_fault.borrow() {
        ready = false;
        protocols.push(line("Archive", Err(why.clone())));
    }
    for extension in state.extensions.iter() {
        let remarks = extension.remarks();
        for (name, health) in extension.health() {
            ready &= health == READY;
            let health = if health == READY { Ok(()) } else { Err(health) };
            let mut line = line(&name, health);
            if let Some((_, remark)) = remarks.iter().find(|(of, _)| *of == name) {
                line.entry("desc").or_insert_with(|| remark.clone().into());
            }
            protocols.push(line);
        }
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let node_health = if ready { READY } else { NOT_READY };
    (status, Json(Health { node_health, protocols_health: protocols }))
}

fn relay(state: &State, peers: &[PeerInfo]) -> Map<String, Value> {
    if !state.options.relay.enabled {
        return entry("Relay", NOT_MOUNTED);
    }
    let connected = peers.iter().any(|peer| speaks(peer, relay::PROTOCOL));
    line("Relay", if connected { Ok(()) } else { Err("No connected peers".to_owned()) })
}

fn own_store(state: &State) -> Map<String, Value> {
    entry("Store", if state.archive.is_some() { READY } else { NOT_MOUNTED })
}

fn store_client(peers: &[PeerInfo]) -> Map<String, Value> {
    let connected = peers.iter().any(|peer| speaks(peer, store::PROTOCOL));
    let why = "No Store service peer available yet";
    line("Store Client", if connected { Ok(()) } else { Err(why.to_owned()) })
}

fn speaks(peer: &PeerInfo, protocol: &str) -> bool {
    peer.protocols.iter().any(|p| p == protocol)
}

fn entry(name: &str, health: &str) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), health.into())])
}

fn line(name: &str, health: Result<(), String>) -> Map<String, Value> {
    match health {
        Ok(()) => entry(name, READY),
        Err(why) => {
            let mut line = entry(name, NOT_READY);
            line.insert("desc".to_owned(), why.into());
            line
        }
    }
}
