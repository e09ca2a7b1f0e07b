//! Stoa: a realtime server in one binary that speaks Socket.IO.

pub mod app;
pub mod auth;
pub mod chat;
pub mod clock;
pub mod config;
pub mod error;
pub mod event;
pub mod http;
pub mod id;
pub mod marketplace;
pub mod metrics;
pub mod notifications;
pub mod payments;
pub mod points;
pub mod presence;
pub mod realtime;
pub mod room;
