//! HTTP to one node: requests, and its own endpoints. The chat API is in [`super::chat`].

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use waku_groupchat_waku::PubsubTopic;

use super::config::Ports;

/// How long a request may take, beyond what it is asked to wait.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes of an answer: a page of the longest messages.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;
/// Hashes a page of the store.
const STORE_PAGE: usize = 100;

/// Asks one node. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    node: String,
    base: String,
    metrics: String,
    authorization: Option<String>,
}

/// Why a node did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer.
    #[error("{node}: {what}")]
    Unreachable {
        /// The node.
        node: String,
        /// Method and path.
        what: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// It answered with an error.
    #[error("{node}: {what}: status {status}: {detail}")]
    Status {
        /// The node.
        node: String,
        /// Method and path.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// An answer of another form.
    #[error("{node}: {what}: unexpected answer")]
    Form {
        /// The node.
        node: String,
        /// Method and path.
        what: String,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The token cannot be read.
    #[error("{node}: token file")]
    Token {
        /// The node.
        node: String,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime ends.
    #[error("the runner ends")]
    Ending,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    listen_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorePage {
    status_code: u32,
    status_desc: String,
    #[serde(default)]
    messages: Vec<StoreEntry>,
    #[serde(default)]
    pagination_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoreEntry {
    message_hash: String,
}

impl Client {
    /// A client for the node of this name at these loopback ports; no chat yet.
    pub fn new(node: &str, ports: Ports) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(2)))
            .build();
        Self {
            agent: config.into(),
            node: node.to_owned(),
            base: format!("http://127.0.0.1:{}", ports.rest),
            metrics: format!("http://127.0.0.1:{}/metrics", ports.metrics),
            authorization: None,
        }
    }

    /// The node's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// With the bearer token of the chat API.
    pub fn with_token(mut self, file: &Path) -> Result<Self, ClientError> {
        let token = std::fs::read_to_string(file)
            .map_err(|source| ClientError::Token { node: self.node.clone(), source })?;
        self.authorization = Some(format!("Bearer {}", token.trim()));
        Ok(self)
    }

    /// The node's peer id.
    pub async fn peer_id(&self) -> Result<Option<String>, ClientError> {
        let info: Info = self.get("/info").await?;
        let id = |address: &String| Some(address.rsplit_once("/p2p/")?.1.to_owned());
        Ok(info.listen_addresses.iter().find_map(id))
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let bytes = self.call("GET", &self.metrics, None, Duration::ZERO).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The hashes of all messages of a pubsub topic in the node's own archive.
    pub async fn archived(&self, topic: &PubsubTopic) -> Result<Vec<String>, ClientError> {
        let topic = topic.to_string().replace('/', "%2F");
        let query = format!(
            "/store/v3/messages?pubsubTopic={topic}&includeData=false&ascending=true\
             &pageSize={STORE_PAGE}"
        );
        let (mut hashes, mut cursor) = (Vec::new(), String::new());
        loop {
            let what = format!("{query}{cursor}");
            let page: StorePage = self.get(&what).await?;
            if page.status_code != 200 {
                let (status, detail) = (u16::try_from(page.status_code), page.status_desc);
                let status = status.unwrap_or(u16::MAX);
                return Err(ClientError::Status { node: self.node.clone(), what, status, detail });
            }
            hashes.extend(page.messages.into_iter().map(|entry| entry.message_hash));
            match page.pagination_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(hashes),
            }
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.parse("GET", path, None, Duration::ZERO).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
    ) -> Result<T, ClientError> {
        self.parse("POST", path, Some(body), Duration::ZERO).await
    }

    pub(super) async fn parse<T: DeserializeOwned>(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        wait: Duration,
    ) -> Result<T, ClientError> {
        let bytes = self.call(method, path, body, wait).await?;
        serde_json::from_slice(&bytes).map_err(|source| ClientError::Form {
            node: self.node.clone(),
            what: format!("{method} {path}"),
            source,
        })
    }

    /// One request on a thread of its own, since the client blocks.
    pub(super) async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        wait: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let (client, path) = (self.clone(), path.to_owned());
        let request = move || client.call_blocking(method, &path, body.as_ref(), wait);
        tokio::task::spawn_blocking(request).await.map_err(|_| ClientError::Ending)?
    }

    fn call_blocking(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        wait: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let (node, what) = (self.node.clone(), format!("{method} {path}"));
        let unreachable = |source| ClientError::Unreachable {
            node: node.clone(),
            what: what.clone(),
            source: Box::new(source),
        };
        // What is not on the API's server is given in full.
        let url =
            if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        let answer = match body {
            Some(body) if method == "PUT" => {
                self.prepare(self.agent.put(url), wait).send_json(body)
            }
            Some(body) => self.prepare(self.agent.post(url), wait).send_json(body),
            None => self.prepare(self.agent.get(url), wait).call(),
        };
        let mut answer = answer.map_err(unreachable)?;
        let bytes =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(bytes);
        }
        let status = answer.status().as_u16();
        Err(ClientError::Status { node, what, status, detail: detail(&bytes) })
    }

    fn prepare<B>(
        &self,
        request: ureq::RequestBuilder<B>,
        wait: Duration,
    ) -> ureq::RequestBuilder<B> {
        let timeout = Some(TIMEOUT + wait);
        let request = request.config().timeout_global(timeout).build();
        match &self.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }
}

/// The reason in an error's body: the field `detail` of JSON, or the text itself.
fn detail(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Detail {
        detail: String,
    }
    match serde_json::from_slice::<Detail>(bytes) {
        Ok(body) => body.detail,
        Err(_) => String::from_utf8_lossy(bytes).chars().take(300).collect(),
    }
}
