//! The lifecycle of connections: the handshake, who one belongs to, and its end, which is noticed exactly
//! once however the engine reports it.

mod comeback;
mod opening;
mod operators;
mod said;

use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::metrics::Gauge;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use socketioxide::{
    SocketIo,
    adapter::LocalAdapter,
    handler::{ConnectHandler, DisconnectHandler, MessageHandler, Value},
    socket::{DisconnectReason, Socket},
};
use tokio::{sync::watch, time::timeout};

use self::{
    opening::{Opening, text_of},
    said::Said,
};
use super::{
    commands::Commands,
    connection::{Connection, Context, Hooks},
    events::ClosingReason,
    expiries::Expiries,
    frame, inbound,
    link::Link,
    names,
    recovery::{Rights, Session},
    single_flight::SingleFlight,
};
use crate::{
    auth::{Identity, Role, TokenError},
    config::{Config, Handshake},
    error::{Code, Error, Result},
    event::{ByNamespace, Namespace},
    id::{Id, Ids},
    limits::UserLimits,
    log_limit, metrics,
    room::Room,
};

/// Hears of connections: presence does, and what a room keeps of a connection.
pub trait Observer: Send + Sync {
    /// A connection has begun and its owner is known.
    fn arrived(&self, connection: &Connection, user: &Id);

    /// A connection has ended; it was in these rooms.
    fn left(&self, connection: &Connection, rooms: &[Room]);
}

/// The beginnings and ends of all connections.
pub(super) struct Lifecycle {
    pub(super) context: Arc<Context>,
    users: UserLimits,
    connect_timeout: Duration,
    expiries: Expiries,
    pub(super) sweeps: SingleFlight,
    handshake: Handshake,
    /// Of open connections; those of operators are there once there was one.
    gauges: ByNamespace<OnceLock<Gauge>>,
    /// Of those who come back.
    pub(super) rights: OnceLock<Arc<dyn Rights>>,
    listeners: OnceLock<Listeners>,
    /// How many connections are open.
    pub(super) open: watch::Sender<usize>,
}

struct Listeners {
    commands: Arc<Commands>,
    observers: Vec<Arc<dyn Observer>>,
}

impl Lifecycle {
    pub(super) fn new(context: Arc<Context>, config: &Config) -> Arc<Self> {
        let (notice, leeway) = (config.realtime.expiring_notice, config.auth.leeway);
        let expiries = Expiries::start(&context.tasks, context.clock.clone(), notice, leeway);
        let lifecycle = Arc::new(Self {
            context,
            users: UserLimits::new(&config.limits),
            connect_timeout: config.realtime.connect_timeout,
            expiries,
            sweeps: SingleFlight::default(),
            handshake: config.auth.handshake,
            gauges: ByNamespace::default(),
            rights: OnceLock::new(),
            listeners: OnceLock::new(),
            open: watch::Sender::new(0),
        });
        let hooks: Arc<dyn Hooks> = lifecycle.clone();
        // The context is new, and so are its hooks.
        let _ = lifecycle.context.hooks.set(Arc::downgrade(&hooks));
        lifecycle
    }

    /// Opens the three namespaces.
    pub(super) fn listen(
        self: &Arc<Self>,
        io: &SocketIo,
        commands: Commands,
        observers: Vec<Arc<dyn Observer>>,
    ) {
        let commands = Arc::new(commands);
        // Called once, when the application is put together.
        let _ = self.listeners.set(Listeners { commands, observers });
        let admin = self.commands().is_some_and(|commands| commands.inspector.is_some());
        for namespace in Namespace::ALL.into_iter().chain(admin.then_some(Namespace::Admin)) {
            let (begin, connect) = (self.clone(), self.clone());
            // Not before the middleware below has let them in.
            let handler = move |opening: Opening| async move {
                if let Some(connection) = opening.socket.extensions.get::<Arc<Connection>>() {
                    begin.begin_with(&connection, None);
                }
            };
            let middleware = move |opening: Opening| async move {
                connect.connect_polling(namespace, opening).await
            };
            io.ns(namespace.path(), handler.with(middleware));
        }
    }

