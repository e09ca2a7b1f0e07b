//! The webhooks of a server: begun, asked how they do, and told to tell again.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use anyhow::Context;

use super::{
    courier::{Courier, Desk, Health, Needs},
    delivery::{self, Telling},
    documents::{WebhookEndpoint, WebhookFailure, WebhookState},
    endpoint::Endpoint,
    requests::{CallId, Replay},
    store::{
        deliveries::{self, Pending, PutAside, Tried},
        progress::{self, Progress},
        streams,
    },
};
use crate::{
    clock::{Clock, Timestamp},
    config::{Config, Environment, WebhookConfig},
    db::{self, Db, Portion, Tx},
    error::{Code, Error, Result},
    event::EventPatterns,
    outgoing,
    presence::Presence,
    realtime::Catalogue,
    rest::list::{List, Page},
    signature::SigningKeys,
    tasks::Tasks,
};

/// Failures are counted up to this.
const COUNTED: i64 = 1000;

/// Rows that one unit forgets.
const FORGOTTEN: i64 = 500;

/// Webhooks that were configured before, looked at once.
const NAMES: i64 = 1000;

/// One event.
const ONE: Portion = Portion { events: 1, bytes: 0 };

/// The webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    db: Db,
    webhooks: Vec<Webhook>,
    needs: Arc<Needs>,
}

struct Webhook {
    name: Arc<str>,
    url: String,
    events: Vec<String>,
    courier: Arc<Courier>,
    desk: Arc<Desk>,
}

impl Webhooks {
    /// Those that are configured; one that was not before is told of what is kept from now on. What is
    /// kept of others is forgotten.
    ///
    /// # Errors
    /// When one can't be used, of which a validated configuration has none, or the store's.
    pub async fn start(
        config: &Config,
        db: &Db,
        clock: &Clock,
        catalogue: &Arc<Catalogue>,
        presence: &Presence,
    ) -> anyhow::Result<Self> {
        let configured = config.webhooks.all();
        let needs = Arc::new(Needs::new(db.clone(), configured.len()));
        let mut webhooks = Vec::new();
        for (place, webhook) in configured.into_iter().enumerate() {
            let telling = Telling {
                patterns: EventPatterns::new(&webhook.events)?,
                catalogue: catalogue.clone(),
                audience: config.realtime.event_audience,
                presence: presence.clone(),
            };
            let name = webhook.name.clone();
            let built = Webhook::new(config, webhook, clock, telling, (&needs, place), db);
            webhooks.push(built.with_context(|| format!("the webhook {name}"))?);
        }
        let this = Self(Arc::new(Inner { db: db.clone(), webhooks, needs }));
        this.begin().await?;
        Ok(this)
    }

