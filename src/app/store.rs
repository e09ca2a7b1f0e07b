//! The store from the roof: opened, watched for `/readyz`, and relieved of old events.

use std::time::Duration;

use anyhow::Context;
use axum::{Router, extract::Request};
use http::Method;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{ground::Ground, listeners, routes};
use crate::{
    db::{Db, Tx, prune_events},
    error::{Code, Error},
    realtime::{self, Realtime, wire},
    rest::{self as rest, Layers, health::Readiness},
};

/// How often old events are given up: those that are kept for a short time more often.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);
const SHORTEST_PRUNE_INTERVAL: Duration = Duration::from_secs(10);

/// How often it is tried to open a store that is away, and how often that is told.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// Opens the store. As long as its server is away, the public port is listened on, and everyone told;
/// then the listener is given back, too.
pub(super) async fn open(
    ground: &Ground,
    realtime: &Realtime,
) -> anyhow::Result<(Db, Option<TcpListener>)> {
    let Ground { config, readiness, .. } = ground;
    let database = &config.database;
    let open = || Db::open(database, &config.data, ground.clock.clone(), config.patience());
    let mut opened = open().await;
    let mut listener = None;
    if opened.as_ref().is_err_and(|error| Db::is_away(database, error)) {
        readiness.report("store", false);
        let (arrived, arrival) = watch::channel(false);
        let port = listeners::bind(&config.server).await?.into_std()?;
        let copy = TcpListener::from_std(port.try_clone()?)?;
        listener = Some(TcpListener::from_std(port)?);
        let waiting = waiting(realtime, readiness.clone(), ground.layers.clone());
        let waiting = wire::serve(copy, waiting, None, config.clone(), arrival);
        let meanwhile = ground.tasks.spawn("waiting listener", waiting);
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
    let tell = tell(db.availability(), readiness.clone());
    ground.tasks.spawn_until_stopped("readiness", tell);
    Ok((db, listener))
}

/// What is answered while the store is away: the probes, and everyone else that it is.
fn waiting(realtime: &Realtime, readiness: Readiness, layers: Layers) -> Router {
    let origins = layers.origins.clone();
    let at_the_door = async move |request: Request| {
        let asks = request.method() == Method::OPTIONS;
        if asks { Ok(origins.preflight(request.headers(), None)) } else { Err(away().await) }
    };
    let router = rest::health::router(readiness).fallback(away);
    rest::layers(router, layers).merge(routes::socket_io(realtime.door().clone(), at_the_door))
}

/// What everyone is told meanwhile.
async fn away() -> Error {
    Error::new(Code::Unavailable, "The store is not available; try again.")
        .with_retry_after(RETRY_INTERVAL)
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

/// Gives up old events, now and then, for ever; of several nodes one does.
pub(super) async fn prune(db: Db, keep_for: Duration) {
    loop {
        let mut turn = db.turn("old events").await;
        tokio::select! {
            () = prune_for_all(&db, keep_for) => {}
            () = turn.lost() => {}
        }
    }
}

async fn prune_past(db: &Db, keep_for: Duration) -> Result<(), Error> {
    let now = db.read(async |tx: &mut Tx<'_>| Ok(tx.now())).await?;
    realtime::prune_past(db, now - keep_for).await
}

async fn prune_for_all(db: &Db, keep_for: Duration) {
    loop {
        match prune_events(db, keep_for).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "old events were given up"),
            Err(error) => tracing::warn!(?error, "old events could not be given up"),
        }
        if let Err(error) = prune_past(db, keep_for).await {
            tracing::warn!(?error, "who was connected could not be given up");
        }
        sleep((keep_for / 10).clamp(SHORTEST_PRUNE_INTERVAL, PRUNE_INTERVAL)).await;
    }
}
