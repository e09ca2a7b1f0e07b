//! A CONNECT as the engine hands it on.

use std::sync::Arc;

use socketioxide::{
    adapter::LocalAdapter,
    handler::{FromConnectParts, Value},
    socket::Socket,
};

use crate::realtime::link::Link;

/// A CONNECT over the engine: its socket and the client's `auth`.
pub(super) struct Opening {
    pub(super) socket: Arc<Socket>,
    pub(super) auth: Option<Value>,
}

impl Opening {
    /// The link under it, which came with the request.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.socket.req_parts().extensions.get::<Arc<Link>>().cloned()
    }
}

/// What a client shows, as JSON.
pub(super) fn text_of(auth: &Value) -> Option<&str> {
    match auth {
        Value::Str(auth, _) => Some(auth.as_str()),
        Value::Bytes(_) => None,
    }
}

impl FromConnectParts<LocalAdapter> for Opening {
    type Error = std::convert::Infallible;

    fn from_connect_parts(socket: &Arc<Socket>, auth: &Option<Value>) -> Result<Self, Self::Error> {
        Ok(Self { socket: socket.clone(), auth: auth.clone() })
    }
}
