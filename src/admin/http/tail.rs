//! `GET /api/tail`: events as they are sent, for whoever may know.

use std::{convert::Infallible, num::NonZeroU64, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header::CACHE_CONTROL};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::{
    admin::{documents::Tailed, requests::TailFilter, secrets::hide, service::Admin},
    auth::OperatorCaller,
    error::Result,
    event::Namespace,
    failures,
    realtime::{LiveEvent, LiveFilter, LiveNews, Realtime, Watch},
    rest::body::{Query, Recheck},
    room::Room,
};

failures! {
    /// As many listen as may.
    TooMany = Unavailable("too_many_listeners"), "As many listen to events as may.";
}

/// For how long one listens at most; then they ask again.
const LONGEST: Duration = Duration::from_hours(1);

/// How often something is said, so that nobody between takes the answer for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams events as they are sent to sockets.
///
/// Needs the role `service` or `admin`. As server-sent events: `sent` for an event, `left_out` with a number
/// where more were sent than are told, which is 200 a second. What is sent to rooms and to everyone, on whichever
/// node; not what one socket alone is sent, as what it missed. With what became of it at the sockets of the node
/// that is asked: `written` to at least one, heard by `nobody`, or `dropped` for some that were behind. Values that look like secrets are hidden, and
/// data of more than 8 KiB is left out. The answer ends after an hour, with the caller's token, when they are
/// revoked or blocked, or when the server stops.
#[utoipa::path(
    get,
    path = "/api/tail",
    tag = "Operations",
    params(TailFilter),
    responses(
        (
            status = 200,
            description = "Events, each with a `Tailed` as its data.",
            body = String,
            content_type = "text/event-stream",
        ),
        TooMany,
    )
)]
pub(super) async fn tail(
    State(realtime): State<Realtime>,
    State(admin): State<Admin>,
    operator: OperatorCaller,
    recheck: Option<Extension<Recheck>>,
    Query(TailFilter { event, room, user, outcome, limit }): Query<TailFilter>,
) -> Result<Response> {
    let tail = realtime.tail(LiveFilter { event, room, user, outcome }).await?;
    let good_for = operator.identity.expires_at.map(|end| admin.now().until(end));
    let end = Instant::now() + good_for.map_or(LONGEST, |time| time.min(LONGEST));
    let news =
        stream::unfold((tail, limit.map(NonZeroU64::get)), move |(mut tail, left)| async move {
            if left == Some(0) {
                return None;
            }
            let news = timeout_at(end, tail.next()).await.ok()??;
            let left = left.map(|left| left - u64::from(matches!(news, LiveNews::Event(_))));
            Some((said(news), (tail, left)))
        });
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    let news = Recheck::guard(recheck.map(|Extension(recheck)| recheck), news);
    let mut answer = Sse::new(news.map(Ok::<_, Infallible>)).keep_alive(alive).into_response();
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers answers would hold it back.
    answer.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(answer)
}

fn said(news: LiveNews) -> Event {
    let (name, data) = match news {
        LiveNews::Event(event) => ("sent", serde_json::to_string(&tailed(&event))),
        LiveNews::LeftOut(events) => ("left_out", Ok(json!({ "leftOut": events }).to_string())),
    };
    // It has no field that can't be written.
    Event::default().event(name).data(data.unwrap_or_default())
}

fn tailed(
    LiveEvent { at, event, rooms, except, namespaces, streams, position, sockets, outcome }: &LiveEvent,
) -> Tailed {
    let data = event.data().get();
    let shown = Watch::shows(data.len()).then(|| serde_json::from_str(data).ok()).flatten();
    let names = |rooms: &[Room]| rooms.iter().map(ToString::to_string).collect();
    Tailed {
        at: *at,
        event: event.event().to_owned(),
        rooms: rooms.as_deref().map(names),
        except: names(except),
        namespaces: namespaces.iter().map(Namespace::path).collect(),
        streams: streams.iter().map(|(stream, seq)| format!("{stream}:{seq}")).collect(),
        position: *position,
        sockets: *sockets,
        outcome: *outcome,
        several: event.is_several(),
        bytes: data.len(),
        data: shown.map(|mut data| {
            hide(&mut data);
            data
        }),
    }
}
