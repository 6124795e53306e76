//! The one HTTP client of the command line: blocking, with the node's bearer token.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, BodyReader};
use zeroize::Zeroizing;

use super::{CliError, NodeArgs};
use crate::chat::Token;
use crate::chat::api::types::ErrorBody;

/// How long a node on the same machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole request may take; commands are answered after one synced write.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stream may go on before it is opened again: one that nobody reads any more ends then.
const STREAM_TIMEOUT: Duration = Duration::from_secs(3600);
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

    /// `DELETE /chat/v1{path}`.
    pub(super) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let request =
            self.agent.delete(self.url(path)).header("Authorization", self.authorization.as_str());
        self.read(request.call())
    }

    /// `GET /chat/v1{path}` for an answer without an end; `last` is where it begins.
    pub(super) fn stream(
        &self,
        path: &str,
        last: Option<u64>,
    ) -> Result<BodyReader<'static>, CliError> {
        let mut request =
            self.agent.get(self.url(path)).header("Authorization", self.authorization.as_str());
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let request = request
            .config()
            .timeout_global(None)
            .timeout_recv_response(Some(TIMEOUT))
            .timeout_recv_body(Some(STREAM_TIMEOUT))
            .build();
        let answer = request.call();
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(answer.into_body().into_reader()),
            other => match self.read::<Value>(other) {
                Ok(_) => Err(self.not_the_api(200)),
                Err(error) => Err(error),
            },
        }
    }

    /// What answers is not this API.
    pub(super) fn not_the_api(&self, status: u16) -> CliError {
        CliError::NotTheApi { node: self.node.clone(), status }
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
        let other = || self.not_the_api(status);
        let bytes =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(unreachable)?;
        if !answer.status().is_success() {
            let body: ErrorBody = serde_json::from_slice(&bytes).map_err(|_| other())?;
            return Err(self.refused(body));
        }
        if bytes.is_empty() {
            return serde_json::from_value(Value::Null).map_err(|_| other());
        }
        serde_json::from_slice(&bytes).map_err(|_| other())
    }

    fn refused(&self, body: ErrorBody) -> CliError {
        let (node, path) = (self.node.clone(), self.token_file.clone());
        match body.code.as_str() {
            "wrong-token" | "no-token" => CliError::TokenRefused { node, path },
            "expired-token" => CliError::TokenExpired { path },
            "scope" => CliError::TokenScope { detail: body.detail, path },
            _ => {
                let ErrorBody { code, detail, oldest, .. } = body;
                CliError::Refused { code, detail, oldest }
            }
        }
    }
}
