//! The store from the roof: opened, watched for `/readyz`, and relieved of old events.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::listen;
use crate::{
    clock::Clock,
    config::Config,
    db::{Db, prune_events},
    error::{Code, Error},
    http::health::Readiness,
    realtime::wire,
};

/// How often old events are given up.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// How often it is tried to open a store that is away, and how often that is told.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// Opens the store, with what goes on beside it until `stopping` says true. As long as its server is
/// away, the public port is listened on, and answered by `waiting`; then the listener is given back,
/// too.
pub(super) async fn open(
    config: &Config,
    clock: &Clock,
    readiness: &Readiness,
    stopping: &watch::Receiver<bool>,
    waiting: Router,
) -> anyhow::Result<(Db, Option<TcpListener>)> {
    let database = &config.database;
    let open = || Db::open(database, &config.data, clock.clone(), config.patience());
    let mut opened = open().await;
    let mut listener = None;
    if opened.as_ref().is_err_and(|error| Db::is_away(database, error)) {
        readiness.report("store", false);
        let (arrived, arrival) = watch::channel(false);
        let port = listen(&config.server).await?.into_std()?;
        let copy = TcpListener::from_std(port.try_clone()?)?;
        listener = Some(TcpListener::from_std(port)?);
        let meanwhile = tokio::spawn(wire::serve(copy, waiting, config.clone(), arrival));
        let mut told: Option<Instant> = None;
        while let Err(error) = &opened
            && Db::is_away(database, error)
        {
            if told.is_none_or(|told| told.elapsed() >= TELL_INTERVAL) {
                tracing::warn!(%error, "the store is away (DATABASE_URL); waiting for it");
                told = Some(Instant::now());
            }
            sleep(RETRY_INTERVAL).await;
            opened = open().await;
        }
        arrived.send_replace(true);
        // Whoever is slow is left behind.
        let _ = timeout(RETRY_INTERVAL, meanwhile).await;
    }
    let db = opened.context("the store can't be opened (DATABASE_URL)")?;
    readiness.report("store", true);
    tokio::spawn(tell(db.availability(), readiness.clone()));
    beside(prune(db.clone(), database.event_retention), stopping);
    Ok((db, listener))
}

/// What everyone is told meanwhile.
pub(super) async fn away() -> Error {
    Error::new(Code::Unavailable, "The store is not available; try again.")
        .with_retry_after(RETRY_INTERVAL)
}

/// Lets something go on beside the server until `stopping` says true.
pub(super) fn beside(
    task: impl Future<Output = ()> + Send + 'static,
    stopping: &watch::Receiver<bool>,
) {
    let mut stopping = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            // That the sender is gone says the same.
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    });
}

/// Tells `/readyz` of the store, until that is gone.
async fn tell(mut availability: watch::Receiver<bool>, readiness: Readiness) {
    loop {
        let available = *availability.borrow_and_update();
        readiness.report("store", available);
        if availability.changed().await.is_err() {
            return;
        }
    }
}

async fn prune(db: Db, keep_for: Duration) {
    loop {
        match prune_events(&db, keep_for).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "old events were given up"),
            Err(error) => tracing::warn!(?error, "old events could not be given up"),
        }
        sleep(PRUNE_INTERVAL).await;
    }
}
