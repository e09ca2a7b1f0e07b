//! How a client connects, and why it does not.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// How a client connects.
#[derive(Clone)]
pub struct Options {
    pub(super) transport: Transport,
    pub(super) namespace: String,
    pub(super) protocol: u8,
    pub(super) auth: Value,
    pub(super) headers: HeaderMap,
    pub(super) query: String,
    pub(super) answer_pings: bool,
    pub(super) receive_buffer: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Transport {
    Websocket,
    Polling,
    Upgrade,
}

impl Options {
    /// Websocket from the start.
    pub fn websocket() -> Self {
        Self {
            transport: Transport::Websocket,
            namespace: "/".to_owned(),
            protocol: 4,
            auth: Value::Null,
            headers: HeaderMap::new(),
            query: String::new(),
            answer_pings: true,
            receive_buffer: None,
        }
    }

    /// Polling for good.
    pub fn polling() -> Self {
        Self { transport: Transport::Polling, ..Self::websocket() }
    }

    /// Polling, then websocket as soon as CONNECT is through: what browsers do by default.
    pub fn upgrade() -> Self {
        Self { transport: Transport::Upgrade, ..Self::websocket() }
    }

    /// The namespace to connect to; `/` unless said otherwise.
    pub fn namespace(mut self, path: &str) -> Self {
        path.clone_into(&mut self.namespace);
        self
    }

    /// The Engine.IO protocol: 4, or 3 as clients of the 2.x line speak it.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// The version of Engine.IO that it speaks.
    pub fn version(&self) -> u8 {
        self.protocol
    }

    /// `auth: {token}`
    pub fn token(self, token: &str) -> Self {
        self.auth(json!({ "token": token }))
    }

    /// The token where a client of this protocol shows it: in the auth object, or in a header.
    pub fn bearer(self, token: &str) -> Self {
        match self.protocol {
            3 => self.header("authorization", &format!("Bearer {token}")),
            _ => self.token(token),
        }
    }

    /// The auth object.
    pub fn auth(mut self, auth: Value) -> Self {
        self.auth = auth;
        self
    }

    /// A header on every request of the client.
    pub fn header(self, name: &'static str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    /// A header that need not be text.
    pub fn header_bytes(mut self, name: &'static str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).expect("a header's value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// One more pair in the query string.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query = format!("{}&{name}={value}", self.query);
        self
    }

    /// Leaves the server's pings without an answer.
    pub fn ignoring_pings(mut self) -> Self {
        self.answer_pings = false;
        self
    }

    /// Bytes that the kernel keeps for a client that does not read (websocket).
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }
}

/// Why a client is not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The request was answered with another status.
    #[error("HTTP {status}: {body}")]
    Http { status: u16, body: String },
    /// `connect_error`.
    #[error("{message}")]
    Refused { message: String },
    /// The connection ended first.
    #[error("closed: {0}")]
    Closed(String),
}

impl From<std::io::Error> for ConnectError {
    fn from(error: std::io::Error) -> Self {
        Self::Closed(error.to_string())
    }
}

impl From<reqwest::Error> for ConnectError {
    fn from(error: reqwest::Error) -> Self {
        Self::Closed(error.to_string())
    }
}
