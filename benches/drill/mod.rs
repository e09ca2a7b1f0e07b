//! The drill with a million rows: a store that is full, and what its lists cost.

pub mod ask;
pub mod engine;
pub mod fill;
