//! Long-polling sessions. What is said to a client waits in its [`Polls`](crate::realtime::polls)
//! and is put into the next answer here, behind what the engine has for it: session, CONNECT, pings.
//! The engine's first ping is answered here (as on websockets), bodies are bounded in bytes, time and
//! packets, answers are written one at a time, and a burst of packets is handed over no faster than
//! it is done.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    HeaderMap,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde::Deserialize;
use socketioxide::socket::Sid;
use tokio::task::coop::unconstrained;

use super::{
    answers::in_our_words,
    query::Query,
    refusal::{BAD_REQUEST, UNKNOWN_SESSION},
};
use crate::{
    error::{Code, Error, Result},
    limits::PacketLimit,
    metrics,
    realtime::{
        connection::Context,
        engine::{Answer, Engine, PollingSession, ask},
        events::ClosingReason,
        link::{Link, LinkEntry, LinksBySid},
        names,
        packet::LONGEST_NAMESPACE,
        payload::{self, NoPayload, Packets, join},
        polls::Polls,
    },
    tasks::Tasks,
};

/// Packets given to the engine before it is seen whether the client's queue keeps up.
const PACKETS_AT_ONCE: usize = 16;

/// Engine.IO's packet that says nothing (protocol v4, "Upgrade").
const NOOP: &str = "6";

/// What a body may take.
#[derive(Clone)]
pub(super) struct BodyLimits {
    pub(super) bytes: usize,
    pub(super) timeout: Duration,
    pub(super) packets: Option<PacketLimit>,
}

/// Opens a session.
pub(super) async fn open(
    engine: &Engine,
    links: &Arc<LinksBySid>,
    query: &Query,
    link: Arc<Link>,
    tasks: Tasks,
) -> Result<Response> {
    #[derive(Deserialize)]
    struct Open {
        sid: String,
    }

    let version = if query.v3 { 3 } else { 4 };
    let mut request = http::Request::new(Full::default());
    let uri = format!("/socket.io/?EIO={version}&transport=polling");
    let b64 = if query.v3 { "&b64=1" } else { "" };
    *request.uri_mut() = format!("{uri}{b64}").parse().map_err(Error::internal)?;
    request.extensions_mut().insert(link.clone());
    let answer = ask(engine.clone(), request).await;
    let body = std::str::from_utf8(answer.body()).map_err(Error::internal)?;
    let open = body.find('{').map(|start| &body[start..]).unwrap_or_default();
    let open = serde_json::Deserializer::from_str(open).into_iter::<Open>().next();
    let sid: Option<Sid> = open.and_then(Result::ok).and_then(|open| open.sid.parse().ok());
    let sid = sid.ok_or_else(|| Error::internal("the engine opened no session"))?;
    let known = LinkEntry::by(sid, links, &link);
    let uri = format!("{uri}&sid={sid}").parse().map_err(Error::internal)?;
    let session = PollingSession::new(engine.clone(), uri, query.v3, tasks);
    if !query.v3 {
        session.answer_first_ping().await;
    }
    session.takes(body);
    link.set_polling(session, known);
    Ok(respond(answer))
}

/// Waits for what the server has for the client.
pub(super) async fn receive(
    context: &Context,
    link: &Arc<Link>,
    headers: &HeaderMap,
) -> Result<Response> {
    let session = session(link)?;
    let abandoned = Abandoned(Some(session));
    let polls = polls(link)?;
    polls.written().await;
    let is_v3 = session.is_v3();
    // Asked whether it has something, it always says so.
    let mut engine = pin!(unconstrained(session.poll()));
    let (frames, answer) = loop {
        if polls.is_upgrading() {
            // The client waits for this before it goes on over the websocket.
            abandoned.not();
            return Ok(text(polls.write(join(&[NOOP], is_v3).into()), None));
        }
        // What the engine has by now goes before these: among it is the CONNECT of each.
        let frames = polls.answer();
        if !frames.is_empty() {
            break (frames, engine.as_mut().now_or_never());
        }
        tokio::select! {
            biased;
            answer = engine.as_mut() => break (frames, Some(answer)),
            () = polls.filled() => {}
        }
    };
    polls.answered();
    abandoned.not();
    let answer = answer.unwrap_or_default();
    if !answer.status().is_success() {
        return Err(refused(&answer));
    }
    let mut packets = answer.into_body();
    let told = std::str::from_utf8(&packets).unwrap_or_default();
    session.takes(told);
    if is_v3 {
        packets = payload::with_plain_errors(packets);
    } else if told.contains("40") {
        let told = Packets::of(told, false).flatten();
        let told: Vec<_> = told.map(|packet| in_our_words(context, link, packet)).collect();
        packets = join(&told, false).into();
    }
    let body = payload::with_frames(packets, &frames, is_v3);
    if polls.has_ended() {
        session.close();
    }
    context.watch.told(frames.len(), body.len());
    let zipped = if accepts_gzip(headers) { payload::gzip(&body) } else { None };
    let encoding = zipped.is_some().then_some("gzip");
    Ok(text(polls.write(zipped.unwrap_or(body)), encoding))
}

