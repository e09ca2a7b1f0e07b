//! The engine as it is asked over HTTP, with requests of ours: nothing of the client's own comes
//! with them.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicIsize, Ordering},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Uri};
use http_body_util::{BodyExt, Full};
use socketioxide::service::SocketIoService;
use tower::Service;

use super::payload::Packets;
use crate::tasks::Tasks;

/// The engine as a service; it answers nothing but Socket.IO.
pub(super) type Engine = SocketIoService<engineioxide::service::NotFoundService>;

/// The engine's answer, read to its end.
pub(super) type Answer = http::Response<Bytes>;

/// The answer to a ping.
const PONG: &str = "3";

/// Asks the engine, and reads its whole answer.
pub(super) async fn ask(mut engine: Engine, request: http::Request<Full<Bytes>>) -> Answer {
    let answer = engine.call(request).await.unwrap_or_else(|never| match never {});
    let (parts, body) = answer.into_parts();
    // The engine's bodies are in memory; they do not fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    http::Response::from_parts(parts, body)
}

/// Whether a packet of the engine's answers a CONNECT: whoever asks is let in or refused, once.
pub(super) fn is_answer(packet: &str) -> bool {
    packet.starts_with("40") || packet.starts_with("44")
}

/// A polling session of the engine's.
pub(super) struct PollingSession {
    engine: Engine,
    /// What the engine is asked with.
    uri: Uri,
    v3: bool,
    /// How many CONNECTs the engine was given, and has not answered yet.
    unanswered: AtomicIsize,
    tasks: Tasks,
}

impl PollingSession {
    pub(super) fn new(engine: Engine, uri: Uri, v3: bool, tasks: Tasks) -> Self {
        // Version 3 is in the root namespace without asking.
        let unanswered = AtomicIsize::new(v3.into());
        Self { engine, uri, v3, unanswered, tasks }
    }

    /// The engine is about to be given these packets of the client's.
    pub(super) fn gives(&self, packets: &[Cow<'_, str>]) {
        let asks = packets.iter().filter(|packet| packet.starts_with("40")).count();
        self.unanswered.fetch_add(asks.cast_signed(), Ordering::AcqRel);
    }

    /// The engine gave this body for the client.
    pub(super) fn takes(&self, body: &str) {
        let packets = Packets::of(body, self.v3).flatten();
        let answers = packets.filter(|packet| is_answer(packet)).count();
        self.unanswered.fetch_sub(answers.cast_signed(), Ordering::AcqRel);
    }

    /// Whether a CONNECT has not been answered.
    pub(super) fn owes_an_answer(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) > 0
    }

    /// Whether the client speaks Engine.IO 3.
    pub(super) fn is_v3(&self) -> bool {
        self.v3
    }

    /// Ends the session as if the client had; nothing happens when it has ended, or has changed to
    /// a websocket.
    pub(super) fn close(&self) {
        self.tasks.spawn_until_stopped("end of polling", self.post("1").map(drop));
    }

    /// A body for the engine.
    pub(super) fn post(&self, body: &str) -> impl Future<Output = Answer> + use<> {
        ask(self.engine.clone(), self.request(Method::POST, body.into()))
    }

    /// Waits for what the engine has for the client.
    pub(super) fn poll(&self) -> impl Future<Output = Answer> + use<> {
        ask(self.engine.clone(), self.request(Method::GET, String::new()))
    }

    /// Answers the engine's first ping, which it sends at once where Node's server waits for an
    /// interval. Nothing else is said to a session before.
    pub(super) async fn answer_first_ping(&self) {
        self.poll().await;
        self.post(PONG).await;
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
}
