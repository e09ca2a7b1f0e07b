//! The check of this floor from end to end: a real port, and clients that take the bytes apart by
//! themselves, so that a broken frame is seen. What decides is what arrives, never how fast.

mod blocked;
mod client;
mod counted;
mod namespaces;
mod order;
mod polling;
mod storm;
mod upgrading;
mod websockets;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::any};
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use tokio::{
    net::TcpSocket,
    sync::{Semaphore, watch},
};
use utoipa::ToSchema;

use super::{Catalogue, Commands, Connection, Emitter, Realtime, events::Done, wire};
use crate::{
    auth::{Authenticator, Minter, NewToken, Roles},
    clock::Clock,
    config::{Config, Handshake},
    error::Result,
    event::{ByNamespace, Namespace},
    events,
    limits::CallerRates,
    room::Room,
    tasks::Tasks,
};

/// How long anything may take before a test fails: for what hangs, not for what is slow.
const DEADLINE: Duration = Duration::from_secs(20);

events! {
    server(Both) {
        /// One of a series.
        TOLD: "check:told", Told, ephemeral, to "a room";
    }
    client(Both) {
        /// Enters a room.
        JOIN: "check:join", Room => Done, rate Join;
        /// Leaves a room.
        LEAVE: "check:leave", Room => Done, rate Join;
        /// Tells a room, then acknowledges.
        SAY: "check:say", Say => u64, rate Message;
        /// Acknowledges when the test opens the gate.
        WAIT: "check:wait", u64 => u64, rate Other;
        /// Acknowledges a moment later.
        PAUSE: "check:pause", u64 => u64, rate Other;
    }
}

/// One of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
struct Told {
    number: u64,
    padding: String,
}

/// Asks the server to tell a room.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Say {
    #[schema(value_type = String)]
    room: Room,
    number: u64,
    padding: String,
}

/// What should not have been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Violation {
    /// Bytes that are not a whole frame of a server's.
    Frame(String),
    /// A frame that is not what was to come.
    Order(String),
    /// Something did not come, or the connection ended.
    Lost(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

type Seen<T> = std::result::Result<T, Violation>;

type Gates = Arc<ByNamespace<Semaphore>>;

/// A server without REST, and with commands of its own.
struct Server {
    address: SocketAddr,
    realtime: Realtime,
    /// What `check:wait` waits for, in each namespace.
    gates: Gates,
    stop: watch::Sender<bool>,
}

impl Server {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_tests();
        config.auth.handshake = Handshake::Trusting;
        config.limits.enabled = false;
        config.realtime.shards = 3;
        change(&mut config);
        let clock = Clock::system();
        let origins = config.origin_policy().expect("origins");
        let authenticator = Authenticator::new(&config.auth, origins.clone(), clock.clone());
        let verifier = authenticator.expect("keys").verifier().clone();
        let catalogue = Arc::new(Catalogue::new(&[EVENTS]).expect("a catalogue"));
        let callers = CallerRates::new(&config.limits);
        let realtime = Realtime::start(
            &config,
            catalogue,
            verifier,
            origins,
            clock,
            callers,
            &Tasks::default(),
        );
        let gates: Gates = Arc::new(ByNamespace::new(|_| Semaphore::new(0)));
        let commands = commands(realtime.emitter(), &gates);
        realtime.listen(commands, Vec::new()).expect("a command for each event");
        // Accepted sockets inherit it: with a small one the kernel takes writes in parts.
        let socket = TcpSocket::new_v4().expect("a socket");
        SockRef::from(&socket).set_send_buffer_size(16 * 1024).expect("a buffer");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = socket.listen(1024).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let router = Router::new()
            .route("/socket.io/", any(wire::Door::handle))
            .with_state(realtime.door().clone());
        let (stop, stopping) = watch::channel(false);
        let door = realtime.door().clone();
        tokio::spawn(wire::serve(listener, router, Some(door), config, stopping));
        Self { address, realtime, gates, stop }
    }

    /// Lets so many `check:wait` of a namespace pass.
    fn open_gate(&self, namespace: Namespace, permits: usize) {
        self.gates[namespace].add_permits(permits);
    }

    /// Tells a room.
    fn tell(&self, room: &Room, number: u64, padding: &str) {
        let told = Told { number, padding: padding.to_owned() };
        self.realtime.emitter().emit_to_room(room.clone(), &told);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn commands(emitter: &Emitter, gates: &Gates) -> Commands {
    let mut commands = Commands::default();
    commands.on(JOIN, &(), join);
    commands.on(LEAVE, &(), leave);
    commands.on(SAY, emitter, say);
    commands.on(WAIT, gates, wait);
    commands.on(PAUSE, &(), pause);
    commands
}

async fn join((): (), connection: Arc<Connection>, room: Room) -> Result<Done> {
    connection.join(room)?;
    Ok(Done::default())
}

async fn leave((): (), connection: Arc<Connection>, room: Room) -> Result<Done> {
    connection.leave(&room);
    Ok(Done::default())
}

async fn say(emitter: Emitter, _: Arc<Connection>, say: Say) -> Result<u64> {
    emitter.emit_to_room(say.room, &Told { number: say.number, padding: say.padding });
    Ok(say.number)
}

async fn wait(gates: Gates, connection: Arc<Connection>, number: u64) -> Result<u64> {
    let gate = &gates[connection.namespace()];
    gate.acquire().await.expect("an open gate").forget();
    Ok(number)
}

async fn pause((): (), _: Arc<Connection>, number: u64) -> Result<u64> {
    tokio::task::yield_now().await;
    Ok(number)
}

/// A user's token, as every server of the checks takes it.
fn token() -> String {
    let secret = Config::for_tests().auth.jwt_secret.expect("a secret");
    let minter = Minter::new(&secret, None, None).expect("a minter");
    let user = "somebody".parse().expect("an id");
    let token = NewToken::new(user, Roles::NONE, Duration::from_hours(1));
    minter.mint(&token, Clock::system().now()).expect("a token")
}

/// A room by number.
fn room(number: u64) -> Room {
    format!("check.{number}").parse().expect("a room")
}

/// Awaits; what does not come within the deadline is lost.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> Seen<T> {
    let lost = |_| Violation::Lost(format!("waited for {what}"));
    tokio::time::timeout(DEADLINE, future).await.map_err(lost)
}
