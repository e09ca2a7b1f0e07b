//! The check of this floor from end to end: a real port, and clients that take the bytes apart by
//! themselves, so that a broken frame is seen. What decides is what arrives, never how fast.

mod blocked;
mod client;
mod namespaces;
mod order;
mod polling;
mod storm;
mod upgrading;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::any};
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use tokio::{
    net::TcpSocket,
    sync::{Semaphore, watch},
};
use utoipa::ToSchema;

use super::{Catalogue, Commands, Emitter, Realtime, events::Done, wire};
use crate::{
    auth::{Authenticator, Minter, NewToken, Roles},
    clock::Clock,
    config::{Config, Handshake},
    event::{ByNamespace, Namespace, Success},
    events,
    id::Id,
    limits::{CallerRates, EventClass},
    room::Room,
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
        JOIN: "check:join", Id => Done;
        /// Leaves a room.
        LEAVE: "check:leave", Id => Done;
        /// Tells a room, then acknowledges.
        SAY: "check:say", Say => u64;
        /// Acknowledges when the test opens the gate.
        WAIT: "check:wait", u64 => u64;
        /// Acknowledges a moment later.
        PAUSE: "check:pause", u64 => u64;
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
struct Say {
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

type Seen<T> = Result<T, Violation>;

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
        let realtime = Realtime::start(&config, catalogue, verifier, origins, clock, callers);
        let gates: Gates = Arc::new(ByNamespace::new(|_| Semaphore::new(0)));
        realtime.listen(commands(realtime.emitter(), &gates), Vec::new());
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
        tokio::spawn(wire::serve(listener, router, config, stopping));
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
    let done = || Done { success: Success };
    let mut commands = Commands::default();
    commands.on(&JOIN, EventClass::Join, move |connection, room: Room| async move {
        connection.join(room).map(|()| done())
    });
    commands.on(&LEAVE, EventClass::Join, move |connection, room: Room| async move {
        connection.leave(&room);
        Ok(done())
    });
    let emitter = emitter.clone();
    commands.on(&SAY, EventClass::Message, move |_, say: Say| {
        emitter.emit_to_room(say.room, &Told { number: say.number, padding: say.padding });
        async move { Ok(say.number) }
    });
    let gates = gates.clone();
    commands.on(&WAIT, EventClass::Other, move |connection, number: u64| {
        let gates = gates.clone();
        async move {
            let gate = &gates[connection.namespace()];
            gate.acquire().await.expect("an open gate").forget();
            Ok(number)
        }
    });
    commands.on(&PAUSE, EventClass::Other, |_, number: u64| async move {
        tokio::task::yield_now().await;
        Ok(number)
    });
    commands
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
