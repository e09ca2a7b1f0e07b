//! What happened, told to backends: each kept event is a signed POST, at least once, in the order of its
//! stream (docs/contract/rest.md#webhooks).
//!
//! Each webhook has a courier, a task that reads the kept events in the order of all of them and calls the
//! backend for those that its patterns take: of each stream one at a time, several streams at once. Up to
//! the webhook's position everything has been delivered, or has a row. A delivery that fails gets one, and
//! its streams are held: what comes later in them gets a row, too, and waits for its turn there, so that
//! the position goes on for all others. Rows name events and not what they say: what was taken back
//! meanwhile is told without it.
//!
//! Who comes and goes is no kept event. Where a webhook wants to know, [`PresenceLog`] keeps it as one, in
//! a stream about that user which no socket hears.

mod courier;
mod delivery;
mod documents;
mod endpoint;
mod http;
mod presence;
mod requests;
mod service;
mod store;

pub use self::{http::routes, presence::PresenceLog, service::Webhooks};
