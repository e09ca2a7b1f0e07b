//! Chat: conversations in both dialects. A conversation and a chat of the same id are one thing.

mod announcements;
mod between;
mod contacts;
pub mod documents;
mod emoji;
pub mod events;
mod happenings;
mod http;
mod lines;
mod personal;
mod prune;
mod requests;
mod retold;
mod rights;
mod service;
mod socket;
mod store;
mod typing;

pub use between::{Said, Talk, talk_between};
pub use contacts::{contacts_among, find_contacts, participants};
pub use http::routes;
pub use lines::Lines;
pub use personal::Personal;
pub use prune::prune_messages;
pub use retold::Retold;
pub use rights::{heard_after, memberships};
pub use service::ChatService;
pub use socket::commands;
pub use typing::Typing;
