//! The official Admin UI of Socket.IO (npm's `@socket.io/admin-ui` 0.5, whose server side is called
//! `instrument`): an operator signs in to the namespace `/admin`, sees this node and its sockets, and acts
//! on them (docs/operating.md#the-admin-ui).

mod actions;
mod desk;
mod documents;
mod login;
mod news;
mod others;
mod stats;

pub use self::desk::Instrument;
