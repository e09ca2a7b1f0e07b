//! Stoa: a realtime server in one binary that speaks Socket.IO.

pub mod clock;
pub mod config;
pub mod error;
pub mod event;
pub mod http;
pub mod id;
pub mod metrics;
pub mod room;
