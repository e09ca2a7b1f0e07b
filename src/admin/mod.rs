//! The operator's room, beside the roof: `/console`, a page for whoever looks after this server,
//! and what that page asks for that no room below answers; and `/`, a developer's first minute.

mod developer;
mod documents;
mod history;
mod http;
mod instrument;
mod playground;
mod requests;
mod service;
#[cfg(test)]
mod tests;

pub use self::{
    http::{console, routes},
    instrument::Instrument,
    service::Admin,
};
