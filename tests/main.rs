//! The tests through the front door: a real port, real tokens, one file per subject.

#![expect(clippy::expect_used, reason = "a test that can't go on says why")]

mod accounts;
mod architecture;
mod causes;
mod chat;
mod check_config;
mod contract;
mod documents;
mod emit;
mod emit_storage;
mod fields;
mod grants;
mod handshake;
mod idempotency;
mod ids;
mod inbound;
mod kill;
mod limits;
mod lists;
mod log;
mod many;
mod marketplace;
mod notifications;
mod notified;
mod origins;
mod payloads;
mod payments;
mod points;
mod polling;
mod presence;
mod rates;
mod replay;
mod rights;
mod roles;
mod rooms;
mod secrets;
mod shkeeper;
mod shkeeper_client;
mod stopping;
mod store;
mod support;
mod tokens;
mod upgrading;
mod users;
mod wire;
