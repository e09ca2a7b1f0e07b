//! The ports that are listened on: the public one, and that of the metrics where they have their own.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use tokio::{net::TcpListener, sync::watch};

use super::ground::Ground;
use crate::{
    config::ServerConfig,
    metrics,
    realtime::wire::{self, Door},
    tasks::Tasks,
};

/// What answers on the ports. Cheap to clone.
#[derive(Clone)]
pub(super) struct Listeners {
    /// Says true when they are to close.
    stop: watch::Sender<bool>,
    tasks: Tasks,
}

impl Listeners {
    /// Answers by `router` and `door` on the public port, and by the metrics on theirs.
    ///
    /// # Errors
    /// When the metrics' port is taken.
    pub(super) async fn open(
        ground: &Ground,
        public: TcpListener,
        router: Router,
        door: &Door,
    ) -> anyhow::Result<Self> {
        let config = &ground.config;
        let listeners = Self { stop: watch::Sender::new(false), tasks: Tasks::default() };
        if let Some(port) = config.metrics.port {
            let address = SocketAddr::new(config.server.host, port);
            let listener = TcpListener::bind(address).await;
            let listener = listener
                .with_context(|| format!("the metrics port {address} can't be listened on"))?;
            let router = metrics::router(ground.metrics.clone());
            let stopping = listeners.stop.subscribe();
            let serve = wire::serve(listener, router, None, config.clone(), stopping);
            listeners.tasks.spawn("metrics listener", serve);
        }
        // A token in the query is the router's to take out.
        let door = config.auth.query.is_none().then(|| door.clone());
        let stopping = listeners.stop.subscribe();
        let serve = wire::serve(public, router, door, config.clone(), stopping);
        listeners.tasks.spawn("listener", serve);
        Ok(listeners)
    }

    /// Closes them: nothing new is heard.
    pub(super) fn close(&self) {
        self.stop.send_replace(true);
        self.tasks.stop();
    }

    /// Waits, after [`Listeners::close`], until what was heard before is answered.
    pub(super) async fn closed(&self) {
        self.tasks.stopped().await;
    }
}

/// Binds the public port.
pub(super) async fn bind(server: &ServerConfig) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(server.host, server.port);
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("the port {address} can't be listened on"))
}
