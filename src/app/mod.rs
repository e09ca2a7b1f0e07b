//! The roof: everything is put together here, started, and stopped.

mod admission;
pub mod catalogue;
mod export;
mod greeting;
mod ground;
mod listeners;
mod nodes;
mod personal;
mod records;
mod rooms;
mod routes;
mod serve;
mod server;
mod store;
mod upkeep;

pub use self::{catalogue::events, export::export_user, serve::serve, server::App};
