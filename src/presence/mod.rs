//! Who is here.

pub mod events;
