//! Conversations and their messages.

pub mod documents;
pub mod events;
