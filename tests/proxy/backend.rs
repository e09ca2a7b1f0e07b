//! A backend that answers as the test says, well or badly.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{body::Body, response::IntoResponse};
use bytes::Bytes;
use futures_util::stream;
use http::{
    HeaderMap, Request, Response, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use stoa::config::Config;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};

use crate::support::{eventually, within};

/// What the tests' server and this backend share: the bytes `stoa tests, 32 bytes of a key`.
pub const SECRET: &str = "whsec_c3RvYSB0ZXN0cywgMzIgYnl0ZXMgb2YgYSBrZXk=";

/// Bytes of one part of an endless answer.
pub const PART_BYTES: usize = 64 * 1024;

/// What the server asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// How the backend answers.
#[derive(Clone)]
pub enum Reply {
    /// 200 with this.
    Json(Value),
    /// This status, with an answer that would be one.
    Status(u16),
    /// This status, and when it wants to be asked again.
    Wait(u16, &'static str),
    /// 200 of this type with this text.
    Text(&'static str, String),
    /// To another place, which would answer.
    Redirect,
    /// The connection ends instead.
    Dropped,
    /// The connection ends in the middle of the answer.
    Torn,
    /// 100 MB; how many is said before, or not.
    Endless { told: bool },
    /// This, once the test lets it go.
    Gated(Box<Self>),
    /// Never.
    Never,
}

type Script = Box<dyn Fn(&Value) -> Reply + Send>;

/// A backend.
#[derive(Clone)]
pub struct Backend(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    script: Mutex<Script>,
    asked: Mutex<Vec<Asked>>,
    gate: Semaphore,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// Parts of endless answers that were taken.
    parts: AtomicUsize,
    serving: Mutex<Option<AbortHandle>>,
}

impl Backend {
    /// One that answers so.
    pub async fn start(script: impl Fn(&Value) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let backend = Self(Arc::new(Inner {
            address: listener.local_addr().expect("its address"),
            script: Mutex::new(Box::new(script)),
            asked: Mutex::default(),
            gate: Semaphore::new(0),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            parts: AtomicUsize::new(0),
            serving: Mutex::default(),
        }));
        backend.serve(listener);
        backend
    }

    fn serve(&self, listener: TcpListener) {
        let serving = tokio::spawn(run(listener, self.clone()));
        *self.0.serving.lock() = Some(serving.abort_handle());
    }

    /// Ends, with its connections.
    pub fn die(&self) {
        let serving = self.0.serving.lock().take();
        serving.expect("it serves").abort();
    }

    /// Comes back.
    pub async fn revive(&self) {
        let bind = async || TcpListener::bind(self.0.address).await.ok();
        self.serve(within("its port", eventually(bind)).await);
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, script: impl Fn(&Value) -> Reply + Send + 'static) {
        *self.0.script.lock() = Box::new(script);
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}/stoa", self.0.address)
    }

    /// Has a server ask it for these events.
    pub fn configure(&self, config: &mut Config, events: &[&str]) {
        config.proxy.url = Some(self.url());
        config.proxy.secret = Some(SECRET.into());
        config.proxy.events = events.iter().map(|event| (*event).to_owned()).collect();
    }

    /// All that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().clone()
    }

    /// What it was asked when it has been asked so often.
    pub async fn until_asked(&self, times: usize) -> Vec<Asked> {
        let enough = async || Some(self.asked()).filter(|asked| asked.len() >= times);
        within("the backend to be asked", eventually(enough)).await
    }

    /// Lets so many gated answers go.
    pub fn let_go(&self, answers: usize) {
        self.0.gate.add_permits(answers);
    }

    /// How many questions were under way at once, at most.
    pub fn most_under_way(&self) -> usize {
        self.0.most_under_way.load(Ordering::SeqCst)
    }

    /// Bytes of endless answers that were taken.
    pub fn taken_bytes(&self) -> usize {
        self.0.parts.load(Ordering::SeqCst) * PART_BYTES
    }

    async fn reply(&self, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = Asked { headers: parts.headers, body };
        let reply = (self.0.script.lock())(&asked.json());
        self.0.asked.lock().push(asked);
        let _under_way = UnderWay::new(self.clone());
        self.make(reply).await
    }

    async fn make(&self, mut reply: Reply) -> Result<Response<Body>, io::Error> {
        if let Reply::Gated(then) = reply {
            self.0.gate.acquire().await.expect("a gate").forget();
            reply = *then;
        }
        let json = [("content-type", "application/json")];
        Ok(match reply {
            Reply::Json(answer) => axum::Json(answer).into_response(),
            Reply::Status(status) => {
                let status = StatusCode::from_u16(status).expect("a status");
                (status, json, "{}").into_response()
            }
            Reply::Wait(status, after) => {
                let status = StatusCode::from_u16(status).expect("a status");
                (status, [(RETRY_AFTER, after)]).into_response()
            }
            Reply::Text(content_type, text) => {
                ([("content-type", content_type)], text).into_response()
            }
            Reply::Redirect => {
                let to = format!("http://{}/elsewhere", self.0.address);
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response()
            }
            Reply::Dropped => return Err(io::Error::other("dropped")),
            Reply::Torn => {
                let parts = [Ok(Bytes::from_static(b"{\"ack\"")), Err(io::Error::other("torn"))];
                (json, Body::from_stream(stream::iter(parts))).into_response()
            }
            Reply::Endless { told } => {
                let mut response = (json, self.endless()).into_response();
                if told {
                    response
                        .headers_mut()
                        .insert("content-length", "100000000".parse().expect("a length"));
                }
                response
            }
            Reply::Gated(_) | Reply::Never => std::future::pending().await,
        })
    }

    /// 100 MB, a part as soon as the one before is taken.
    fn endless(&self) -> Body {
        let backend = self.clone();
        let parts = 0..100_000_000 / PART_BYTES;
        Body::from_stream(stream::iter(parts.map(move |_| {
            backend.0.parts.fetch_add(1, Ordering::SeqCst);
            Ok::<_, io::Error>(Bytes::from(vec![b' '; PART_BYTES]))
        })))
    }
}

async fn run(listener: TcpListener, backend: Backend) {
    // They end with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let backend = backend.clone();
        let service = service_fn(move |request| {
            let backend = backend.clone();
            async move { backend.reply(request).await }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// A question that is being answered.
struct UnderWay(Backend);

impl UnderWay {
    fn new(backend: Backend) -> Self {
        let now = backend.0.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        backend.0.most_under_way.fetch_max(now, Ordering::SeqCst);
        Self(backend)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
