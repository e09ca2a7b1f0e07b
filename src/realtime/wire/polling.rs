//! Long-polling sessions. What is said to a client waits in its [`Polls`](crate::realtime::polls)
//! and is put into the next answer here, behind what the engine has for it: session, CONNECT, pings.
//! The engine's first ping is answered here (as on websockets), bodies are bounded in bytes, time and
//! packets, answers are written one at a time, and a burst of packets is handed over no faster than
//! it is done.

use std::{
    borrow::Borrow,
    fmt::Write,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use http::{Method, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde::Deserialize;
use socketioxide::socket::Sid;
use tokio::task::coop::unconstrained;
use tower::Service;

use super::{
    door::{Engine, Query, Sessions},
    refusal::UNKNOWN_SESSION,
};
use crate::{
    error::{Code, Error, Result},
    limits::PacketLimit,
    metrics,
    realtime::{events::ClosingReason, frame, link::Link, names},
};

/// What parts the packets of a body (Engine.IO protocol v4, "Packet encoding").
const SEPARATOR: char = '\u{1e}';

const PING: &str = "2";

/// What parts the packets of most bodies takes.
const LENGTH: usize = 6;

/// Packets given to the engine before it is seen whether the client's queue keeps up.
const PACKETS_AT_ONCE: usize = 16;

/// The longest name of a namespace that a client may ask for: ours are shorter, and the engine quotes
/// those that are not.
const LONGEST_NAMESPACE: usize = 128;

/// What a body may take.
#[derive(Clone)]
pub(super) struct BodyLimits {
    pub(super) bytes: usize,
    pub(super) timeout: Duration,
    pub(super) packets: Option<PacketLimit>,
}

/// A polling session of the engine's. Dropped with its link, it is forgotten by the door.
pub(in crate::realtime) struct PollingSession {
    sid: Sid,
    v3: bool,
    /// What the engine is asked with.
    uri: Uri,
    engine: Engine,
    sessions: Arc<Sessions>,
    /// Whether the first ping has been taken out and answered.
    first_ping_answered: AtomicBool,
}

/// The engine's answer, read to its end.
type Answer = Response<Bytes>;

impl PollingSession {
    /// Ends the session as if the client had; nothing happens when it has ended, or has changed to
    /// a websocket.
    pub(in crate::realtime) fn close(&self) {
        let (close, engine) = (self.request(Method::POST, "1".into()), self.engine.clone());
        tokio::spawn(call(engine, close));
    }

    /// A request to the engine for this session.
    fn request(&self, method: Method, body: String) -> http::Request<Full<Bytes>> {
        let body = if self.v3 && !body.is_empty() && !body.contains(':') {
            format!("{}:{body}", body.chars().count())
        } else {
            body
        };
        let mut request = http::Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        request
    }

    /// Takes the engine's first ping out of what the client is about to get.
    async fn without_first_ping(&self, body: Bytes) -> Bytes {
        if self.v3 || self.first_ping_answered.load(Ordering::Acquire) {
            return body;
        }
        let Ok(text) = std::str::from_utf8(&body) else { return body };
        if !text.split(SEPARATOR).any(|packet| packet == PING)
            || self.first_ping_answered.swap(true, Ordering::AcqRel)
        {
            return body;
        }
        let rest: Vec<&str> = text.split(SEPARATOR).filter(|packet| *packet != PING).collect();
        let rest = join(&rest, false).into();
        call(self.engine.clone(), self.request(Method::POST, "3".into())).await;
        rest
    }
}

impl Drop for PollingSession {
    fn drop(&mut self) {
        self.sessions.remove(&self.sid);
    }
}

/// Opens a session.
pub(super) async fn open(
    engine: &Engine,
    sessions: &Arc<Sessions>,
    query: &Query,
    link: Arc<Link>,
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
    let answer = call(engine.clone(), request).await;
    let body = std::str::from_utf8(answer.body()).map_err(Error::internal)?;
    let open = body.find('{').map(|start| &body[start..]).unwrap_or_default();
    let open = serde_json::Deserializer::from_str(open).into_iter::<Open>().next();
    let sid: Option<Sid> = open.and_then(Result::ok).and_then(|open| open.sid.parse().ok());
    let sid = sid.ok_or_else(|| Error::internal("the engine opened no session"))?;
    sessions.insert(sid, Arc::downgrade(&link));
    link.set_polling(PollingSession {
        sid,
        v3: query.v3,
        uri: format!("{uri}&sid={sid}").parse().map_err(Error::internal)?,
        engine: engine.clone(),
        sessions: sessions.clone(),
        first_ping_answered: AtomicBool::new(false),
    });
    Ok(respond(answer))
}

/// Waits for what the server has for the client.
pub(super) async fn receive(link: &Link) -> Result<Response> {
    let session = session(link)?;
    let abandoned = Abandoned(Some(session));
    let polls = link.polls();
    polls.written().await;
    let body = loop {
        let poll = call(session.engine.clone(), session.request(Method::GET, String::new()));
        // Asked whether it has something, it always says so.
        let mut engine = pin!(unconstrained(poll));
        let (frames, answer) = loop {
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
        let (status, packets) = answer.map_or_else(Default::default, |answer| {
            let (parts, body) = answer.into_parts();
            (parts.status, body)
        });
        if !status.is_success() {
            abandoned.not();
            return Ok((status, packets).into_response());
        }
        let had_packets = !packets.is_empty();
        let mut packets = session.without_first_ping(packets).await;
        if session.v3 {
            packets = with_plain_errors(packets);
        }
        let body = with_frames(packets, &frames, session.v3);
        if !had_packets || !body.is_empty() {
            break body;
        }
    };
    abandoned.not();
    let headers = [(CONTENT_TYPE, "text/plain; charset=UTF-8")];
    Ok((headers, axum::body::Body::from(polls.write(body))).into_response())
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

/// Takes what the client has for the server.
pub(super) async fn send(
    link: &Arc<Link>,
    request: Request,
    limits: &BodyLimits,
) -> Result<Response> {
    let session = session(link)?;
    let _turn = link.polls().body().await;
    let body = read(request, limits).await?;
    let mut packets = Packets { rest: &body, v3: session.v3 };
    let mut last = None;
    loop {
        let some: Vec<_> = packets.by_ref().take(PACKETS_AT_ONCE).collect();
        if some.is_empty() {
            return last
                .map(respond)
                .ok_or_else(|| Error::new(Code::Malformed, "The body has no packets."));
        }
        if link.polls().is_closing() {
            return Ok(unheard());
        }
        if some.iter().any(|packet| asks_for_too_long_a_namespace(packet)) {
            session.close();
            return Err(Error::new(Code::Malformed, "There is no such namespace."));
        }
        if let Some(limit) = &limits.packets
            && !link.hears(some.len(), limit)
        {
            if link.close_because(ClosingReason::RateLimited) {
                metrics::rate_limited().increment(1);
            }
            return Ok(unheard());
        }
        link.resumed().await;
        let some: Vec<_> = some.into_iter().map(names::for_engine).collect();
        let body = join(&some, session.v3);
        let answer = call(session.engine.clone(), session.request(Method::POST, body)).await;
        if !answer.status().is_success() {
            return Ok(respond(answer));
        }
        last = Some(answer);
    }
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
    link.polling().ok_or_else(unknown)
}

fn unknown() -> Error {
    Error::new(Code::Malformed, UNKNOWN_SESSION)
}

async fn read(request: Request, limits: &BodyLimits) -> Result<String> {
    let body = Limited::new(request.into_body(), limits.bytes).collect();
    let body = tokio::time::timeout(limits.timeout, body)
        .await
        .map_err(|_| Error::new(Code::Timeout, "The body took too long to arrive."))?
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Error::new(Code::TooLarge, "The body is larger than this server takes.")
            } else {
                Error::new(Code::Malformed, "The body ended early.").with_cause(error)
            }
        })?;
    String::from_utf8(body.to_bytes().into())
        .map_err(|_| Error::new(Code::Malformed, "The body is not UTF-8."))
}

/// The packets of a body: parted by a separator, or, in version 3, each with its length before it,
/// in characters as JavaScript counts them (UTF-16 code units).
struct Packets<'a> {
    rest: &'a str,
    v3: bool,
}

