//! The marketplace: purchase requests, offers, delivery, checkouts.

pub mod documents;
pub mod events;
mod socket;

pub use socket::commands;
