//! What is said in conversations, once for each dialect (docs/contract/events.md#two-dialects).

pub mod conversation;
pub mod marketplace;
