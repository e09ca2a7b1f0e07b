//! The roof: everything is put together here, started, and stopped.

mod admission;
pub mod catalogue;
mod personal;
mod records;
mod rooms;
mod routes;
mod serve;
mod store;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use axum::extract::FromRef;
use futures_util::future::OptionFuture;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use self::{admission::Admission, rooms::Rooms};
pub use self::{catalogue::events, serve::serve};
use crate::{
    access::{self, Access},
    accounts::AccountService,
    admin::Admin,
    auth::{Authenticator, Minter},
    chat::{self, ChatService, Typing},
    clock::Clock,
    config::{Config, ServerConfig},
    db::Db,
    http::{Layers, health::Readiness, unread::OpenBodies},
    id::Ids,
    idempotency::Idempotency,
    limits::CallerRates,
    marketplace::{self, MarketplaceService},
    metrics,
    notifications::NotificationService,
    payments::PaymentService,
    points::PointsService,
    presence::{self, Presence},
    realtime::{Commands, Emits, Emitter, Realtime, wire},
    users::Users,
};

/// How long what the store still has to do may take at the end. More than it needs: what it has
/// committed is on the disk already.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What handlers are given parts of.
#[derive(Clone, FromRef)]
struct AppState {
    access: Access,
    accounts: AccountService,
    admin: Admin,
    authenticator: Authenticator,
    emits: Emits,
    idempotency: Idempotency,
    open_bodies: OpenBodies,
    realtime: Realtime,
    presence: Presence,
    chat: ChatService,
    marketplace: MarketplaceService,
    notifications: NotificationService,
    payments: PaymentService,
    points: PointsService,
    users: Users,
}

/// A running server.
pub struct App {
    address: SocketAddr,
    admin: Admin,
    drain_timeout: Duration,
    db: Db,
    realtime: Realtime,
    readiness: Readiness,
    /// Says true when the listeners are to close.
    stop: watch::Sender<bool>,
    /// The task that answers requests; none when it is waited for.
    answering: Mutex<Option<JoinHandle<()>>>,
    /// The task that drains, once there is one.
    draining: Mutex<Option<JoinHandle<()>>>,
}

impl App {
    /// Opens the store, binds the port, puts everything together, and serves.
    ///
    /// # Errors
    /// When the store can't be opened, the port is taken, or a key or an origin can't be used.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let metrics = metrics::install()?;
        let origins = config.origin_policy()?;
        let layers = Layers::new(&config.server, origins.clone());
        let authenticator = Authenticator::new(&config.auth, origins.clone(), clock.clone())?;
        let readiness = Readiness::new(config.auth.handshake);
        let (stop, stopping) = watch::channel(false);
        let catalogue = Arc::new(events());
        let callers = CallerRates::new(&config.limits);
        let realtime = Realtime::start(
            &config,
            catalogue.clone(),
            authenticator.verifier().clone(),
            origins,
            clock.clone(),
            callers.clone(),
        );
        let waiting = routes::waiting(&realtime, readiness.clone(), layers.clone());
        let open = store::open(&config, &clock, &readiness, &stopping, waiting);
        let (db, listener) = Box::pin(open).await?;
        let idempotency = Box::pin(Idempotency::start(db.clone(), authenticator.clone())).await?;
        let users = users(&db, &realtime, &authenticator, &clock, &config);
        let users = Box::pin(users).await?;
        // Not before a process that had the store has ended, which listened there, too.
        let listener = match listener {
            Some(listener) => listener,
            None => listen(&config.server).await?,
        };
        let address = listener.local_addr()?;

        let emitter = realtime.emitter().clone();
        send_what_is_committed(&db, emitter.clone());
        let emits = Emits::new(db.clone(), emitter);
        let rooms = Rooms::start(&config, &clock, &db, &realtime, &users, &callers, &stopping)?;
        let Rooms { access, accounts, chat, marketplace, notifications, .. } = rooms;
        let Rooms { payments, points, presence, typing, .. } = rooms;
        let commands = commands(&access, &presence, &chat, &typing);
        realtime.listen(commands, vec![Arc::new(presence.clone()), Arc::new(typing)])?;

