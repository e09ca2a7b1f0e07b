//! The realtime floor: the wire, connections and their rooms, one door in
//! ([`Commands`]) and one door out ([`Emitter`]).
//!
//! | file | what it is |
//! |---|---|
//! | `wire/` | accepts connections; checks what asks for `/socket.io/`; what comes by long-polling and by websocket |
//! | `lane/`, `heartbeats` | the write side of a websocket; who is pinged when |
//! | `packet`, `payload` | what comes over a websocket, and bodies of polling, taken apart |
//! | `link`, `polls` | one Engine.IO session, under its connections; what waits for its polls |
//! | `engine` | the engine of those who poll, asked over HTTP |
//! | `connection/` | one Socket.IO socket: its owner, its rooms; what all of them have |
//! | `session`, `expiries`, `disconnect`, `single_flight` | the handshake, the end of a connection, the ends of tokens |
//! | `deadlines` | whose token ends when |
//! | `commands`, `elsewhere`, `inspector`, `inbound`, `queue` | what clients ask, in order, answered once |
//! | `hub/`, `seats` | rooms and fan-out, in shards, of members by number |
//! | `sockets` | the connections that those numbers are |
//! | `replay` | joining a room with what was missed of it |
//! | `recovery/`, `restore` | sessions that last; what who comes back finds again |
//! | `why/` | whether somebody heard an event |
//! | `watch` | what happens here, for whoever looks |
//! | `listed` | sockets as operators ask for them |
//! | `live`, `tail` | events as they are sent, for operators who listen |
//! | `census` | rooms, who is in them, and sockets, over all nodes |
//! | `emitter`, `soft`, `emit_service`, `http` | what the application sends, what other nodes' sockets hear of it, what is kept of it, REST over it |
//! | `events`, `catalogue/` | the events of a session, and all events of all rooms |

pub mod catalogue;
mod census;
mod commands;
mod connection;
mod deadlines;
mod disconnect;
mod drain;
mod elsewhere;
mod emit_service;
mod emitter;
mod engine;
pub mod events;
mod expiries;
mod frame;
mod heartbeats;
mod http;
mod hub;
mod inbound;
mod inspector;
mod lane;
mod link;
mod listed;
mod live;
mod names;
mod packet;
pub(crate) mod payload;
mod polls;
mod queue;
mod recovery;
mod replay;
mod restore;
mod seats;
mod session;
mod single_flight;
mod sockets;
mod soft;
mod tail;
#[cfg(test)]
mod tests;
mod watch;
mod why;
pub mod wire;

use std::{
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
};

use serde_json::value::RawValue;
use socketioxide::{ParserConfig, SocketIo};

pub use self::{
    catalogue::Catalogue,
    commands::{Commands, Unanswered},
    connection::Connection,
    elsewhere::{Elsewhere, ForeignEvent},
    emit_service::EmitService,
    emitter::{Emitter, ExternalEvent, Target, heard_by},
    frame::Outgoing,
    http::{MAX_ARGUMENTS, MAX_TARGETS, read_emit, routes},
    hub::{Bundle, Hub, Part, Picks, RoomMember, RoomSize},
    inspector::Inspector,
    live::{LiveEvent, LiveFilter, LiveNews, LiveOutcome},
    recovery::{Personal, Recovery, Rights, prune_past},
    replay::{JoinRequest, join_with_replay},
    session::Observer,
    sockets::Sockets,
    tail::Tail,
    watch::{Carrier, Happening, Noted, Seen, Traffic, Watch},
};
use self::{
    census::Census,
    connection::{Context, Times},
    events::{ClosingReason, SessionClosing},
    heartbeats::Heartbeats,
    lane::Tolerance,
    live::Live,
    seats::Seats,
    session::Lifecycle,
    wire::{Door, MAX_ATTACHMENTS, Setup},
};
use crate::{
    auth::Verifier,
    clock::Clock,
    cluster::Cluster,
    config::Config,
    event::ByNamespace,
    limits::{CallerRates, PacketLimit},
    origin::OriginPolicy,
    tasks::Tasks,
};

/// Packets that may wait in the engine for one polling client.
const ENGINE_BUFFER: usize = 256;

/// The realtime floor, put together. Cheap to clone.
#[derive(Clone)]
pub struct Realtime {
    io: SocketIo,
    sockets: Sockets,
    door: Door,
    emitter: Emitter,
    census: Census,
    lifecycle: Arc<Lifecycle>,
}

