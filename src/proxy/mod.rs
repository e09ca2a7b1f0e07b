//! The event proxy: events of an app's own are answered by a backend, which also says who may enter
//! rooms of its own (docs/contract/rest.md#event-proxy).
//!
//! [`Backend`] asks: signed, so many at once, for so long, and not at all for a while after failures in
//! a row. [`Proxy`] has the questions of clients asked and does what is answered, in this order: joins,
//! leaves, emits, acknowledgement. Who waits for a backend is the connection whose event it is, and
//! what came over it afterwards; nobody else.

mod answer;
mod backend;
mod breaker;
mod question;
mod rights;
mod service;

pub use self::{backend::Backend, service::Proxy};
