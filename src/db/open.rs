//! How a store is opened: to be worked with, to take in much, as it is, or as a copy that is thrown
//! away.

use std::{
    path::{self, Path},
    sync::{Arc, OnceLock, atomic::AtomicI64},
    time::Duration,
};

use parking_lot::RwLock;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    Db, Engine, Error, FILE, Inner, Kind, Result,
    backlog::Backlog,
    events::{self, KeepLimits},
    file,
    measure::Measures,
    opening::Opening,
    postgres::{self, Postgres},
    shared::Shared,
    sqlite::{self, Sqlite},
    upkeep::{LOOK_INTERVAL, PROBE_INTERVAL, watch_over},
};
use crate::{clock::Clock, config::DatabaseConfig, id::Ids, metrics, tasks::Tasks, traces::Causes};

impl Db {
    /// Opens the store, made where there is none, and brings its tables up to date. A file that
    /// another process works with is waited for so long.
    ///
    /// # Errors
    /// When it can't be reached or made, or is of another version.
    pub async fn open(
        config: &DatabaseConfig,
        data: &Path,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self> {
        Self::open_for(Opening::Work, config, data, clock, patience).await
    }

    /// The same, to take in much at once. What was taken in last may be lost when the power is; when
    /// it is closed, all is on the disk.
    ///
    /// # Errors
    /// Those of [`Db::open`].
    pub async fn open_to_fill(
        config: &DatabaseConfig,
        data: &Path,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self> {
        Self::open_for(Opening::Fill, config, data, clock, patience).await
    }

    /// Opens a store that is there and of this version: nothing is made, and no table changed.
    ///
    /// # Errors
    /// [`Kind::Unfit`] for another one; when it can't be reached.
    pub async fn open_as_it_is(
        config: &DatabaseConfig,
        data: &Path,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self> {
        Self::open_for(Opening::AsItIs, config, data, clock, patience).await
    }

    /// Opens a copy of the store, whoever works with that, which ends with this; of one that is not
    /// there yet, an empty one. A file's copy is in a folder of its own in `folder`, a server's in
    /// tables that one session alone sees. In the store itself no row is locked or written.
    ///
    /// # Errors
    /// [`Kind::Unfit`] for one of another version; when it can't be read, or the copy not made.
    pub async fn open_aside(
        config: &DatabaseConfig,
        data: &Path,
        clock: Clock,
        folder: &Path,
    ) -> Result<Self> {
        let shared = shared(config, clock);
        let (engine, aside) = if let Some(store) = file(config, data) {
            let aside = tempfile::Builder::new().prefix(".stoa-check-").tempdir_in(folder);
            let aside = aside.map_err(|error| Error::new(Kind::Unavailable, error))?;
            let copy = aside.path().join(FILE);
            let copied = {
                let copy = copy.clone();
                spawn_blocking(move || sqlite::copy_aside(&store, &copy)).await
            };
            copied.map_err(|error| Error::new(Kind::Other, error))??;
            let opening = Sqlite::open(&copy, config, &shared, Duration::ZERO, Opening::Aside);
            (Engine::Sqlite(Box::pin(opening).await?), Some(aside))
        } else {
            (Engine::Postgres(Postgres::open_aside(url(config), config, &shared).await?), None)
        };
        Self::begin(engine, shared, config, aside).await
    }

    /// Copies SQLite's file, as it is at one moment and whoever works with it, to one that is not there
    /// yet; how many bytes that has. None for Postgres, which brings programs of its own for that.
    ///
    /// # Errors
    /// [`Kind::Unfit`] when there is no store; when it can't be read, or the copy not written; then
    /// there is none.
    pub async fn backup(config: &DatabaseConfig, data: &Path, to: &Path) -> Result<Option<u64>> {
        let Some(path) = file(config, data) else { return Ok(None) };
        let to = to.to_owned();
        let copied = spawn_blocking(move || sqlite::backup(&path, &to));
        copied.await.map_err(|error| Error::new(Kind::Other, error))?.map(Some)
    }

    /// Which store is configured, for who is to know that it is the right one: without its password.
    #[must_use]
    pub fn name(config: &DatabaseConfig, data: &Path) -> String {
        match file(config, data) {
            Some(path) => {
                let path = path::absolute(&path).unwrap_or(path);
                format!("SQLite, {}", path.display())
            }
            None => format!("Postgres, {}", postgres::name(url(config))),
        }
    }

    async fn open_for(
        opening: Opening,
        config: &DatabaseConfig,
        data: &Path,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self> {
        let shared = shared(config, clock);
        let store = file(config, data);
        let every = if store.is_some() { LOOK_INTERVAL } else { PROBE_INTERVAL };
        let engine = if let Some(path) = store {
            let opened = Sqlite::open(&path, config, &shared, patience, opening);
            Engine::Sqlite(Box::pin(opened).await?)
        } else {
            Engine::Postgres(Postgres::open(url(config), config, &shared, opening).await?)
        };
        let db = Self::begin(engine, shared, config, None).await?;
        if opening != Opening::AsItIs {
            let watch = watch_over(Arc::downgrade(&db.0), every);
            db.0.shared.tasks.spawn_until_stopped("store watch", watch);
        }
        Ok(db)
    }

    async fn begin(
        engine: Engine,
        shared: Arc<Shared>,
        config: &DatabaseConfig,
        aside: Option<TempDir>,
    ) -> Result<Self> {
        let backlog = Backlog::new(config.queue_bytes);
        let begun = Tasks::default();
        let db = Self(Arc::new(Inner { engine, shared, backlog, begun, _aside: aside }));
        let beginning = db.read(async |tx| Ok(events::beginning(tx).await?)).await;
        db.begin_after(beginning.map_err(Error::cause_of)?.after);
        Ok(db)
    }
}

fn shared(config: &DatabaseConfig, clock: Clock) -> Arc<Shared> {
    let keep = KeepLimits {
        per_stream: config.event_count.into(),
        unit_bytes: config.max_unit_event_bytes,
        needed_after: i64::MAX,
    };
    metrics::store_available().set(1.0);
    Arc::new(Shared {
        clock,
        measures: Measures::new(),
        causes: Causes::default(),
        listener: RwLock::default(),
        retell: OnceLock::new(),
        controlled: OnceLock::new(),
        process: Ids.next(),
        herald: OnceLock::new(),
        available: watch::Sender::new(true),
        tasks: Tasks::default(),
        keep,
        reach: watch::Sender::default(),
        needed_after: AtomicI64::new(i64::MAX),
        after: AtomicI64::default(),
    })
}

fn url(config: &DatabaseConfig) -> &str {
    config.url.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default()
}
