//! Purchase requests, the offers on them, their delivery, and checkouts over several of them.

pub mod documents;
pub mod events;
