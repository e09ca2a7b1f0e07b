//! The drill with a million rows: a store that is full, what its lists cost, and what others notice when
//! somebody is erased.

pub mod ask;
pub mod engine;
pub mod erase;
pub mod fill;
