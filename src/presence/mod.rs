//! Presence: who is here. A user is online while a connection of theirs is open; others hear of a
//! change once, after a moment in which it may undo itself: everyone, their contacts, or nobody
//! (docs/contract/events.md#presence).

mod announcer;
mod contacts;
pub mod events;
mod http;
mod nodes;
mod registry;
mod service;
mod socket;

pub use self::{
    announcer::Follower,
    contacts::{Circle, Contacts, Search},
    http::routes,
    registry::Status,
    service::Presence,
    socket::commands,
};
