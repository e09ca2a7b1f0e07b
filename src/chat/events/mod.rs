//! What is said in conversations, once for each dialect (contract/events.md, "Two dialects").

pub mod conversation;
pub mod marketplace;
