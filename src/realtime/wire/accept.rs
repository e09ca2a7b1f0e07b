//! Accepts connections and serves HTTP/1.1 on them: a peer that sends nothing, or its headers
//! byte by byte, is cut off; one that has vanished is noticed by the kernel.

use std::{convert::Infallible, io::Read, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt;

use crate::{
    config::{Config, ServerConfig},
    limits::PeerLimits,
    log_limit, metrics,
};

pub use crate::http::client_address::Peer;

/// After how long of silence the kernel asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// How long written bytes may stay unacknowledged before the kernel gives the peer up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a peer is told that has too many connections.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until `stop` says true: then the listener closes at once, and requests under way are
/// answered. Upgraded connections are not waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Config,
    mut stop: watch::Receiver<bool>,
) {
    let peers = PeerLimits::new(&config.limits, &config.server);
    let config = Arc::new(config.server);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping(&mut stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = peers.admit(peer.ip()) else {
                    metrics::http_connections_refused().increment(1);
                    refuse(&stream);
                    continue;
                };
                prepare(&stream);
                let (router, config, stop) = (router.clone(), config.clone(), stop.clone());
                tokio::spawn(async move {
                    // Until it ends, or goes on as a websocket, which has a place of another kind.
                    let _place = place;
                    metrics::http_connections().increment(1);
                    serve_connection(stream, peer, router, config, stop).await;
                    metrics::http_connections().decrement(1);
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
}

/// Answers whoever has too many connections, as far as that takes no time.
fn refuse(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    // Read, so that closing does not take the answer back; there may be nothing yet.
    let _ = (&*socket).read(&mut [0; 4096]);
    // The peer may be gone already.
    let _ = socket.send(TOO_MANY);
}

/// Waits for the end, or for the application to be gone.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

/// Without these a vanished peer would be kept for hours; a connection that refuses them has just
/// closed.
fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    config: Arc<ServerConfig>,
    mut stop: watch::Receiver<bool>,
) {
    // Peeked for: a fresh socket calls itself readable before anything has come.
    let mut first_byte = [0];
    let first_byte = tokio::time::timeout(config.first_byte_timeout, stream.peek(&mut first_byte));
    if !matches!(first_byte.await, Ok(Ok(1))) {
        return;
    }
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(config.max_header_bytes)
        .max_headers(config.max_headers)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopping(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
