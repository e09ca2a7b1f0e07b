//! A server from its start to its end: the parts from the ground up, and backwards when it stops.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    ground::Ground,
    listeners::{self, Listeners},
    nodes,
    rooms::Rooms,
    routes, store, upkeep,
};
use crate::{
    chat::Retold,
    clock::Clock,
    cluster::{Cluster, State},
    config::{Config, ServerConfig},
    db::Db,
    realtime::{Realtime, Recovery},
    tasks::Tasks,
};

/// How long what the store still has to do may take at the end. More than it needs: what it has
/// committed is on the disk already.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server.
pub struct App {
    ground: Box<Ground>,
    rooms: Box<Rooms>,
    address: SocketAddr,
    parts: Parts,
    /// What drains, once it is to stop.
    draining: Tasks,
    is_stopping: AtomicBool,
}

/// What is drained.
#[derive(Clone)]
struct Parts {
    realtime: Realtime,
    listeners: Listeners,
    tasks: Tasks,
    db: Db,
}

impl App {
    /// Opens the store, binds the port, puts everything together, and serves.
    ///
    /// # Errors
    /// When the store can't be opened, the port is taken, or a key or an origin can't be used.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let ground = Box::new(Ground::lay(config, clock)?);
        let realtime = ground.realtime();
        let (db, listener) = Box::pin(store::open(&ground, &realtime)).await?;
        db.set_retell(Arc::new(Retold));
        let rooms = Box::new(Box::pin(Rooms::open(&ground, &db, &realtime)).await?);
        db.set_control_listener(rooms.controlled(&realtime));
        // With that the store begins to hand on what is committed.
        let emitter = realtime.emitter().clone();
        db.set_commit_listener(Arc::new(move |event, reach| emitter.publish(event, reach)));
        let recovery = Recovery::start(db.clone(), ground.clock.clone(), &ground.tasks);
        rooms.listen(recovery, &realtime)?;
        let router = routes::router(&ground, &db, &realtime, &rooms)?;
        nodes::join(&ground, &db, &realtime, &rooms)?;
        // Not before a process that had the store has ended, which listened there, too.
        let listener = match listener {
            Some(listener) => listener,
            None => listeners::bind(&ground.config.server).await?,
        };
        let address = listener.local_addr()?;
        // Before anybody may be let into a room of which there is no record.
        let records = db.listener().await;
        let listeners = Listeners::open(&ground, listener, router, realtime.door()).await?;
        upkeep::begin(&ground, &db, &rooms, records);
        let parts = Parts { realtime, listeners, tasks: ground.tasks.clone(), db };
        let (draining, is_stopping) = (Tasks::default(), AtomicBool::new(false));
        Ok(Self { ground, rooms, address, parts, draining, is_stopping })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether other nodes are heard, where there are some.
    #[must_use]
    pub fn cluster(&self) -> Option<watch::Receiver<State>> {
        self.ground.cluster.as_ref().map(Cluster::state)
    }

    /// The code that lets a developer into the console; none where nobody is one.
    #[must_use]
    pub fn login_code(&self) -> Option<&str> {
        self.rooms.admin.login_code()
    }

    /// Begins to stop: not ready any more; after the delay, in which balancers notice, no new sockets,
    /// everyone told and let go; then no new requests, and those under way are answered. A second call changes nothing.
    pub fn stop(&self) {
        if self.is_stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        self.ground.readiness.drain();
        let ServerConfig { drain_delay, drain_timeout, .. } = self.ground.config.server;
        let drain = self.parts.clone().drain(drain_delay, drain_timeout);
        self.draining.spawn("drain", drain);
        self.draining.stop();
    }

    /// Waits until it has stopped: at most the drain timeout after [`App::stop`], and the moment that
    /// the store takes to close.
    pub async fn stopped(&self) {
        if self.is_stopping.load(Ordering::Acquire) {
            self.draining.stopped().await;
        }
    }
}

impl Parts {
    /// The start backwards: sockets, ports, what was begun or goes on beside, the store.
    async fn drain(self, delay: Duration, time: Duration) {
        let end = Instant::now() + time;
        sleep(delay).await;
        let time = time.saturating_sub(delay);
        within(end, "some connections did not end in time", self.let_go(time)).await;
        within(end, "some requests were not answered in time", self.answer_the_last()).await;
        within(end, "some work did not end in time", self.end_tasks()).await;
        let end = Instant::now() + CLOSE_TIMEOUT;
        within(end, "the store did not close in time", self.db.close()).await;
    }

    /// Tells every socket, and waits for their ends: half of the time to let go, half for those who
    /// are slow to go.
    async fn let_go(&self, time: Duration) {
        self.realtime.drain(time / 2).await;
        self.realtime.empty().await;
    }

    async fn answer_the_last(&self) {
        self.listeners.close();
        self.listeners.closed().await;
    }

    async fn end_tasks(&self) {
        self.tasks.stop();
        self.db.idle().await;
        self.tasks.stopped().await;
    }
}

/// Goes on at `end`, whatever is done by then.
async fn within(end: Instant, otherwise: &'static str, step: impl Future<Output = ()>) {
    if timeout_at(end, step).await.is_err() {
        tracing::warn!("{otherwise}");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.parts.listeners.close();
    }
}
