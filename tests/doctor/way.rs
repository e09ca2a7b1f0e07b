//! The way that clients take, with what may stand in it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, Method, Uri, header};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{PASSWORD, beside, doctor, serve, url};
use crate::support::{TestApp, http_client};

/// What stands in front of servers: each request goes to the next one, and is no upgrade any more.
#[derive(Clone)]
struct Front {
    servers: Vec<SocketAddr>,
    next: Arc<AtomicUsize>,
    /// What it adds to answers.
    headers: HeaderMap,
}

async fn in_front(
    servers: &[SocketAddr],
    headers: &[(header::HeaderName, &'static str)],
) -> String {
    let headers =
        headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value")));
    let front =
        Front { servers: servers.to_vec(), next: Arc::default(), headers: headers.collect() };
    url(serve(Router::new().fallback(pass).with_state(front)).await)
}

async fn pass(State(front): State<Front>, method: Method, uri: Uri, body: Bytes) -> Response {
    let at = front.next.fetch_add(1, Ordering::Relaxed) % front.servers.len();
    let to = format!("{}{uri}", url(front.servers[at]));
    let answer = http_client().request(method, to).body(body).send().await.expect("an answer");
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.extend(front.headers);
    }
    response.body(Body::from(answer.bytes().await.expect("a body"))).expect("a response")
}

#[tokio::test]
async fn a_proxy_that_passes_no_upgrades_is_a_problem() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let front = in_front(&[app.address()], &[(header::SERVER, "nginx/1.24")]).await;
    let said = beside(&app, &[], &front).await;
    said.problem("url", "opens no websocket", "proxy_set_header Upgrade");
    said.has("ok", "url", "answers by polling");
    said.has("warning", "proxies", "nginx/1.24 stands in front, and TRUSTED_PROXIES is empty");
    let said = beside(&app, &[("TRUSTED_PROXIES", "127.0.0.1")], &front).await;
    said.has("ok", "proxies", "nginx/1.24 stands in front, and 127.0.0.1/32 is believed");
}

#[tokio::test]
async fn a_balancer_that_sends_a_client_to_several_servers_is_a_problem() {
    let (app, other) = (TestApp::on_sqlite(|_| {}).await, TestApp::on_sqlite(|_| {}).await);
    let front = in_front(&[app.address(), other.address()], &[]).await;
    let said = beside(&app, &[], &front).await;
    said.problem("url", "come to different servers (Session ID unknown)", "sticky sessions");
}

#[tokio::test]
async fn a_page_in_the_place_of_the_server_is_a_problem() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let page = async || (http::StatusCode::NOT_FOUND, Html("<html><h1>404</h1></html>"));
    let front = url(serve(Router::new().fallback(page)).await);
    let said = beside(&app, &[], &front).await;
    said.problem("url", "404 Not Found, a page of HTML", "pass /socket.io/ to this server");
    let bad = async || http::StatusCode::BAD_GATEWAY.into_response();
    let front = url(serve(Router::new().fallback(bad)).await);
    let said = beside(&app, &[], &front).await;
    said.problem("url", "502 Bad Gateway", "the proxy does not reach the server");
    let moved = async || axum::response::Redirect::permanent("https://chat.example.com/?a=b");
    let front = url(serve(Router::new().fallback(moved)).await);
    let said = beside(&app, &[], &front).await;
    said.problem(
        "url",
        "it sends elsewhere, to https://chat.example.com",
        "the URL that it ends at",
    );
}

#[tokio::test]
async fn a_public_url_that_nobody_answers_is_a_problem_and_its_password_is_not_shown() {
    let folder = TempDir::new().expect("a folder");
    let with_password = format!("http://ann:{PASSWORD}@127.0.0.1:1");
    let said = doctor(folder.path(), &[], &["--url", &with_password]).await;
    said.problem(
        "url",
        "http://127.0.0.1:1: nobody listens there",
        "start the server or the proxy",
    );
    for bad in ["127.0.0.1:1", "http://127.0.0.1:1?x=1", "http://127.0.0.1:1/#x"] {
        let said = doctor(folder.path(), &[], &["--url", bad]).await;
        said.problem("url", "this is not how a server is reached", "give http:// or https://");
        let said = doctor(folder.path(), &[("PUBLIC_URL", bad)], &[]).await;
        said.problem("config", "(from PUBLIC_URL): has to be like https://", "what is named");
    }
    let said = doctor(folder.path(), &[("PUBLIC_URL", "http://127.0.0.1:1")], &[]).await;
    said.problem("url", "nobody listens there", "start the server");
}

/// Shows a certificate of `localhost` to whoever asks.
async fn show_certificate(name: &str) -> String {
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    let certificate = CertificateDer::from_pem_file(format!("{keys}/{name}"));
    let key = PrivateKeyDer::from_pem_file(format!("{keys}/localhost.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("a certificate")], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who is asked does not believe it.
            let _ = acceptor.accept(stream).await;
        }
    });
    format!("https://localhost:{port}")
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_told_in_words() {
    let folder = TempDir::new().expect("a folder");
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    let shown = show_certificate("localhost.cert.pem").await;
    let said = doctor(folder.path(), &[], &["--url", &shown]).await;
    said.problem("url", "not of an authority that this machine trusts", "the whole chain");
    let trusted = format!("{keys}/localhost-ca.pem");
    let other = shown.replace("localhost", "127.0.0.1");
    let said = doctor(folder.path(), &[("SSL_CERT_FILE", &trusted)], &["--url", &other]).await;
    said.problem("url", "its certificate is of another name", "that has this name");
    // As openssl makes it, where nothing else is said: trusted or not, it is an authority's.
    let shown = show_certificate("localhost-self.cert.pem").await;
    let itself = format!("{keys}/localhost-self.cert.pem");
    for variables in [&[][..], &[("SSL_CERT_FILE", itself.as_str())]] {
        let said = doctor(folder.path(), variables, &["--url", &shown]).await;
        said.problem("url", "as a self-signed one of `openssl req -x509` is", "CA:FALSE");
    }
    let plain = url(serve(Router::new()).await).replace("http:", "https:");
    let said = doctor(folder.path(), &[], &["--url", &plain]).await;
    said.problem("url", "TLS could not begin", "a proxy in front of it does");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_of() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let front = in_front(&[app.address()], &[(header::DATE, date)]).await;
    let said = beside(&app, &[], &front).await;
    said.problem("clock", "s ahead of that of http://127.0.0.1", "timedatectl set-ntp true");
}
