//! Who may enter which room: one policy for every namespace and dialect
//! (docs/contract/events.md#who-may-enter-a-room).

pub mod events;
mod grants;
mod http;
mod lines;
mod personal;
mod rights;
mod service;
mod socket;
mod store;

pub use self::{
    grants::granted,
    http::routes,
    lines::GrantLine,
    personal::Personal,
    rights::{Entrant, Membership, Records},
    service::Access,
    socket::commands,
};
