//! The tests through the front door: a real port, real tokens, one file per subject.

#![expect(clippy::expect_used, reason = "a test that can't go on says why")]

mod architecture;
mod chat;
mod emit;
mod handshake;
mod inbound;
mod presence;
mod rooms;
mod stopping;
mod store;
mod support;
mod wire;
