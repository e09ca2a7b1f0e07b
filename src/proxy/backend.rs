//! The backend that is asked: a signed POST, so many at once, and an answer within a time and a size.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context;
use http::{
    HeaderMap, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Client;
use serde::Serialize;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};
use url::Url;

use super::{
    answer::{Answer, JoinAnswer},
    breaker::Breaker,
    question::{JoinQuestion, Topic},
    rights::{Full, Rights},
};
use crate::{
    access::Membership,
    auth::Identity,
    clock::Clock,
    config::Config,
    error::{Code, Error, Result, with_causes},
    id::{Id, Ids},
    log_limit,
    metrics::{self, Counted},
    outgoing::{self, Network, Place, Unread},
    rest::health::Readiness,
    room::Room,
    signature::SigningKeys,
};

/// What it is called where operators look.
const PART: &str = "proxy";

/// What questions about rooms are counted by.
const ROOMS: &str = "rooms";

/// The fields of answers.
const FIELDS: [&str; 7] = ["ack", "error", "emit", "join", "leave", "allow", "for"];

/// The backend that is asked. Cheap to clone.
#[derive(Clone)]
pub struct Backend(Arc<Inner>);

struct Inner {
    http: Client,
    url: Url,
    keys: SigningKeys,
    timeout: Duration,
    max_answer_bytes: usize,
    /// One for each question, under way or waiting.
    places: Semaphore,
    /// One for each question under way.
    calls: Semaphore,
    breaker: Breaker,
    /// Whether it is asked about rooms.
    asks_for_rooms: bool,
    rights: Rights,
    readiness: Readiness,
    clock: Clock,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it is not asked, since it failed several times in a row")]
    Open,
    #[error("too many questions are under way")]
    Busy,
    #[error("it did not answer in time")]
    Timeout,
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    #[error("it answered with {0}")]
    Status(StatusCode),
    #[error("it answered with something else than JSON")]
    ContentType,
    #[error("it answered with too much")]
    TooLarge,
    #[error("its answer is none: {0}")]
    Unreadable(String),
}

impl Failure {
    /// As one word that stays the same.
    const fn outcome(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Status(_) => "status",
            Self::ContentType | Self::Unreadable(_) => "unreadable",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether it is the backend that failed, whoever asked: not where it says that the question is at
    /// fault, or answers this one with what is no answer, which a client may bring about with what it
    /// says; nor where the question had waited for most of its time.
    fn is_its_own(&self) -> bool {
        match self {
            Self::ContentType | Self::Unreadable(_) | Self::Busy => false,
            Self::Status(status) => {
                let fails = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                !status.is_client_error() || fails.contains(status)
            }
            _ => true,
        }
    }
}

impl Backend {
    /// The configured one; none where no URL is set. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When a setting can't be used, which a validated configuration has none of.
    pub fn new(
        config: &Config,
        clock: Clock,
        readiness: Readiness,
    ) -> anyhow::Result<Option<Self>> {
        let proxy = &config.proxy;
        let Some(url) = &proxy.url else { return Ok(None) };
        let place = Place::read(url).map_err(anyhow::Error::msg).context("PROXY_URL")?;
        // What is not encrypted goes to private networks only, whatever a name leads to.
        let network = if place.is_encrypted() { Network::Any } else { Network::Private };
        let secret = proxy.secret.as_ref().context("PROXY_SECRET is needed")?;
        readiness.tell(PART, "ok");
        Ok(Some(Self(Arc::new(Inner {
            http: outgoing::client(network, proxy.timeout).context("PROXY_URL")?,
            url: place.url,
            keys: SigningKeys::read(secret).context("PROXY_SECRET")?,
            timeout: proxy.timeout,
            max_answer_bytes: config.server.max_payload_bytes,
            places: Semaphore::new(proxy.max_calls.saturating_add(proxy.max_waiting)),
            calls: Semaphore::new(proxy.max_calls),
            breaker: Breaker::default(),
            asks_for_rooms: proxy.rooms,
            rights: Rights::new(proxy.max_rights),
            readiness,
            clock,
        }))))
    }

    /// Whether it is asked about rooms and conversations that are not kept here.
    pub(super) fn asks_for_rooms(&self) -> bool {
        self.0.asks_for_rooms
    }

    /// The rights that it has given.
    pub(super) fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Someone's membership of a room that this server has no record of.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when it does not answer, or more rights are remembered than may be.
    pub async fn membership(&self, identity: &Identity, room: &Room) -> Result<Membership> {
        if !self.0.asks_for_rooms {
            return Ok(Membership::Unknown);
        }
        if self.0.rights.holds(&identity.user_id, room) {
            return Ok(Membership::Member);
        }
        self.renew(identity, room).await
    }

