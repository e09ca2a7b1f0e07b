//! Users: tokens that are made for them and how these end, blocks, what backends tell of people, and all
//! that is kept of somebody, told or erased.
//!
//! Who is shut out is known to [`auth`](crate::auth), which every handshake and every call asks; this
//! room keeps it in the store, and has the sockets of those who are shut out closed. Whatever becomes
//! of a token goes through [`Users::apply`].

mod acting;
mod documents;
mod http;
mod lines;
mod names;
mod personal;
mod requests;
mod service;
mod store;

pub use acting::{acting, known};
pub use http::routes;
pub use lines::{BlockPart, ProfilePart, RevocationLine, UserPart, UserWalk};
pub use names::{KnownNames, Names};
pub use personal::Personal;
pub use service::{Change, Introduction, Revocation, Users, everything_of, introduce};