    /// Knows how far each is.
    async fn begin(&self) -> Result<()> {
        let names: BTreeSet<_> =
            self.0.webhooks.iter().map(|webhook| webhook.name.clone()).collect();
        let unit = async |tx: &mut Tx<'_>| Ok(progress::names(tx, NAMES).await?);
        for other in self.0.db.read(unit).await? {
            if !names.contains(&*other) {
                self.forget_after(&other.as_str().into(), i64::MIN, None).await?;
                let unit = async move |tx: &mut Tx<'_>| Ok(progress::forget(tx, &other).await?);
                self.0.db.write(unit).await?;
            }
        }
        let settled = self.0.db.reach().settled();
        for (place, webhook) in self.0.webhooks.iter().enumerate() {
            let name = webhook.name.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                let Progress { position, off_at, .. } = progress::begin(tx, &name, settled).await?;
                Ok((position, off_at, deliveries::lowest(tx, &name).await?))
            };
            let (position, off_at, lowest) = self.0.db.write(unit).await?;
            webhook.desk.health.lock().off_at = off_at;
            self.0.needs.set(place, position, lowest);
        }
        Ok(())
    }

    /// Has events delivered, until the server stops.
    pub fn deliver(&self, tasks: &Tasks) {
        for webhook in &self.0.webhooks {
            tasks.spawn("webhook", webhook.courier.clone().run(tasks.stopping()));
        }
    }

    /// How each does.
    pub(super) async fn list(&self, page: &Page) -> Result<List<WebhookEndpoint>> {
        let after: Option<String> = page.after()?;
        let mut webhooks: Vec<_> = self.0.webhooks.iter().collect();
        webhooks.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let is_after =
            |webhook: &&Webhook| after.as_deref().is_none_or(|last| *webhook.name > *last);
        let mut found = Vec::new();
        for webhook in webhooks.into_iter().filter(is_after).take(page.fetch()) {
            let name = webhook.name.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                let failures = deliveries::count_aside(tx, &name, COUNTED).await?;
                let off_at = progress::find(tx, &name).await?.off_at;
                Ok((failures, off_at, progress::health(tx, &name).await?))
            };
            let (failures, off_at, told) = self.0.db.read(unit).await?;
            let told = told.and_then(|told| serde_json::from_str(&told).ok()).unwrap_or_default();
            let told = Health { off_at, ..told };
            found.push(webhook.document(told, failures));
        }
        Ok(List::of(found, page, |webhook| webhook.name.clone(), |webhook| webhook))
    }

    /// What one has put aside, the latest first.
    pub(super) async fn failures(&self, name: &str, page: &Page) -> Result<List<WebhookFailure>> {
        let name = self.find(name)?.name.clone();
        let before: Option<(i64, i64)> = page.after()?;
        let limit = i64::try_from(page.fetch()).map_err(Error::internal)?;
        let unit =
            async move |tx: &mut Tx<'_>| Ok(deliveries::aside(tx, &name, before, limit).await?);
        let rows = self.0.db.read(unit).await?;
        let key = |row: &PutAside| (row.aside_at.millis(), row.pending.position);
        Ok(List::of(rows, page, key, |row| failure(&row)))
    }

    /// Has one tell again, and turns it on.
    pub(super) async fn replay(&self, name: &str, replay: Replay) -> Result<()> {
        let webhook = self.find(name)?;
        webhook.desk.written().await;
        let name = webhook.name.clone();
        match replay {
            Replay::Since(since) => {
                let of = name.clone();
                let unit = async move |tx: &mut Tx<'_>| rewind(tx, &of, since).await;
                let rewound = self.0.db.write(unit).await?;
                // They are read again, in their order.
                self.forget_after(&name, rewound.position, Some(rewound)).await?;
                let unit = async move |tx: &mut Tx<'_>| {
                    // Not where somebody has replayed it anew meanwhile.
                    let on = Progress { off_at: None, ..rewound };
                    if progress::set(tx, &name, on).await? {
                        progress::change(tx, &name).await?;
                    }
                    Ok(())
                };
                self.0.db.write(unit).await?;
            }
            Replay::Ids(ids) => {
                let unit = async move |tx: &mut Tx<'_>| try_again(tx, &name, &ids).await;
                self.0.db.write(unit).await?;
            }
        }
        webhook.desk.health.lock().off_at = None;
        webhook.desk.wake.notify_one();
        Ok(())
    }

    fn find(&self, name: &str) -> Result<&Webhook> {
        let found = self.0.webhooks.iter().find(|webhook| &*webhook.name == name);
        found.ok_or_else(|| Error::new(Code::NotFound, "There is no such webhook."))
    }

    /// Forgets what one is still to be told after a position; as long as it is as here, where that is
    /// said.
    async fn forget_after(
        &self,
        name: &Arc<str>,
        after: i64,
        while_it_is: Option<Progress>,
    ) -> Result<()> {
        loop {
            let name = name.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                // Nobody changes it until the unit has ended.
                if let Some(progress) = while_it_is
                    && !progress::set(tx, &name, progress).await?
                {
                    return Ok(0);
                }
                let streams = streams::forget_after(tx, &name, after, FORGOTTEN).await?;
                Ok(streams + deliveries::forget_after(tx, &name, after, FORGOTTEN).await?)
            };
            if self.0.db.write(unit).await? == 0 {
                return Ok(());
            }
        }
    }
}