impl Realtime {
    /// Starts the hub and the engine; nobody is let in before [`Realtime::listen`].
    #[must_use]
    pub fn start(
        config: &Config,
        catalogue: Arc<Catalogue>,
        verifier: Verifier,
        origins: OriginPolicy,
        clock: Clock,
        callers: CallerRates,
        tasks: &Tasks,
    ) -> Self {
        let realtime = &config.realtime;
        let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shards = if realtime.shards == 0 { workers } else { realtime.shards };
        let (rooms, pending) = (realtime.max_rooms_per_connection, realtime.max_pending_bytes);
        let watch = Watch::default();
        let hub = Hub::start(tasks, shards, rooms, pending, &watch);
        let payload = config.server.max_payload_bytes;
        let parser = ParserConfig::common()
            .max_incoming_binaries(MAX_ATTACHMENTS)
            .max_incoming_binary_buf_size(payload)
            .packet_completion_timeout(realtime.connect_timeout);
        let (engine, io) = SocketIo::builder()
            .with_parser(parser)
            .ping_interval(realtime.ping_interval)
            .ping_timeout(realtime.ping_timeout)
            .connect_timeout(realtime.connect_timeout)
            .max_buffer_size(ENGINE_BUFFER)
            .max_payload(payload as u64)
            .build_svc();
        let farewell = Outgoing::of(&SessionClosing::because(ClosingReason::SlowConsumer));
        let tolerance = Tolerance {
            max_pending_bytes: realtime.max_pending_bytes,
            max_payload_bytes: payload,
            stall_timeout: realtime.stall_timeout,
            farewell: ByNamespace::new(|namespace| farewell.frame(namespace).clone()),
            packets: PacketLimit::new(&config.limits, clock.clone()),
            tasks: tasks.clone(),
            watch: watch.clone(),
        };
        let live = Live::new(clock.clone());
        let context = Arc::new(Context {
            hub: hub.clone(),
            seats: Seats::new(shards),
            heartbeats: Heartbeats::start(
                tasks,
                shards,
                realtime.ping_interval,
                realtime.ping_timeout,
            ),
            times: Times { connect: realtime.connect_timeout, upgrade: realtime.upgrade_timeout },
            clock,
            tasks: tasks.clone(),
            limits: config.limits.clone(),
            callers,
            verifier,
            catalogue: catalogue.clone(),
            audience: realtime.event_audience,
            queue_length: realtime.queue_length,
            max_pending_bytes: realtime.max_pending_bytes,
            recovery: OnceLock::new(),
            leeway: config.auth.leeway,
            hooks: OnceLock::new(),
            watch,
        });
        let sockets = Sockets::new(context.clone());
        let lifecycle = Lifecycle::new(context.clone(), config);
        let door = Door::new(Setup { engine, context, origins, tolerance, config });
        let emitter = Emitter::new(hub.clone(), catalogue, realtime.event_audience, live);
        let census = Census::new(sockets.clone());
        Self { io, sockets, door, emitter, census, lifecycle }
    }

    /// Has what is not kept sent to the sockets of other nodes, too. Before anything is sent.
    #[must_use]
    pub fn among(mut self, cluster: Option<Cluster>) -> Self {
        self.census.cluster.clone_from(&cluster);
        self.emitter.cluster = cluster;
        self
    }

    /// Has sessions kept, and who comes back enters the rooms that these rights let them into. Before
    /// [`Realtime::listen`].
    pub fn recover(&self, recovery: Recovery, rights: Arc<dyn Rights>) {
        // Called once, when the application is put together.
        let _ = self.lifecycle.rights.set(rights);
        let _ = self.lifecycle.context.recovery.set(recovery);
    }

    /// Opens the namespaces: these commands are heard, these observers hear of connections.
    ///
    /// # Errors
    /// [`Unanswered`] when an event of the catalogue has no command, or a command no event.
    pub fn listen(
        &self,
        commands: Commands,
        observers: Vec<Arc<dyn Observer>>,
    ) -> Result<(), Unanswered> {
        commands.check(&self.lifecycle.context.catalogue)?;
        self.lifecycle.listen(&self.io, commands, observers);
        Ok(())
    }

    /// Answers `/socket.io/`.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Sends events.
    #[must_use]
    pub fn emitter(&self) -> &Emitter {
        &self.emitter
    }

    /// What this node answers another that asks who is in its rooms; nothing to any other question.
    pub async fn answer(&self, question: &RawValue) -> Option<Box<RawValue>> {
        self.census.answer(question).await
    }

    /// Rooms and who is in them.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        self.sockets.hub()
    }

    /// Who is connected.
    #[must_use]
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }
}
