//! One user against the release binary: what they may have, what they do, and what is kept of it.

pub mod bounds;
pub mod drive;
pub mod server;
mod socket;
mod work;
