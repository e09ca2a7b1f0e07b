//! A store of a test's own, on either engine, and what the tests announce in it.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;
use secrecy::SecretString;
use stoa::{
    clock::Clock,
    config::{Config, DatabaseConfig},
    db::{self, Db},
    error::Result,
    event::EventName,
    id::Id,
    room::Room,
    stream::{CommittedEvent, DomainEvent, Stream, Target, WireEvent},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{postgres::Postgres, within_time};

/// An open store, and where it is.
pub struct Store {
    pub db: Db,
    pub clock: Clock,
    pub config: DatabaseConfig,
    pub folder: TempDir,
    sent: Arc<Mutex<Vec<CommittedEvent>>>,
}

impl Store {
    pub async fn sqlite(clock: Clock) -> Self {
        Self::open(None, clock).await
    }

    pub async fn postgres(clock: Clock) -> Self {
        Self::open(Some(Postgres::shared().database().await), clock).await
    }

    pub async fn open(url: Option<String>, clock: Clock) -> Self {
        let mut config = Config::for_tests().database;
        config.url = url.map(SecretString::from);
        Self::with(config, TempDir::new().expect("a folder"), clock).await
    }

    /// The same store with another configuration.
    pub async fn again(self, change: impl FnOnce(&mut DatabaseConfig)) -> Self {
        self.db.close().await;
        let mut config = self.config;
        change(&mut config);
        Self::with(config, self.folder, self.clock).await
    }

    /// The same store by another clock.
    pub async fn by(self, clock: Clock) -> Self {
        self.db.close().await;
        Self::with(self.config, self.folder, clock).await
    }

    async fn with(config: DatabaseConfig, folder: TempDir, clock: Clock) -> Self {
        let db =
            Db::open(&config, folder.path(), clock.clone(), Duration::ZERO).await.expect("a store");
        let sent = Arc::<Mutex<Vec<CommittedEvent>>>::default();
        let outlet = sent.clone();
        db.set_commit_listener(Arc::new(move |event, _| outlet.lock().push(event)));
        Self { db, clock, config, folder, sent }
    }

    /// The same store, opened anew.
    pub async fn reopen(&self) -> db::Result<Db> {
        self.reopen_within(Duration::ZERO).await
    }

    /// The same, as soon as nobody else has it open.
    pub async fn reopen_within(&self, patience: Duration) -> db::Result<Db> {
        Db::open(&self.config, self.folder.path(), self.clock.clone(), patience).await
    }

    /// Carries statements out, one unit each.
    pub async fn run(&self, statements: &[&'static str]) {
        for sql in statements.iter().copied() {
            let done = self.db.write(async move |tx| Ok(tx.execute(sql, &[]).await?)).await;
            done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }

    /// The number that a query gives.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let read = async move |tx: &mut db::Tx<'_>| Ok(tx.one(sql, &[]).await?.get(0)?);
        self.db.read(read).await.expect("a number")
    }

    /// What was sent so far: the stream and the number of what is kept, and the data of the first
    /// rendering.
    pub fn sent(&self) -> Vec<(String, i64, String)> {
        let sent = self.sent.lock();
        let shown = |event: &CommittedEvent| {
            let data = event.wire_events.first().map(|wire_event| wire_event.data.get().to_owned());
            let first = event.numbers.first().map(|(stream, seq)| (stream.to_string(), *seq));
            let (stream, seq) = first.unwrap_or_default();
            (stream, seq, data.unwrap_or_default())
        };
        sent.iter().map(shown).collect()
    }

    /// Whether it is a server.
    pub fn is_postgres(&self) -> bool {
        self.config.url.is_some()
    }

    /// Waits until the store says that it is available, or not.
    pub async fn becomes(&self, available: bool) {
        let mut availability = self.db.availability();
        in_time(availability.wait_for(|now| *now == available)).await.expect("the store is open");
    }
}

/// How long a store may take.
pub const IN_TIME: Duration = Duration::from_secs(20);

/// What the store does, but not for ever.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    within_time(IN_TIME, "the store", future).await
}

/// A unit that holds SQLite's writer, so that others wait behind it.
pub struct BlockedWriter {
    release: mpsc::Sender<()>,
    unit: JoinHandle<Result<()>>,
}

impl BlockedWriter {
    pub async fn block(db: &Db) -> Self {
        let (release, held) = mpsc::channel();
        let (held_now, is_held) = oneshot::channel();
        let db = db.clone();
        let unit = async move |_: &mut db::Tx<'_>| {
            let _ = held_now.send(());
            held.recv().expect("a release");
            Ok(())
        };
        let unit = tokio::spawn(async move { db.write(unit).await });
        is_held.await.expect("the writer is held");
        Self { release, unit }
    }

    pub async fn release(self) {
        self.release.send(()).expect("a writer that is held");
        self.unit.await.expect("no panic").expect("a unit that waits and is kept");
    }
}

/// Something that happened in a conversation.
pub struct Happened {
    pub stream: Stream,
    pub data: i64,
    pub kept: bool,
}

pub fn happened(conversation: &str, data: i64) -> Happened {
    Happened { stream: Stream::Conversation(id(conversation)), data, kept: true }
}

pub fn id(text: &str) -> Id {
    text.parse().expect("an id")
}

/// Something that these users hear.
pub fn to_all(users: &[&str]) -> WireEvent {
    let rooms = users.iter().map(|user| Room::User(id(user))).collect();
    WireEvent {
        to: Target::Rooms { rooms, except: Vec::new() },
        event: EventName::new("happened").expect("a name"),
        data: serde_json::value::to_raw_value("to all").expect("a text"),
        several: false,
        participants: Vec::new(),
        except_user: None,
        namespace: None,
        id: None,
    }
}

impl DomainEvent for Happened {
    fn streams(&self) -> Vec<Stream> {
        vec![self.stream.clone()]
    }

    fn render(&self, _seq: i64) -> Vec<WireEvent> {
        vec![WireEvent {
            to: Target::Rooms { rooms: vec![Room::Chat(id("c1"))], except: Vec::new() },
            event: EventName::new("happened").expect("a name"),
            data: serde_json::value::to_raw_value(&self.data).expect("a number"),
            several: false,
            participants: Vec::new(),
            except_user: Some(id("u1")),
            namespace: None,
            id: None,
        }]
    }

    fn kept(&self) -> bool {
        self.kept
    }
}
