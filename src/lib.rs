//! Stoa: a realtime server in one binary that speaks Socket.IO. Web apps in production connect
//! unchanged; backends call REST, and the right sockets hear of it.
//!
//! # Floors
//!
//! A room is a folder for one subject. It uses the floors below it, never a neighbour, never above;
//! `tests/architecture.rs` keeps that true.
//!
//! ```text
//! src/main.rs, src/cli/   verbs: serve · check-config · token · events · migrate · emit ·
//!                         healthcheck
//! src/app/                roof: builds everything, the route table, the catalogue, shutdown
//! src/admin/              beside the roof: the operator's page, and what it asks of this node
//! src/payments/           floor 6: payments and payouts; shkeeper/ speaks to the provider
//! src/accounts/           floor 6: people who sign up and sign in here
//! src/chat/ marketplace/  floor 5
//! src/presence/ access/   floor 4: who is here; who may enter which room
//! src/users/              tokens for others, the end of tokens, who is who
//! src/notifications/ points/          what users are told and earn; rooms above ask in their units
//! src/realtime/           floor 3: wire/ · lane/ · connection · inbound (one door in) · hub/ ·
//!                         emitter (one door out) · catalogue/
//! src/idempotency/        floor 2: a POST that is sent again is not done again
//! src/personal.rs         what is kept of somebody, told or erased; each room brings its part
//! src/auth/ db/ http/ metrics.rs limits/                    floor 1
//! src/config/ error.rs event.rs stream.rs clock.rs id.rs log_limit.rs money.rs origin.rs room.rs
//! text.rs                                                                         floor 0
//! ```
//!
//! A room has the same furniture everywhere: `mod.rs` (what it does), `events.rs` (its wire events,
//! declared once with [`events!`]), `http.rs` (routes), `socket.rs` (what clients may ask by event),
//! `happenings.rs` (what users are notified of), `personal.rs` (what it keeps of people).
//!
//! # One event's journey
//!
//! 1. **In.** [`realtime::wire`] accepts the connection and serves HTTP on it. For a REST request it
//!    is found once who calls, and whether they ask too fast (`app/admission`). A request to
//!    `/socket.io/` goes to the [`realtime::wire::Door`], which checks origin, version and how many
//!    sockets the address holds. A websocket is taken over whole: its write side becomes a *lane*,
//!    and the engine (socketioxide) gets a stream whose writes pass through that lane. The handshake
//!    verifies the token, which [`users`] may have revoked, and makes a [`realtime::Connection`].
//!    From then on one handler receives every event of it, in order, in the reader's task: table
//!    look-up by name → limits → the connection's queue → typed payload → command. It always
//!    acknowledges.
//! 2. **Do.** A command asks [`access`] whether the connection may enter a room, tells [`presence`]
//!    or [`chat`] what it wants; a REST handler calls the same services, or those of the
//!    [`marketplace`] and of [`payments`], and a payment provider's callback does too.
//! 3. **Keep.** What is to last is done in one unit of work of the [`db::Db`]: its rows and the
//!    events that it announces are committed together, each event with the next number of its
//!    [`stream`]. After the commit, and only then, the store hands them on in the order of their
//!    numbers. A unit that fails leaves nothing behind. The compiler has what is [`event::Kept`] come
//!    this way, and what is [`event::Ephemeral`] go straight to the emitter.
//! 4. **Out.** The [`realtime::Emitter`] decides who hears it (`EVENT_AUDIENCE`) and hands it to the
//!    [`realtime::Hub`], whose shards own the rooms of their connections. It is encoded once for
//!    each namespace and the same bytes are written to every member's lane. Joins,
//!    acknowledgements and broadcasts of a connection go through one queue, so what a client hears
//!    after a join's acknowledgement was sent after it.
//!
//! Polling sessions go through the engine's own queue until they change to a websocket; the hub
//! then puts a marker into that queue and goes on over the lane when the marker comes by.

pub mod access;
pub mod accounts;
pub mod admin;
pub mod app;
pub mod auth;
pub mod chat;
pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod event;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod limits;
pub mod log_limit;
pub mod marketplace;
pub mod metrics;
pub mod money;
pub mod notifications;
pub mod origin;
pub mod payments;
pub mod personal;
pub mod points;
pub mod presence;
pub mod realtime;
pub mod room;
pub mod stream;
pub mod text;
pub mod users;
