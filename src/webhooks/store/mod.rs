//! The tables of webhooks.

pub(super) mod deliveries;
pub(super) mod online;
pub(super) mod progress;
pub(super) mod streams;