fn text(body: Bytes, encoding: Option<&'static str>) -> Response {
    let encoding = encoding.map(|encoding| [(CONTENT_ENCODING, encoding)]);
    let body = axum::body::Body::from(body);
    ([(CONTENT_TYPE, "text/plain; charset=UTF-8")], encoding, body).into_response()
}

/// Whether a client takes gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    encodings.flat_map(|value| value.split(',')).any(|encoding| {
        let (name, weight) = encoding.split_once(';').unwrap_or((encoding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// A client that goes away in the middle of a poll has gone altogether, as for Node's server.
struct Abandoned<'a>(Option<&'a PollingSession>);

impl Abandoned<'_> {
    fn not(mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            session.close();
        }
    }
}

/// Takes what the client has for the server. A body that is none ends the session, as it does on
/// Node's server.
pub(super) async fn send(
    context: &Context,
    link: &Arc<Link>,
    request: Request,
    limits: &BodyLimits,
) -> Result<Response> {
    let session = session(link)?;
    let _permit = polls(link)?.body().await;
    let is_octets = session.is_v3()
        && request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/octet-stream");
    let body = read(request, limits).await?;
    let outcome =
        read_packets(context, link, session, &body, is_octets, limits.packets.as_ref()).await;
    if outcome.is_err() {
        session.post("1").await;
    }
    outcome.unwrap_or_else(|NoPayload| {
        Err(Error::new(Code::Malformed, "The body is no payload of this protocol."))
    })
}

/// Hands the packets of a body to the engine.
async fn read_packets(
    context: &Context,
    link: &Arc<Link>,
    session: &PollingSession,
    body: &[u8],
    is_octets: bool,
    limit: Option<&PacketLimit>,
) -> std::result::Result<Result<Response>, NoPayload> {
    let octets = if is_octets { payload::of_octets(body)? } else { Vec::new() };
    let text = if is_octets { Ok("") } else { std::str::from_utf8(body) };
    let packets = Packets::of(text.map_err(|_| NoPayload)?, session.is_v3());
    let mut packets = octets.iter().map(|packet| Ok(&**packet)).chain(packets);
    let mut last = None;
    loop {
        let some: Vec<_> =
            packets.by_ref().take(PACKETS_AT_ONCE).collect::<std::result::Result<_, _>>()?;
        if some.is_empty() {
            return last.map(|answer| Ok(respond(answer))).ok_or(NoPayload);
        }
        if link.is_closing() {
            return Ok(Ok(unheard()));
        }
        if some.iter().any(|packet| asks_for_too_long_a_namespace(packet)) {
            session.close();
            return Ok(Err(Error::new(Code::Malformed, "There is no such namespace.")));
        }
        if let Some(limit) = limit
            && !link.take_packets(some.len(), limit)
        {
            if context.close_because(link, ClosingReason::RateLimited) {
                metrics::rate_limited().increment(1);
            }
            return Ok(Ok(unheard()));
        }
        link.resumed().await;
        context.watch.heard(some.len(), some.iter().map(|packet| packet.len()).sum());
        let some: Vec<_> = some.into_iter().map(names::for_engine).collect();
        session.gives(&some);
        let body = join(&some, session.is_v3());
        let answer = session.post(&body).await;
        if !answer.status().is_success() {
            return Ok(Err(refused(&answer)));
        }
        last = Some(answer);
    }
}

/// What the engine refuses, in our words.
fn refused(answer: &Answer) -> Error {
    // Engine.IO's code of a session that is not there, which the engine writes as a text.
    if answer.body().starts_with(br#"{"code":"1""#) {
        return unknown();
    }
    Error::new(Code::Malformed, BAD_REQUEST)
}

/// The answer to a body that is not heard since the session is about to end: the client is told by its
/// poll, and would not listen after an error.
fn unheard() -> Response {
    "ok".into_response()
}

/// Whether a packet is a CONNECT whose refusal would be long.
fn asks_for_too_long_a_namespace(packet: &str) -> bool {
    let namespace = packet.strip_prefix("40/").and_then(|rest| rest.split([',', '?']).next());
    namespace.is_some_and(|namespace| namespace.len() > LONGEST_NAMESPACE)
}

fn session(link: &Link) -> Result<&PollingSession> {
    link.polling().filter(|_| !link.is_on_websocket()).ok_or_else(unknown)
}

fn polls(link: &Link) -> Result<&Arc<Polls>> {
    link.polls().ok_or_else(unknown)
}

fn unknown() -> Error {
    Error::new(Code::Malformed, UNKNOWN_SESSION)
}

async fn read(request: Request, limits: &BodyLimits) -> Result<Bytes> {
    let body = Limited::new(request.into_body(), limits.bytes).collect();
    tokio::time::timeout(limits.timeout, body)
        .await
        .map_err(|_| Error::new(Code::Timeout, "The body took too long to arrive."))?
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Error::new(Code::TooLarge, "The body is larger than this server takes.")
            } else {
                Error::new(Code::Malformed, "The body ended early.").with_cause(error)
            }
        })
        .map(http_body_util::Collected::to_bytes)
}

fn respond(answer: Answer) -> Response {
    answer.map(axum::body::Body::from)
}
