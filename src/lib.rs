//! Stoa: a realtime server in one binary that speaks Socket.IO.

pub mod auth;
pub mod clock;
pub mod config;
pub mod error;
pub mod event;
pub mod id;
pub mod room;
