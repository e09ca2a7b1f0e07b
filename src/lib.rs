//! Stoa: a realtime server in one binary that speaks Socket.IO. Web apps in production connect
//! unchanged; backends call REST, and the right sockets hear of it.
//!
//! # Floors
//!
//! A room is a folder for one subject. It uses the floors below it, never a neighbour, never above;
//! `tests/architecture.rs` keeps that true.
//!
//! ```text
//! src/main.rs, src/cli/   verbs: serve · check-config · token · events · migrate · restored · backup ·
//!                         export · import · emit · rooms · users · tail · why · disconnect · observe ·
//!                         healthcheck · doctor · completions
//! src/app/                roof: builds everything, the route table, the catalogue, shutdown
//! src/admin/              beside the roof: the operator's page, and what it asks of this node
//! src/observe/            beside the roof: stands before another server, and tells what would change
//! src/import/             beside the roof: lines of files, into the store and out of it
//! src/payments/           floor 7: payments and payouts; shkeeper/ speaks to the provider
//! src/accounts/           floor 7: people who sign up and sign in here
//! src/chat/ marketplace/  floor 6
//! src/proxy/ bridge/      floor 6: what clients ask of another backend; what its emitters publish
//! src/presence/ access/   floor 5: who is here; who may enter which room
//! src/users/              tokens for others, the end of tokens, who is who
//! src/notifications/ points/          what users are told and earn; rooms above ask in their units
//! src/realtime/           floor 4: wire/ · lane/ · connection · inbound (one door in) · hub/ ·
//!                         emitter (one door out) · catalogue/
//! src/moving.rs           floor 4: what a store has, as lines; each room brings its own
//! src/idempotency/        floor 3: a POST that is sent again is not done again
//! src/personal.rs         what is kept of somebody, told or erased; each room brings its part
//! src/cluster/            floor 2: the other nodes, by way of Redis
//! src/auth/ db/ rest/ limits/ batch.rs
//! src/tasks.rs traces/    floor 1: where every task begins; what one request led to
//! src/config/ control.rs error.rs event/ stream.rs notice.rs clock.rs id.rs log_limit.rs metrics/ money.rs
//! origin.rs outgoing/ room.rs signature.rs text.rs                                             floor 0
//! ```
//!
//! # Furniture
//!
//! A room has the same furniture everywhere: a file each, or a folder of that name where it is long.
//! One that needs less has less.
//!
//! ```text
//! mod             what the room is, and what others may use of it
//! documents       things as clients see them, in answers and in events
//! requests        what callers ask, and the rules of its fields
//! events          its events on the wire, declared once with `events!`
//! announcements   what happened, as those events, with who hears them
//! service         the rules: each method is one unit of work
//! store           its SQL, and nothing else
//! rights          who belongs here, from what is stored
//! http            its routes: extract, call the service, wrap
//! socket          what clients may ask by event: the same service
//! happenings      what users are notified of
//! personal        what it keeps of people, to be told to them or erased
//! lines           all that it keeps, as lines that another store takes in
//! ```
//!
//! What clients see and ask is the ground of a room; its store, what it announces and tells stand on
//! that, its rights on the store, its service on all of these, and who asks the service above. What
//! is the subject of one room alone has a file of its own (`chat/typing`, `marketplace/moves`).
//! `tests/architecture/furniture.rs` keeps that true.
//!
//! # Words
//!
//! Words are the field's wherever it has one. Ours, and those that have two meanings elsewhere:
//!
//! - *room*: a folder of `src/`, in talk of the house; what sockets join is a [`room::Room`].
//! - *dialect*: the names of one family of clients for what happens; a *twin* is the same event in the
//!   other one.
//! - *link*: one Engine.IO session, under its connections, one for each namespace.
//! - *lane*: the write side of a websocket.
//! - *outlet*: where a connection's frames go: into a lane, or to where they wait for a poll.
//! - *seat*: the number by which a shard of the hub knows a connection, whose *slot* stands there.
//! - *unit*: a unit of work, which is committed as a whole; its *companion* is written along with it.
//! - *portion*: as much of something long as is read or written at once.
//! - *to shut out*: to revoke tokens, or to block a user, with all that follows for open sockets.
//!
//! # One event's journey
//!
//! 1. **In.** [`realtime::wire`] accepts the connection and serves HTTP on it. For a REST request it
//!    is found once who calls, and whether they ask too fast (`app/admission`). A request to
//!    `/socket.io/` goes to the [`realtime::wire::Door`], which checks origin, version and how many
//!    sockets the address holds. Where a connection begins with a websocket's, the door reads and
//!    answers it without HTTP's machinery. A websocket is taken over whole: a task of its own reads what comes,
//!    its write side becomes a *lane*. The handshake verifies the token, which [`users`] may have
//!    revoked, and makes a [`realtime::Connection`].
//!    From then on one handler receives every event of it, in order, in the reader's task: table
//!    look-up by name → limits → the connection's queue → typed payload → command. It always
//!    acknowledges.
//! 2. **Do.** A command asks [`access`] whether the connection may enter a room, tells [`presence`]
//!    or [`chat`] what it wants; a REST handler calls the same services, or those of the
//!    [`marketplace`] and of [`payments`], and a payment provider's callback does too. What no room
//!    declares, a backend may answer: the [`proxy`] asks it. What a backend's emitter publishes in Redis
//!    the [`bridge`] sends as what comes over REST.
//! 3. **Keep.** What is to last is done in one unit of work of the [`db::Db`]: its rows and the
//!    events that it announces are committed together, each event with the next number of its
//!    [`stream`] and a position in the order of all; of one that shows what a row has, that row's name
//!    alone is kept ([`db::Retell`]). After the commit, and only then, the store's tail
//!    hands them on, also what other processes committed. A unit that fails leaves nothing behind. The compiler has what is [`event::Kept`] come
//!    this way, and what is [`event::Ephemeral`] go straight to the emitter.
//! 4. **Out.** The [`realtime::Emitter`] decides who hears it (`EVENT_AUDIENCE`) and hands it to the
//!    [`realtime::Hub`], whose shards own the rooms of their connections. It is encoded once for
//!    each namespace and the same bytes are written to every member's lane. Joins,
//!    acknowledgements and broadcasts of a connection go through one queue, so what a client hears
//!    after a join's acknowledgement was sent after it.
//!
//! Backends are told of the same events by their [`webhooks`], from the store, each at its own pace.
//!
//! Polling sessions are the engine's (socketioxide): their opening, their CONNECTs, their pings. What one
//! hears waits with it and goes into the next answer, past the engine. When it changes to a websocket
//! the engine's last answers are told over that, then its connections go on there and the engine lets
//! go of the session.
//!
//! # What is always so
//!
//! - Nobody hears of what is not on the disk. A unit of work keeps its rows and its events together
//!   or nothing; its events go out after the commit, in the order of their numbers. Only what is
//!   declared `ephemeral` (typing, presence, sessions) passes the store by.
//! - The numbers of a stream have no hole. What can't be replayed any more is said, never left out.
//! - An event of a client is acknowledged once, whatever becomes of it. Those of a connection are done
//!   in the order in which they came, and what it hears after a join was sent after it.
//! - One door in (`realtime::inbound`), one door out (`realtime::Emitter`): nobody else reads a
//!   client's event or writes to a socket.
//! - A name on the wire stands in one `events.rs`. From there come the catalogue, its documents, and
//!   the snapshot of the wire; `docs/contract/` is tested against it.
//! - REST and events call the same service, and a service trusts neither: who calls is in its
//!   arguments, and what the caller may not know of is answered as what is not there.
//! - What has begun to change something goes to its end, even when its caller hangs up.
//! - A task begins in [`tasks`] and nowhere else: it has a name, is ended or waited for when the server
//!   stops, and a panic of one is logged and counted.
//! - Every queue, buffer, list and wait has an end, which is configured and told (`docs/limits.md`).
//!   Who is too slow is closed; nobody waits for them.
//! - Each SQL text runs on both engines and finds its rows by an index (`tests/store/plans.rs`).
//! - Time comes from [`clock`], ids from [`id`], amounts are exact decimals ([`money`]).
//! - No token, text, body or socket id is logged; a failure is logged once, at the door.
//!
//! # What is not here, on purpose
//!
//! - No `unsafe`, and no global state but what bounds the log ([`log_limit`]), counts the metrics and says whether
//!   there are [`traces`]:
//!   the roof hands everything down.
//! - No rooms in the engine, and none of its broadcasts: socketioxide speaks the protocol of those who
//!   poll, the hub knows who is where.
//! - No trait but where two things are asked alike, or a floor asks those above it through the roof; no
//!   mapper between rows and objects, no query builder.
//! - No queue of jobs: what goes on after an answer is a row that is looked for (an erasure, a payout
//!   under way), so that a restart goes on with it.
//! - No bus for what is kept: a node reads another's commits from the store, in their order, with what
//!   follows from them for its own sockets ([`control`]). What may be lost, and who is here, goes through
//!   Redis ([`cluster`]).
//! - No passing on between rooms of a floor: who needs both lies above, or asks through the roof
//!   (`app/records.rs`).
//! - No module for what has no subject: no `utils`, `helpers`, `common`.

#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod access;
pub mod accounts;
pub mod admin;
pub mod app;
pub mod auth;
pub mod batch;
pub mod bridge;
pub mod chat;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod control;
pub mod db;
pub mod error;
pub mod event;
pub mod id;
pub mod idempotency;
pub mod import;
pub mod limits;
pub mod log_limit;
pub mod marketplace;
pub mod metrics;
pub mod money;
pub mod moving;
pub mod notice;
pub mod notifications;
pub mod observe;
pub mod origin;
pub mod outgoing;
pub mod payments;
pub mod personal;
pub mod points;
pub mod presence;
pub mod proxy;
pub mod realtime;
pub mod rest;
pub mod room;
pub mod signature;
pub mod stream;
pub mod tasks;
pub mod text;
pub mod traces;
pub mod users;
pub mod webhooks;
