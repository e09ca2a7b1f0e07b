//! Delivers events to one backend: reads them in the order of all of them, calls it for several streams
//! at once, and writes down how far it is.

mod came;
mod desk;
mod life;
mod needs;
mod queue;
mod round;
mod settle;
mod waits;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, field::Empty};

use self::came::{Came, Found, Of};
pub(super) use self::{
    desk::{Desk, Health},
    needs::Needs,
};
use super::{
    delivery::{Delivery, Telling},
    endpoint::{Endpoint, Outcome},
    store::deliveries,
};
use crate::{
    clock::Clock,
    db::{self, Db, Portion, Tx},
    error::Result,
    traces,
};

/// How long what was put aside is kept: as long as events are that are still needed.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// How often it is written down how far it is.
const WRITE_INTERVAL: Duration = Duration::from_millis(100);

/// Rows that are forgotten together.
const FORGOTTEN: i64 = 100;

/// How much is read at once.
const PORTION: Portion = Portion { events: 200, bytes: 1024 * 1024 };

/// Delivers events to one backend.
pub(super) struct Courier {
    pub(super) name: Arc<str>,
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) telling: Telling,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) max_calls: usize,
    pub(super) desk: Arc<Desk>,
    /// Which events are still needed, and whose place there is this.
    pub(super) needs: Arc<Needs>,
    pub(super) place: usize,
}

impl Courier {
    /// Calls the backend for an event, from one of its calls on.
    async fn tell(self: Arc<Self>, delivery: Arc<Delivery>, mut sent: usize) -> Came {
        let (position, begun) = (delivery.position, Instant::now());
        let mut outcome = Outcome::Delivered;
        let span = traces::span!(
            "webhook",
            otel.kind = "client",
            otel.status_code = Empty,
            webhook = &*self.name,
            position
        );
        if let Some(cause) = self.db.cause(position) {
            cause.leads_to(&span);
        }
        while sent < delivery.calls() && matches!(outcome, Outcome::Delivered) {
            let Some(body) = delivery.body(sent, &self.telling.presence) else { break };
            let id = delivery.id(sent);
            outcome = self.endpoint.call(&id, body).instrument(span.clone()).await;
            sent += usize::from(matches!(outcome, Outcome::Delivered));
        }
        if !matches!(outcome, Outcome::Delivered) {
            span.record("otel.status_code", "ERROR");
        }
        Came { position, of: Of::Calls { sent, outcome, took: begun.elapsed() } }
    }

    /// The same for an event that is read for it.
    async fn tell_again(self: Arc<Self>, position: i64, sent: usize) -> Came {
        match self.find(position).await {
            Ok(Found::Delivery(delivery)) => self.tell(Arc::new(*delivery), sent).await,
            Ok(Found::Nothing) => Came { position, of: Of::Nothing },
            Ok(Found::Gone) => Came { position, of: Of::Gone },
            Err(_) => Came { position, of: Of::Store },
        }
    }

    /// Forgets what was put aside too long ago to be replayed.
    async fn forget(&self) -> Result<()> {
        loop {
            let name = self.name.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                let before = tx.now() - KEPT_FOR;
                Ok(deliveries::forget_aside(tx, &name, before, FORGOTTEN).await?)
            };
            if self.db.write(unit).await? == 0 {
                return Ok(());
            }
            sleep(WRITE_INTERVAL).await;
        }
    }

    async fn find(&self, position: i64) -> Result<Found> {
        let telling = self.telling.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut events = db::committed_after(tx, position - 1, position, PORTION).await?;
            let Some(event) = events.pop() else { return Ok(Found::Gone) };
            let Some(mut delivery) = telling.of(event, tx.now()) else { return Ok(Found::Nothing) };
            delivery.find_people(tx).await?;
            Ok(Found::Delivery(Box::new(delivery)))
        };
        self.db.read(unit).await
    }

    /// The next events after a position that the backend is told, and up to where that is all.
    async fn read(&self, after: i64, upto: i64) -> Result<(Vec<Delivery>, i64)> {
        let telling = self.telling.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let events = db::committed_after(tx, after, upto, PORTION).await?;
            let last = events.last().map_or(upto, |event| event.position);
            let mut deliveries = Vec::new();
            for event in events {
                if let Some(mut delivery) = telling.of(event, tx.now()) {
                    delivery.find_people(tx).await?;
                    deliveries.push(delivery);
                }
            }
            Ok((deliveries, last))
        };
        self.db.read(unit).await
    }
}