    fn gauge(&self, namespace: Namespace) -> &Gauge {
        self.gauges[namespace].get_or_init(|| metrics::connections(namespace.path()))
    }

    fn commands(&self) -> Option<&Commands> {
        self.listeners.get().map(|listeners| &*listeners.commands)
    }

    fn observers(&self) -> impl Iterator<Item = &Arc<dyn Observer>> {
        self.listeners.get().into_iter().flat_map(|listeners| &listeners.observers)
    }

    /// Lets somebody in over the engine. Everything is registered here, before CONNECT is sent: what the
    /// client sends right after it finds its handler, and what is sent to the user's room waits for it.
    async fn connect_polling(
        self: Arc<Self>,
        namespace: Namespace,
        opening: Opening,
    ) -> std::result::Result<(), Refusal> {
        let link = opening.link().ok_or(Refusal::NoLink)?;
        let auth = opening.auth.as_ref().and_then(text_of);
        let listen = |connection: &Arc<Connection>| {
            opening.socket.extensions.insert(connection.clone());
            let guard = || Guard { connection: connection.clone(), lifecycle: self.clone() };
            opening.socket.on_fallback(guard());
            opening.socket.on_disconnect(Ending(guard()));
        };
        self.let_in(&link, namespace, auth, listen).await.map(drop)
    }

    /// The handshake. Whoever is let in is known to the engine, if at all, by `listen`.
    async fn let_in(
        &self,
        link: &Arc<Link>,
        namespace: Namespace,
        auth: Option<&str>,
        listen: impl FnOnce(&Arc<Connection>),
    ) -> std::result::Result<Arc<Connection>, Refusal> {
        if namespace == Namespace::Admin {
            return self.let_operator_in(link, auth, listen).await;
        }
        let authenticated = async {
            let said = Said::read(auth)?;
            Ok((self.authenticate(said.token.as_deref(), link).await?, said))
        };
        let (identity, said) = match authenticated.await {
            Ok(known) => known,
            Err(error) => return Err(self.refuse(link, error)),
        };
        if let Some(identity) = &identity
            && let Some(connection) = self.come_back(link, namespace, identity, said).await
        {
            listen(&connection);
            return Ok(connection);
        }
        if let Some(identity) = &identity
            && !self.users.admit(&identity.user_id)
        {
            metrics::handshakes_refused("user_limit").increment(1);
            return Err(Refusal::TooMany);
        }
        link.admit();
        let (id, owner) = (Ids.next(), identity.clone());
        let context = self.context.clone();
        let recovery = self.context.recovery.get();
        let session = recovery.map(|_| Session::new(self.context.clock.now()));
        let connection = Connection::new(id, namespace, owner, link.clone(), context, session);
        listen(&connection);
        if let Some(((recovery, session), user)) = connection.session().zip(connection.user_id()) {
            recovery.began(session, id, user, namespace);
        }
        connection.register(false);
        if let Some(identity) = identity {
            // It has just begun: there is space for two rooms.
            let _ = connection.join(Room::User(identity.user_id.clone()));
            if identity.has(Role::Admin) {
                let _ = connection.join(Room::Admins);
            }
            // Whoever revokes the token from now on finds the connection.
            if let Err(error) = self.context.verifier.revocations().check(&identity) {
                self.finish(&connection);
                return Err(self.refuse(link, error));
            }
        }
        Ok(connection)
    }

    /// Notes that a handshake is refused.
    fn refuse(&self, link: &Arc<Link>, error: TokenError) -> Refusal {
        metrics::handshakes_refused(error.code()).increment(1);
        let (address, about) = (link.address, error.code());
        if let Some(left_out) = log_limit::admit("handshake", Some(address), about) {
            tracing::info!(%address, %error, left_out, "a handshake was refused");
        }
        self.close_refused(link);
        Refusal::Token(error)
    }

    fn close_refused(&self, link: &Arc<Link>) {
        if link.is_v3() {
            // The engine waits for a CONNECT of later versions only.
            self.context.close_if_vacant(link, self.connect_timeout);
        }
    }

