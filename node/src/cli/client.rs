//! The one HTTP client of the command line: blocking, with the node's bearer token.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::{CliError, NodeArgs};
use crate::chat::Token;
use crate::chat::api::types::ErrorBody;

/// How long a node on the same machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole request may take; commands are answered after one synced write.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes: a page of messages of the greatest length.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// A client of one node's `/chat/v1`. It holds the token: no `Debug`.
pub(super) struct Client {
    agent: Agent,
    node: String,
    token_file: PathBuf,
    authorization: Zeroizing<String>,
}

impl Client {
    /// Reads the token; does not connect yet.
    pub(super) fn new(args: &NodeArgs) -> Result<Self, CliError> {
        let path = args.token_path();
        let text = fs::read_to_string(&path)
            .map(Zeroizing::new)
            .map_err(|source| CliError::TokenFile { path: path.clone(), source })?;
        let token = Token::parse(&text).ok_or(CliError::NotAToken { path: path.clone() })?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The token goes to the node that was named and nowhere else.
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            node: args.node.trim_end_matches('/').to_owned(),
            token_file: path,
            authorization: Zeroizing::new(format!("Bearer {}", token.reveal().as_str())),
        })
    }

    /// `GET /chat/v1{path}`.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let request =
            self.agent.get(self.url(path)).header("Authorization", self.authorization.as_str());
        self.read(request.call())
    }

    /// `POST /chat/v1{path}`.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        let request =
            self.agent.post(self.url(path)).header("Authorization", self.authorization.as_str());
        self.read(request.send_json(body))
    }

    /// `PUT /chat/v1{path}`.
    pub(super) fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        let request =
            self.agent.put(self.url(path)).header("Authorization", self.authorization.as_str());
        self.read(request.send_json(body))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/chat/v1{path}", self.node)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<T, CliError> {
        let unreachable =
            |source| CliError::Unreachable { node: self.node.clone(), source: Box::new(source) };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let other = || CliError::NotTheApi { node: self.node.clone(), status };
        let bytes =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(unreachable)?;
        if status == 401 {
            return Err(CliError::TokenRefused {
                node: self.node.clone(),
                path: self.token_file.clone(),
            });
        }
        if !answer.status().is_success() {
            let body: ErrorBody = serde_json::from_slice(&bytes).map_err(|_| other())?;
            return Err(CliError::Refused { code: body.code, detail: body.detail });
        }
        if bytes.is_empty() {
            return serde_json::from_value(Value::Null).map_err(|_| other());
        }
        serde_json::from_slice(&bytes).map_err(|_| other())
    }
}