        let admin = Admin::new(&config, metrics.clone(), clock)?;
        let admission = Admission::new(&config, authenticator.clone(), callers);
        let state = AppState {
            access,
            accounts,
            admin: admin.clone(),
            authenticator,
            emits,
            idempotency: idempotency.clone(),
            open_bodies: OpenBodies::new(&config.server),
            realtime: realtime.clone(),
            presence,
            chat,
            marketplace,
            notifications,
            payments,
            points,
            users: users.clone(),
        };
        let public_metrics = config.metrics.port.is_none().then(|| metrics.clone());
        let router = routes::router(
            state,
            admission,
            layers,
            &catalogue,
            readiness.clone(),
            public_metrics,
            config.auth.query.as_deref(),
        )?;
        serve_metrics(&config, &metrics, &stopping).await?;
        store::beside(idempotency.prune(), &stopping);
        store::beside(users.clone().carry_out_erasures(), &stopping);
        store::beside(users.prune(), &stopping);
        tokio::spawn(metrics.keep_up());
        let drain_timeout = config.server.drain_timeout;
        let answering = tokio::spawn(wire::serve(listener, router, config, stopping));
        Ok(Self {
            address,
            admin,
            drain_timeout,
            db,
            realtime,
            readiness,
            stop,
            answering: Mutex::new(Some(answering)),
            draining: Mutex::default(),
        })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The code that lets a developer into the console; none where nobody is one.
    #[must_use]
    pub fn login_code(&self) -> Option<&str> {
        self.admin.login_code()
    }

    /// Begins to stop: not ready any more, no new sockets, everyone told and let go; then no new
    /// requests, and those under way are answered. A second call changes nothing.
    pub fn stop(&self) {
        let mut draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        if draining.is_some() {
            return;
        }
        self.readiness.drain();
        let (realtime, stop, db) = (self.realtime.clone(), self.stop.clone(), self.db.clone());
        let whole = self.drain_timeout;
        let end = Instant::now() + whole;
        let answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner).take();
        *draining = Some(tokio::spawn(async move {
            // Half of the time to let go, half for those who are slow to go.
            let drained = async {
                realtime.drain(whole / 2).await;
                realtime.empty().await;
            };
            if timeout_at(end, drained).await.is_err() {
                tracing::warn!("some connections did not end in time");
            }
            stop.send_replace(true);
            if timeout_at(end, OptionFuture::from(answering)).await.is_err() {
                tracing::warn!("some requests were not answered in time");
            }
            if tokio::time::timeout(CLOSE_TIMEOUT, db.close()).await.is_err() {
                tracing::warn!("the store did not close in time");
            }
        }));
    }

    /// Waits until it has stopped: at most the drain timeout after [`App::stop`], and the moment that
    /// the store takes to close.
    pub async fn stopped(&self) {
        let draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(draining) = draining {
            // A panic there has been logged, and there is nothing left to wait for.
            let _ = draining.await;
        }
    }
}

/// Users, who are shut out for this authenticator too.
async fn users(
    db: &Db,
    realtime: &Realtime,
    authenticator: &Authenticator,
    clock: &Clock,
    config: &Config,
) -> anyhow::Result<Users> {
    let revocations = authenticator.verifier().revocations().clone();
    let minter = Minter::configured(&config.auth)?;
    let (db, realtime, clock) = (db.clone(), realtime.clone(), clock.clone());
    let notifications = NotificationService::new(db.clone(), Ids, &config.notifications);
    let personal = personal::parts(notifications);
    Ok(Users::start(db, realtime, revocations, minter, clock, config, personal).await?)
}

/// Has the events of committed units sent.
fn send_what_is_committed(db: &Db, emitter: Emitter) {
    db.set_outlet(Arc::new(move |announced| {
        for event in announced {
            emitter.publish(event);
        }
    }));
}

/// Serves the metrics on a port of their own, where they have one.
async fn serve_metrics(
    config: &Config,
    metrics: &metrics::Handle,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(port) = config.metrics.port else { return Ok(()) };
    let address = SocketAddr::new(config.server.host, port);
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("the metrics port {address} can't be listened on"))?;
    let router = metrics::router(metrics.clone());
    tokio::spawn(wire::serve(listener, router, config.clone(), stopping.clone()));
    Ok(())
}

/// Binds the public port.
async fn listen(server: &ServerConfig) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(server.host, server.port);
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("the port {address} can't be listened on"))
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What clients may ask by event.
fn commands(access: &Access, presence: &Presence, chat: &ChatService, typing: &Typing) -> Commands {
    let mut commands = Commands::default();
    access::commands(access, &mut commands);
    presence::commands(presence, &mut commands);
    chat::commands(access, chat, typing, &mut commands);
    marketplace::commands(access, &mut commands);
    commands
}