    async fn authenticate(
        &self,
        token: Option<&str>,
        link: &Link,
    ) -> std::result::Result<Option<Arc<Identity>>, TokenError> {
        match token.or(link.token()) {
            Some(token) => {
                // The refusal comes before the engine gives a session up that nobody has entered.
                let verified =
                    timeout(self.connect_timeout * 4 / 5, self.context.verifier.verify(token));
                let identity = verified.await.unwrap_or(Err(TokenError::KeysUnavailable))?;
                Ok(Some(identity.into()))
            }
            None if self.handshake == Handshake::Trusting => Ok(None),
            None => Err(TokenError::Missing),
        }
    }

    /// CONNECT is answered, by the engine or with this.
    fn begin_with(&self, connection: &Arc<Connection>, answer: Option<Bytes>) {
        connection.begin(answer, || {
            self.gauge(connection.namespace()).increment(1);
            self.open.send_modify(|open| *open += 1);
            if let Some(identity) = connection.identity() {
                self.arrived(connection, &identity);
            }
            if let Some(inspector) = self.inspector_of(connection) {
                inspector.arrived(connection);
            }
        });
    }

    /// Under the connection's lock, so that an end that comes meanwhile is heard of later.
    fn arrived(&self, connection: &Arc<Connection>, identity: &Identity) {
        self.expiries.watch(connection, identity);
        for observer in self.observers() {
            observer.arrived(connection, &identity.user_id);
        }
    }

    /// A connection has ended, however that became known; the first to say so sees to the rest.
    fn finish(&self, connection: &Arc<Connection>) {
        self.finish_because(connection, "transport close");
    }

    /// The same, for a reason that the official server would name.
    fn finish_because(&self, connection: &Arc<Connection>, reason: &'static str) {
        if let Some((begun, rooms)) = connection.end(reason) {
            self.ended(connection, begun, &rooms);
        }
    }

    /// No panic in what hears of an end keeps the rest from hearing.
    fn ended(&self, connection: &Arc<Connection>, begun: bool, rooms: &[Room]) {
        if let Some(identity) = connection.identity() {
            self.expiries.forget(connection, &identity);
            self.users.release(&identity.user_id);
        }
        if begun {
            self.gauge(connection.namespace()).decrement(1);
            self.open.send_modify(|open| *open -= 1);
        }
        if let Some(inspector) = self.inspector_of(connection) {
            inspector.left(connection.id());
        }
        for observer in self.observers() {
            let left = AssertUnwindSafe(|| observer.left(connection, rooms));
            if catch_unwind(left).is_err() {
                tracing::error!(connection = %connection.id(), "an observer of ends panicked");
            }
        }
    }

    /// Refuses and closes a connection whose token was revoked, or whose user was blocked, while it
    /// became its own. Whoever does so afterwards finds the connection.
    fn ensure_not_revoked(&self, connection: &Arc<Connection>, identity: &Identity) -> Result<()> {
        self.context.verifier.revocations().check(identity).map_err(|error| {
            let link = &connection.link;
            self.context.shut_out(link, ClosingReason::Revoked, Connection::is_refused);
            error.into()
        })
    }
}

