//! Accepts connections and serves HTTP/1.1 on them: a peer that sends nothing, or its headers
//! byte by byte, is cut off; one that has vanished is noticed by the kernel.

use std::{
    convert::Infallible,
    io::{ErrorKind, Read},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, HeaderMap},
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tower::ServiceExt;

use super::{
    door::Door,
    pace::{Answer, Pace, Paced},
};
use crate::{
    config::{Config, ServerConfig},
    error::{Code, Error},
    limits::PeerLimits,
    log_limit,
    metrics::{self, Counted},
    realtime::lane::try_read_once,
    rest::problem::Problem,
    tasks::Tasks,
};

pub use crate::rest::client_address::Peer;

/// After how long of silence the kernel asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// How long written bytes may stay unacknowledged before the kernel gives the peer up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After how many seconds a peer may try again that has too many connections.
const RETRY_AFTER: u64 = 5;

/// Bytes that are read of a connection before it is known what it is.
const FIRST_READ: usize = 4096;

/// Serves until `stop` says true: then the listener closes at once, and it ends when the requests
/// under way are answered. Upgraded connections are not waited for. What begins as a websocket goes to the
/// `door` without the router, where there is one.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    door: Option<Door>,
    config: Config,
    mut stop: watch::Receiver<bool>,
) {
    let peers = PeerLimits::new(&config.limits, &config.server);
    let service = Arc::new(Service { router, door, config: config.server });
    let (connections, gauge) = (Tasks::default(), metrics::http_connections());
    // Connections have them of the listener.
    #[cfg(target_os = "linux")]
    prepare(&SockRef::from(&listener));
    let too_many = too_many();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(permit) = peers.admit(peer.ip()) else {
                    metrics::http_connections_refused().increment(1);
                    refuse(&stream, &too_many);
                    continue;
                };
                #[cfg(not(target_os = "linux"))]
                prepare(&SockRef::from(&stream));
                let (service, stop, gauge) = (service.clone(), stop.clone(), gauge.clone());
                connections.spawn("connection", async move {
                    // Until it ends, or goes on as a websocket, which has a permit of another kind.
                    let _held = (permit, Counted::by(gauge));
                    serve_connection(stream, peer, &service, stop).await;
                });
            }
            Err(error) => {
                if let Some(left_out) = log_limit::admit("accept", None, &error.to_string()) {
                    tracing::warn!(%error, left_out, "a connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.stop();
    connections.stopped().await;
}

/// What a peer is told that has too many connections. It is written by hand, since nothing of a request
/// is read.
fn too_many() -> Vec<u8> {
    let error = Error::new(Code::RateLimited, "Too many connections from this address.");
    // It has no field that can't be written.
    let problem = serde_json::to_string(&Problem::new(&error, None)).unwrap_or_default();
    let length = problem.len();
    format!(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {RETRY_AFTER}\r\n\
         Content-Type: application/problem+json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{problem}"
    )
    .into_bytes()
}

/// Answers whoever has too many connections, as far as that takes no time.
fn refuse(stream: &TcpStream, answer: &[u8]) {
    let socket = SockRef::from(stream);
    // Read, so that closing does not take the answer back; there may be nothing yet.
    let _ = (&*socket).read(&mut [0; 4096]);
    // The peer may be gone already.
    let _ = socket.send(answer);
}

/// Waits for the end, or for the application to be gone.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

/// What serves connections.
struct Service {
    router: Router,
    door: Option<Door>,
    config: ServerConfig,
}

/// Without these a vanished peer would be kept for hours; a connection that refuses them has just
/// closed.
fn prepare(socket: &SockRef<'_>) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: &Service,
    mut stop: watch::Receiver<bool>,
) {
    let begin = tokio::select! {
        begun = timeout(service.config.first_byte_timeout, begin(stream, peer, service)) => begun,
        () = stopping(&mut stop) => return,
    };
    if let Ok(Some((stream, begin))) = begin {
        // Boxed: what becomes a websocket does without.
        Box::pin(serve_http(stream, begin, peer, service, stop)).await;
    }
}

/// Waits for the first bytes of a connection, which it gives back with them unless it is at its end, or
/// goes on as a websocket.
async fn begin(
    mut stream: TcpStream,
    peer: SocketAddr,
    service: &Service,
) -> Option<(TcpStream, Vec<u8>)> {
    loop {
        stream.readable().await.ok()?;
        let mut bytes = [0; FIRST_READ];
        let read = match try_read_once(&stream, &mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            read => read.ok().filter(|read| *read > 0)?,
        };
        let bytes = &bytes[..read];
        if let Some(door) = &service.door {
            stream = door.take(stream, peer, bytes).err()?;
        }
        return Some((stream, bytes.to_vec()));
    }
}

async fn serve_http(
    stream: TcpStream,
    begin: Vec<u8>,
    peer: SocketAddr,
    Service { router, config, door: _ }: &Service,
    mut stop: watch::Receiver<bool>,
) {
    let pace = Pace::new(config.keep_alive, config.header_timeout);
    let kept = HeaderValue::from_str(&format!("timeout={}", config.keep_alive.as_secs())).ok();
    let stopped = stop.clone();
    let answered_at = pace.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        answered_at.answering();
        request.extensions_mut().insert(Peer(peer));
        let last = is_last(request.version(), request.headers());
        let (pace, stopped, kept) = (answered_at.clone(), stopped.clone(), kept.clone());
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let mut answer = answer.await.unwrap_or_else(|never| match never {});
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS && !last {
                let kept = kept.filter(|_| !*stopped.borrow());
                tell_how_long(&mut answer, kept);
            }
            Ok::<_, Infallible>(answer.map(|body| Answer::new(body, pace)))
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(config.max_header_bytes)
        .max_headers(config.max_headers)
        .half_close(false)
        .serve_connection(TokioIo::new(Paced::new(begin, stream, pace.clone())), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = pace.overdue() => return,
        () = stopping(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = pace.overdue() => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Whether the client closes the connection after this request.
fn is_last(version: Version, headers: &HeaderMap) -> bool {
    let wants = |what: &str| {
        headers.get_all(CONNECTION).iter().any(|value| {
            let value = value.to_str().unwrap_or_default();
            value.split(',').any(|one| one.trim().eq_ignore_ascii_case(what))
        })
    };
    wants("close") || (version < Version::HTTP_11 && !wants("keep-alive"))
}

/// Says how long the connection is kept without a request, so that clients do not send one just when
/// it is closed; or that it ends.
fn tell_how_long(answer: &mut Response<Body>, kept: Option<HeaderValue>) {
    let headers = answer.headers_mut();
    match kept {
        Some(kept) => {
            headers.entry(CONNECTION).or_insert(HeaderValue::from_static("keep-alive"));
            headers.entry("keep-alive").or_insert(kept);
        }
        None => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
