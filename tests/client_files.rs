//! The client that pages load from the server (docs/contract/events.md#the-client).

use std::path::{Path, PathBuf};

use reqwest::{Method, Response, redirect};

use crate::support::{Options, TestApp, within};

/// The builds of the client, and their maps.
const FILES: [&str; 8] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

const APP: &str = "http://localhost:5175";

/// The files as npm has them.
fn dist() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/js/node_modules/socket.io-client/dist")
}

async fn ask(app: &TestApp, method: Method, file: &str, headers: &[(&str, &str)]) -> Response {
    let client = reqwest::Client::builder().redirect(redirect::Policy::none());
    let client = client.build().expect("a client");
    let url = format!("http://{}/socket.io/{file}", app.address());
    let mut request = client.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    within(file, request.send()).await.expect("an answer")
}

fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name);
    value.map(|value| value.to_str().expect("a text").to_owned()).unwrap_or_default()
}

async fn start_with(folder: PathBuf) -> TestApp {
    TestApp::with(|config| config.realtime.client_dir = Some(folder)).await
}

#[tokio::test]
async fn every_build_is_served_as_npm_has_it() {
    let app = start_with(dist()).await;
    for name in FILES {
        let there = std::fs::read(dist().join(name)).expect("npm install, in tests/js");
        let answer = ask(&app, Method::GET, name, &[]).await;
        assert_eq!(answer.status(), 200, "{name}");
        let kind = if name.rsplit('.').next() == Some("map") {
            "application/json"
        } else {
            "text/javascript; charset=utf-8"
        };
        assert_eq!(header(&answer, "content-type"), kind, "{name}");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=0", "{name}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{name}");
        let etag = header(&answer, "etag");
        assert!(etag.starts_with('"'), "{name}: {etag}");
        assert_eq!(answer.bytes().await.expect("a body"), there, "{name}");
        for known in [etag.clone(), format!("W/{etag}"), "*".to_owned()] {
            let again = ask(&app, Method::GET, name, &[("if-none-match", &known)]).await;
            assert_eq!(again.status(), 304, "{name} {known}");
        }
        let head = ask(&app, Method::HEAD, &format!("{name}?v=1"), &[]).await;
        assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, etag), "{name}");
        assert_eq!(header(&head, "content-length"), there.len().to_string(), "{name}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_read_it_and_any_may_run_it() {
    let app = start_with(dist()).await;
    for (origin, allowed) in [(APP, APP), ("https://elsewhere.example", "")] {
        let answer = ask(&app, Method::GET, "socket.io.esm.min.js", &[("origin", origin)]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "access-control-allow-origin"), allowed);
        let vary = answer.headers().get_all("vary").iter();
        assert!(vary.into_iter().any(|value| value == "origin"), "{:?}", answer.headers());
        let asks = [("origin", origin), ("access-control-request-method", "GET")];
        let preflight = ask(&app, Method::OPTIONS, "socket.io.js", &asks).await;
        assert_eq!(preflight.status() == 204, origin == APP, "{preflight:?}");
    }
}

#[tokio::test]
async fn nothing_else_of_the_folder_is_served() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    for (name, text) in [
        ("socket.io.js", "plain"),
        ("socket.io.js.gz", "gzipped"),
        ("package.json", "secret"),
        ("socket.io.slim.js", "other"),
    ] {
        write(name, text).expect("a file");
    }
    let app = start_with(folder.path().to_owned()).await;
    let gzipped = ask(&app, Method::GET, "socket.io.js", &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&gzipped, "content-encoding"), "gzip");
    assert_eq!(header(&gzipped, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(gzipped.text().await.expect("a body"), "gzipped");
    for name in [
        "socket.io.min.js",
        "socket.io.js.gz",
        "socket.io.slim.js",
        "package.json",
        "../socket.io/package.json",
        "..%2fpackage.json",
        "%2e%2e/package.json",
        "socket.io.js/../package.json",
        "socket.io.js/",
        "SOCKET.IO.JS",
    ] {
        assert_eq!(ask(&app, Method::GET, name, &[]).await.status(), 404, "{name}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = ask(&app, method.clone(), "socket.io.js", &[]).await;
        assert_eq!(answer.status(), 405, "{method}");
        assert!(header(&answer, "allow").contains("GET"), "{answer:?}");
    }
    // The door beside it is as it was.
    assert!(app.connect(Options::polling().token(&app.token("ann", &[]))).await.is_ok());
    assert!(app.connect(Options::websocket().token(&app.token("ann", &[]))).await.is_ok());
    assert_eq!(ask(&app, Method::GET, "?EIO=4&transport=other", &[]).await.status(), 400);
}

#[tokio::test]
async fn without_a_folder_pages_are_sent_to_the_makers() {
    let app = TestApp::with(|config| config.realtime.client_version = "4.7.5".to_owned()).await;
    for name in FILES {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(&app, method, name, &[("origin", APP)]).await;
            assert_eq!(answer.status(), 302, "{name}");
            let there = format!("https://cdn.socket.io/4.7.5/{name}");
            assert_eq!(header(&answer, "location"), there);
            assert_eq!(header(&answer, "access-control-allow-origin"), APP);
            assert_eq!(header(&answer, "cache-control"), "public, max-age=0");
        }
    }
    assert_eq!(ask(&app, Method::POST, "socket.io.js", &[]).await.status(), 405);
    assert_eq!(ask(&app, Method::GET, "socket.io.slim.js", &[]).await.status(), 404);
}

#[tokio::test]
async fn a_folder_without_the_client_stops_the_start() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let mut config = stoa::config::Config::for_tests();
    config.data = folder.path().to_owned();
    config.realtime.client_dir = Some(folder.path().to_owned());
    let started = stoa::app::App::start(config, stoa::clock::Clock::system()).await;
    let error = started.err().expect("no start").to_string();
    assert!(error.starts_with("realtime.client_dir: there is no socket.io.js in "), "{error}");
}

#[tokio::test]
async fn a_file_is_given_whole_whatever_part_of_it_is_asked_for() {
    let app = start_with(dist()).await;
    let there = std::fs::read(dist().join("socket.io.js")).expect("npm install, in tests/js");
    for range in ["x", "bytes=0-1", "bytes=0-1,3-4", "bytes=99999999-", "lines=1-2"] {
        let answer = ask(&app, Method::GET, "socket.io.js", &[("range", range)]).await;
        assert_eq!(answer.status(), 200, "{range}");
        assert_eq!(header(&answer, "accept-ranges"), "", "{range}");
        assert_eq!(answer.bytes().await.expect("a body"), there, "{range}");
    }
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_file_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("socket.io.js"), "").expect("a file");
    std::fs::create_dir(folder.path().join("socket.io.min.js")).expect("a folder");
    let app = start_with(folder.path().to_owned()).await;
    for name in ["socket.io.min.js", "socket.io.esm.min.js"] {
        let answer = ask(&app, Method::GET, name, &[]).await;
        assert_eq!(answer.status(), 404, "{name}");
    }
}