impl Hooks for Lifecycle {
    fn connect(
        self: Arc<Self>,
        link: Arc<Link>,
        namespace: Namespace,
        auth: Option<Box<str>>,
    ) -> BoxFuture<'static, Option<Arc<Connection>>> {
        let connect = async move {
            let is_v3 = link.is_v3();
            match self.let_in(&link, namespace, auth.as_deref(), |_| {}).await {
                Ok(connection) => {
                    let answer = frame::text(&[&connection.answer()]);
                    self.begin_with(&connection, Some(answer));
                    Some(connection)
                }
                Err(refusal) => {
                    let words = refusal.to_string();
                    let refusal = frame::refused(namespace.path(), &words, is_v3);
                    if let Some(lane) = link.lane() {
                        lane.send((&refusal).into());
                    }
                    None
                }
            }
        };
        connect.boxed()
    }

    fn begin(&self, connection: &Arc<Connection>) {
        self.begin_with(connection, None);
    }

    fn hear(
        &self,
        connection: &Arc<Connection>,
        arguments: &str,
        is_binary: bool,
        ack: Option<i64>,
    ) {
        if let Some(Listeners { commands, .. }) = self.listeners.get() {
            inbound::receive(connection, commands, arguments, is_binary, ack);
        }
    }

    fn left(&self, connection: &Arc<Connection>) {
        self.finish_because(connection, "client namespace disconnect");
        if let Some((recovery, session)) = connection.session() {
            recovery.forgotten(session, "client namespace disconnect");
        }
        self.context.close_if_vacant(&connection.link, self.connect_timeout);
    }

    fn ended(&self, connection: &Arc<Connection>) {
        self.finish(connection);
    }

    /// In a trusting handshake the first one said becomes the connection's own.
    fn claim(&self, connection: &Arc<Connection>, user: &Id) -> Result<Arc<Identity>> {
        if let Some(identity) = connection.identity() {
            return Ok(identity);
        }
        if self.handshake != Handshake::Trusting {
            return Err(Error::forbidden());
        }
        let identity = Arc::new(Identity::believed(user.clone(), self.context.clock.now()));
        self.context.verifier.revocations().check(&identity)?;
        if !self.users.admit(user) {
            return Err(Error::new(Code::RateLimited, TOO_MANY));
        }
        if !connection.identify_first(identity.clone(), || self.arrived(connection, &identity)) {
            self.users.release(user);
            return connection.known_identity();
        }
        if let Some((recovery, session)) = connection.session() {
            recovery.began(session, connection.id(), user.clone(), connection.namespace());
        }
        connection.join(Room::User(user.clone()))?;
        self.ensure_not_revoked(connection, &identity)?;
        Ok(identity)
    }

    fn renew(&self, connection: &Arc<Connection>, identity: Arc<Identity>) -> Result<()> {
        let old = connection.known_identity()?;
        // First what may be refused.
        if identity.has(Role::Admin) {
            connection.join(Room::Admins)?;
        }
        self.expiries.forget(connection, &old);
        self.expiries.watch(connection, &identity);
        let own = identity.clone();
        connection.identify(identity);
        self.ensure_not_revoked(connection, &own)
    }
}

/// Has the connection of a polling session hear, and ends it when the engine lets go of it, whether or
/// not it said so: unless the session has come over to a websocket by then.
struct Guard {
    connection: Arc<Connection>,
    lifecycle: Arc<Lifecycle>,
}

impl Guard {
    fn is_here(&self) -> bool {
        !self.connection.link.is_on_websocket()
    }
}

impl MessageHandler<LocalAdapter, ()> for Guard {
    fn call(&self, _: Arc<Socket>, value: Value, ack: Option<i64>) {
        if let Value::Str(arguments, attachments) = &value {
            let is_binary = attachments.as_ref().is_some_and(|all| !all.is_empty());
            let arguments = names::as_sent(arguments.as_str());
            self.lifecycle.hear(&self.connection, &arguments, is_binary, ack);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_here() {
            self.lifecycle.finish(&self.connection);
        }
    }
}

/// Hears of the end. By hand, since the engine gives a closure a task of its own, and until that
/// has run it would not answer another CONNECT to the same namespace.
struct Ending(Guard);

impl DisconnectHandler<LocalAdapter, ()> for Ending {
    fn call_with_defer(
        &self,
        socket: Arc<Socket>,
        reason: DisconnectReason,
        defer: fn(Arc<Socket>),
    ) {
        let Self(Guard { connection, lifecycle }) = self;
        if reason == DisconnectReason::ClientNSDisconnect {
            lifecycle.left(connection);
        } else if self.0.is_here() {
            lifecycle.finish(connection);
        }
        defer(socket);
    }
}

/// What a client is told whose user has as many connections as may be.
const TOO_MANY: &str = "Too many connections of this user.";

/// Why a CONNECT is refused: what the client reads as `connect_error.message`.
enum Refusal {
    Token(TokenError),
    /// An operator, in the words of the Admin UI.
    Operator(&'static str),
    TooMany,
    NoLink,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Operator(words) => f.write_str(words),
            Self::TooMany => f.write_str(TOO_MANY),
            Self::NoLink => f.write_str("server error"),
        }
    }
}