    /// The same, asked in any case.
    pub(super) async fn renew(&self, identity: &Identity, room: &Room) -> Result<Membership> {
        let topic = Topic { kind: "join", event: ROOMS.into() };
        match self.ask(&topic, &JoinQuestion::of(identity, room)).await? {
            JoinAnswer::Allowed(life) => {
                let kept = self.0.rights.set(&identity.user_id, room, life);
                kept.map_err(|Full| Error::new(Code::Unavailable, "Too many rights are kept."))?;
                Ok(Membership::Member)
            }
            JoinAnswer::Refused => {
                self.0.rights.forget(&identity.user_id, room);
                Ok(Membership::Stranger)
            }
        }
    }

    /// A right was taken back: it is asked about again.
    pub fn forget(&self, user: &Id, room: &Room) {
        self.0.rights.forget(user, room);
    }

    /// Asks it.
    ///
    /// # Errors
    /// [`Code::Unavailable`]
    pub(super) async fn ask<A: Answer>(
        &self,
        topic: &Topic,
        question: &impl Serialize,
    ) -> Result<A> {
        let _waits = Counted::by(metrics::proxy_waiting());
        let begun = Instant::now();
        let asked = self.0.ask(question, begun + self.0.timeout).await;
        let outcome = asked.as_ref().map_or_else(Failure::outcome, A::outcome);
        metrics::proxy_questions(topic.kind, topic.event.clone(), outcome).increment(1);
        metrics::proxy_duration(topic.kind, topic.event.clone()).record(begun.elapsed());
        asked.map_err(|failure| {
            tell(topic, outcome, &failure);
            Error::new(Code::Unavailable, "What answers this is not available; try again.")
        })
    }
}

/// Says in the log that something of a backend's is at fault; the texts of its answers are in none.
pub(super) fn tell(topic: &Topic, about: &str, why: &dyn fmt::Display) {
    if let Some(left_out) = log_limit::admit(PART, None, about) {
        let event = &*topic.event;
        tracing::warn!(kind = topic.kind, event, %why, left_out, "the backend did not answer an event");
    }
}

impl Inner {
    async fn ask<A: Answer>(
        &self,
        question: &impl Serialize,
        deadline: Instant,
    ) -> Result<A, Failure> {
        if self.breaker.refuses() {
            return Err(Failure::Open);
        }
        let _place = self.places.try_acquire().map_err(|_| Failure::Busy)?;
        let _permit = self.permit(deadline).await?;
        if !self.breaker.admits() {
            return Err(Failure::Open);
        }
        let had_time = deadline - Instant::now() > self.timeout / 2;
        let exchange = timeout_at(deadline, self.exchange(question)).await;
        let late = if had_time { Failure::Timeout } else { Failure::Busy };
        let answer = exchange.unwrap_or(Err(late));
        let answer = answer
            .and_then(|body| A::read(&body).map_err(|error| Failure::Unreadable(fault(&error))));
        self.note(answer.as_ref().err());
        answer
    }

    /// In the order in which it was asked for.
    async fn permit(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        let permit = timeout_at(deadline, self.calls.acquire()).await;
        permit.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)
    }

    /// Whether it answered.
    fn note(&self, failure: Option<&Failure>) {
        let Some(why) = failure.filter(|failure| failure.is_its_own()) else {
            if self.breaker.answered() {
                self.readiness.tell(PART, "ok");
                tracing::info!("the backend of the event proxy answers again");
            }
            return;
        };
        if self.breaker.failed() {
            self.readiness.tell(PART, "failing");
            tracing::warn!(
                %why,
                "the backend of the event proxy fails, and is asked once a second until it answers"
            );
        }
    }

    async fn exchange(&self, question: &impl Serialize) -> Result<Vec<u8>, Failure> {
        let body = serde_json::to_vec(question);
        let body = body.map_err(|_| Failure::Unreadable("the question".to_owned()))?;
        let id = format!("msg_{}", Ids.next());
        let stamp = (id.as_str(), self.clock.now().seconds());
        let request = outgoing::signed(&self.http, &self.url, &self.keys, stamp, body);
        let response = request.header(ACCEPT, "application/json").send().await;
        let response = response.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        if !is_json(response.headers()) {
            return Err(Failure::ContentType);
        }
        let body = outgoing::read(response, self.max_answer_bytes).await;
        body.map_err(|unread| match unread {
            Unread::TooLarge => Failure::TooLarge,
            Unread::Lost(error) => unreachable(error),
        })
    }
}

/// Its own timeout comes a moment after that of the call.
fn unreachable(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    Failure::Unreachable(with_causes(&error.without_url()))
}

/// What is wrong with an answer, without a word of what it says: its own fields are named, and the
/// place of an item in one.
fn fault(error: &Error) -> String {
    let pointer = error.fields().first().map(|field| field.pointer.as_str()).unwrap_or_default();
    let mut steps = pointer.split('/').skip(1);
    let field = steps.next().and_then(|field| FIELDS.iter().find(|known| **known == field));
    let place = match (field, steps.next().and_then(|item| item.parse::<usize>().ok())) {
        (Some(field), Some(item)) => format!("/{field}/{item}"),
        (Some(field), None) => format!("/{field}"),
        (None, _) => "the whole".to_owned(),
    };
    format!("{} ({place})", error.code_name())
}

/// `application/json`, or another type that is JSON (RFC 6839, section 3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}
