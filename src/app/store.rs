//! The store from the roof: opened, watched for `/readyz`, and relieved of old events.

use std::time::Duration;

use anyhow::Context;
use tokio::{sync::watch, time::sleep};

use crate::{
    clock::Clock,
    config::Config,
    db::{Db, prune_events},
    http::health::Readiness,
};

/// How often old events are given up.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Opens the store, with what goes on beside it until `stopping` says true.
pub(super) async fn open(
    config: &Config,
    clock: &Clock,
    readiness: &Readiness,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<Db> {
    let database = &config.database;
    let opened = Db::open(database, &config.data, clock.clone()).await;
    let db = opened.context("the store can't be opened (DATABASE_URL)")?;
    tokio::spawn(tell(db.availability(), readiness.clone()));
    beside(prune(db.clone(), database.event_retention), stopping);
    Ok(db)
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
