//! The load generator: raw Engine.IO 4 and Socket.IO 5 over websockets and by polling, one thread,
//! one epoll.

pub mod backend;
pub mod chat;
pub mod client;
pub mod frame;
pub mod histogram;
pub mod interrupt;
pub mod polls;
pub mod swarm;
pub mod tally;
pub mod token;
pub mod writer;
