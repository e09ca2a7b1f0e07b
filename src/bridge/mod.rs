//! The bridge: what the emitters of other backends publish in Redis, done as if it came by
//! `POST /api/emit` (docs/bridge.md). Those of Node and of Python are heard as they come, each by its own
//! form; what they ask is the same. Of all nodes that hear a message one takes it
//! ([`cluster`](crate::cluster)), here.

mod message;
mod msgpack;
mod node;
mod python;
mod rights;
mod service;
mod sockets;

pub use self::{service::Bridge, sockets::SocketCommands};