impl<'a> Iterator for Packets<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.v3 {
            let (length, after) = self.rest.split_once(':')?;
            let length: usize = length.parse().ok()?;
            let mut units = 0;
            let within = after.chars().take_while(|c| {
                units += c.len_utf16();
                units <= length
            });
            let (packet, rest) = after.split_at(within.map(char::len_utf8).sum());
            self.rest = rest;
            return Some(packet);
        }
        let rest = self.rest.trim_start_matches(SEPARATOR);
        let (packet, rest) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
        self.rest = rest;
        (!packet.is_empty()).then_some(packet)
    }
}

fn join<S: Borrow<str>>(packets: &[S], v3: bool) -> String {
    if !v3 {
        return packets.join(SEPARATOR.encode_utf8(&mut [0; 4]));
    }
    let mut body = String::new();
    for packet in packets.iter().map(Borrow::borrow) {
        // Writing to a string does not fail.
        let _ = write!(body, "{}:{packet}", utf16_length(packet.as_bytes()));
    }
    body
}

/// Refusals as Engine.IO 3 clients read them.
fn with_plain_errors(packets: Bytes) -> Bytes {
    let Ok(body) = std::str::from_utf8(&packets) else { return packets };
    if !body.contains("44") {
        return packets;
    }
    let plain: Vec<String> = Packets { rest: body, v3: true }
        .map(|packet| frame::plain_error(packet).unwrap_or_else(|| packet.to_owned()))
        .collect();
    join(&plain, true).into()
}

