//! What the parts of a cluster's node have in common: the way to Redis, while there is one.

use std::{sync::OnceLock, time::Instant};

use parking_lot::Mutex;
use redis::{AsyncCommands as _, Client, RedisError, aio::MultiplexedConnection};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    asked::Asked,
    emitters::Emitters,
    names::{Kind, Names},
    queue::Queue,
    scripts::Scripts,
};
use crate::{
    clock::{Clock, Timestamp},
    metrics,
};

/// Whether this node is connected to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It hears them, and they hear it.
    Connected,
    /// Redis can't be reached since then.
    Away(Timestamp),
}

/// Redis can't be reached, or does not do what it is asked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

pub(super) struct Shared {
    pub(super) names: Names,
    pub(super) client: Client,
    pub(super) queue: Queue,
    pub(super) scripts: Scripts,
    /// What was asked of other nodes.
    pub(super) asked: Asked,
    /// What is heard of emitters, where they are.
    pub(super) emitters: OnceLock<Emitters>,
    /// Told when others are to be woken.
    pub(super) committed: Notify,
    pub(super) clock: Clock,
    session: Mutex<Option<Session>>,
    state: watch::Sender<State>,
}

/// The way to Redis from one connect to its loss.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) commands: MultiplexedConnection,
    /// Told by who finds that it does not work any more, and why.
    pub(super) broken: mpsc::Sender<RedisError>,
}

impl Shared {
    pub(super) fn new(names: Names, client: Client, clock: Clock) -> Self {
        let (state, _) = watch::channel(State::Away(clock.now()));
        metrics::cluster_configured().set(1.0);
        metrics::cluster_connected().set(0.0);
        let (queue, asked, emitters, committed, session) = Default::default();
        let scripts = Scripts::new();
        Self { names, client, queue, scripts, asked, emitters, committed, clock, session, state }
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// There is a way from now on.
    pub(super) fn connected(&self, session: Session) {
        *self.session.lock() = Some(session);
        self.queue.open();
        self.state.send_replace(State::Connected);
        metrics::cluster_connected().set(1.0);
    }

    /// There is none any more; whether there was one.
    pub(super) fn lost(&self) -> bool {
        let was_there = self.session.lock().take().is_some();
        if was_there {
            self.queue.close();
            self.state.send_replace(State::Away(self.clock.now()));
            metrics::cluster_connected().set(0.0);
        }
        was_there
    }

    /// Says something to whoever listens.
    pub(super) async fn publish(
        &self,
        kind: Kind,
        channel: &str,
        message: String,
    ) -> Result<(), Away> {
        let publish = async |redis: &mut MultiplexedConnection| {
            redis.publish::<_, _, i64>(channel, message).await
        };
        self.ask(publish).await?;
        metrics::cluster_published(kind.label()).increment(1);
        Ok(())
    }

    /// Asks Redis something. Where that fails it is connected anew.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Away> {
        let session = self.session.lock().clone();
        let Session { mut commands, broken } = session.ok_or(Away)?;
        let begun = Instant::now();
        let answered = question(&mut commands).await;
        metrics::cluster_ask().record(begun.elapsed());
        answered.map_err(|error| {
            tracing::debug!(%error, "Redis did not do what it was asked");
            // The first one counts.
            let _ = broken.try_send(error);
            Away
        })
    }
}
