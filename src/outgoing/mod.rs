//! How backends are called: by URLs that lead where an operator says, with a client that follows
//! nothing and goes nowhere else, signed (docs/contract/rest.md#event-proxy and
//! docs/contract/rest.md#webhooks).

mod client;
mod network;
mod place;
mod request;

pub use self::{
    client::client,
    network::Network,
    place::Place,
    request::{Unread, read, signed},
};