/// The payloads of frames behind the packets of a body.
fn with_frames(packets: Bytes, frames: &[Bytes], v3: bool) -> Bytes {
    if frames.is_empty() {
        return packets;
    }
    let length = frames.iter().map(|frame| frame.len() + LENGTH).sum::<usize>();
    let mut body = BytesMut::with_capacity(packets.len() + length);
    body.put(packets);
    for (payload, _) in frames.iter().filter_map(|frame| frame::first(frame)) {
        if v3 {
            // Writing to memory does not fail.
            let _ = write!(body, "{}:", utf16_length(payload));
        } else if !body.is_empty() {
            body.put_u8(SEPARATOR as u8);
        }
        body.put_slice(payload);
    }
    body.freeze()
}

/// How many UTF-16 code units a UTF-8 text has: one for each character, and two for those of four
/// bytes.
fn utf16_length(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum()
}

/// Asks the engine, and reads its whole answer.
async fn call(mut engine: Engine, request: http::Request<Full<Bytes>>) -> Answer {
    let answer = engine.call(request).await.unwrap_or_else(|never| match never {});
    let (parts, body) = answer.into_parts();
    // The engine's bodies are in memory; they do not fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(parts, body)
}

fn respond(answer: Answer) -> Response {
    answer.map(axum::body::Body::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(rest: &str, v3: bool) -> Vec<&str> {
        Packets { rest, v3 }.collect()
    }

    #[test]
    fn packets_of_both_versions_come_apart_and_together() {
        for (v3, body, parts) in [
            (false, "40\u{1e}42[\"é\"]", vec!["40", "42[\"é\"]"]),
            (true, "2:407:42[\"é\"]1:2", vec!["40", "42[\"é\"]", "2"]),
            (true, "8:42[\"👋\"]1:2", vec!["42[\"👋\"]", "2"]),
        ] {
            assert_eq!(packets(body, v3), parts);
            assert_eq!(join(&parts, v3), body);
        }
        assert!(packets("x", true).is_empty());
        assert!(packets("", false).is_empty());
    }

    #[test]
    fn frames_of_every_size_stand_behind_the_packets() {
        let long = "x".repeat(70_000);
        let texts = ["42[1]", "42[\"é👋\"]", &"y".repeat(200), &long];
        let frames = texts.map(|text| frame::text(&[text]));
        for (v3, before) in [(false, ""), (false, "40"), (true, ""), (true, "2:40")] {
            let body = with_frames(before.into(), &frames, v3);
            let there = packets(before, v3).into_iter().chain(texts);
            assert_eq!(packets(std::str::from_utf8(&body).unwrap(), v3), there.collect::<Vec<_>>());
        }
        assert_eq!(with_frames("40".into(), &[], false), "40");
    }
}