impl Webhook {
    fn new(
        config: &Config,
        webhook: WebhookConfig,
        clock: &Clock,
        telling: Telling,
        (needs, place_of_needs): (&Arc<Needs>, usize),
        db: &Db,
    ) -> anyhow::Result<Self> {
        let development = config.environment == Environment::Development;
        let (place, network) = webhook.place(development).map_err(anyhow::Error::msg)?;
        let secret = webhook.secret.as_ref().context("a secret is needed")?;
        let endpoint = Endpoint {
            http: outgoing::client(network, config.webhooks.timeout)?,
            url: place.url.clone(),
            keys: SigningKeys::read(secret)?,
            clock: clock.clone(),
        };
        let (name, desk): (Arc<str>, Arc<Desk>) = (webhook.name.into(), Arc::default());
        let courier = Courier {
            name: name.clone(),
            db: db.clone(),
            clock: clock.clone(),
            telling,
            endpoint: Arc::new(endpoint),
            max_calls: config.webhooks.max_calls,
            desk: desk.clone(),
            needs: needs.clone(),
            place: place_of_needs,
        };
        let (url, events) = (place.shown(), webhook.events);
        Ok(Self { name, url, events, courier: Arc::new(courier), desk })
    }

    /// As it is seen here; where another process delivers, as that has told.
    fn document(&self, told: Health, failures: u64) -> WebhookEndpoint {
        let is_here = self.desk.is_here.load(Ordering::Acquire);
        let health = if is_here { self.desk.health.lock().clone() } else { told };
        let state = match health.off_at {
            Some(_) => WebhookState::Off,
            None if health.is_failing() => WebhookState::Failing,
            None => WebhookState::Ok,
        };
        WebhookEndpoint {
            name: self.name.to_string(),
            url: self.url.clone(),
            events: self.events.clone(),
            state,
            off_at: health.off_at,
            behind_by: health.behind,
            oldest_at: health.oldest_at,
            retrying: health.retried,
            failures,
            delivered_at: health.delivered_at,
            failed_at: health.failed_at,
            last_error: health.reason,
        }
    }
}

fn failure(row: &PutAside) -> WebhookFailure {
    let Pending { position, stream, seq, event, created_at, tried } = row.pending.clone();
    WebhookFailure {
        id: delivery::id(created_at, position),
        r#type: event,
        stream,
        seq,
        created_at,
        attempts: tried.attempts,
        failed_at: row.aside_at,
        last_error: tried.reason.unwrap_or_default(),
    }
}

/// Has a webhook begin before what was announced since a time, if it has come further; where that is.
/// Until what it was still to be told is forgotten, it is off.
async fn rewind(tx: &mut Tx<'_>, webhook: &str, since: Timestamp) -> Result<Progress> {
    let before = db::position_before(tx, since).await?;
    // Events of before there were positions have none to be told by.
    let before = before.map_or(i64::MAX, |before| before.max(0));
    let progress = progress::change(tx, webhook).await?;
    let position = progress.position.min(before);
    let rewound = Progress { position, off_at: Some(tx.now()), ..progress };
    progress::set(tx, webhook, rewound).await?;
    Ok(rewound)
}

/// Has these events tried by themselves.
async fn try_again(tx: &mut Tx<'_>, webhook: &str, ids: &[CallId]) -> Result<()> {
    let progress = progress::change(tx, webhook).await?;
    for (at, id) in ids.iter().enumerate() {
        let pending = match delivery::read_id(&id.0) {
            Some((created_at, position)) => kept(tx, created_at, position).await?,
            None => None,
        };
        let unknown = || Error::invalid(format!("/ids/{at}"), "names no event that is still kept");
        deliveries::try_again(tx, webhook, &pending.ok_or_else(unknown)?).await?;
    }
    progress::set(tx, webhook, Progress { off_at: None, ..progress }).await?;
    Ok(())
}

/// An event that is still kept, to be told now.
async fn kept(tx: &mut Tx<'_>, created_at: Timestamp, position: i64) -> Result<Option<Pending>> {
    let found = db::committed_after(tx, position - 1, position, ONE).await?.pop();
    let found = found.filter(|event| event.created_at == created_at);
    let Some(event) = found else { return Ok(None) };
    let name = event.wire_events.first().map(|one| one.event.as_str().to_owned());
    let first = event.numbers.into_iter().next();
    let (Some(name), Some((stream, seq))) = (name, first) else { return Ok(None) };
    let tried = Tried { next_at: Some(tx.now()), ..Tried::default() };
    let stream = stream.to_string();
    Ok(Some(Pending { position, stream, seq, event: name, created_at, tried }))
}
