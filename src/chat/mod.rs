//! Chat: conversations in both dialects. A conversation and a chat of the same id are one thing.

pub mod documents;
pub mod events;
mod socket;
mod typing;

pub use socket::commands;
pub use typing::Typing;
