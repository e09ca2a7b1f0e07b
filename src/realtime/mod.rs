//! The engine room: what every socket shares, whatever the subject.

pub mod catalogue;
pub mod events;
