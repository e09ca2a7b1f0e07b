//! The operator's room, beside the roof: `/console`, a page for whoever looks after this server,
//! and what that page asks for that no room below answers; and `/`, a developer's first minute.

mod developer;
mod documents;
mod history;
mod http;
mod instrument;
mod nodes;
mod playground;
mod requests;
mod sale;
mod secrets;
mod service;
mod storage;
#[cfg(test)]
mod tests;

pub use self::{
    http::{console, live_routes, routes, sale_routes, store_routes},
    instrument::Instrument,
    sale::Sales,
    service::Admin,
    storage::Storage,
};
