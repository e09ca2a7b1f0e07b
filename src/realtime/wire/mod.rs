//! The wire: our own accept loop, and the Socket.IO door behind it. What the engine does not check
//! is checked here, and it never sees more of a request than it needs.

mod accept;
mod answers;
mod attachments;
mod client_files;
mod door;
mod messages;
mod pace;
mod polling;
mod query;
mod refusal;
mod takeover;
mod websocket;

pub use accept::{Peer, serve};
pub(super) use attachments::MAX_ATTACHMENTS;
pub use client_files::{ClientFiles, NoClient};
pub use door::Door;
pub(super) use door::Setup;
pub(crate) use refusal::layer as refusals;
