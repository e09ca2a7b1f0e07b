//! Which pages may call, over REST and on both transports: those that were named, this server's
//! own, and on a developer's machine those of that machine.

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::{Config, Environment, Flags, load};

use crate::support::{
    ConnectError, Options, TestApp,
    app::{API_KEY, Answer},
};

const NAMED: &str = "https://app.example.com";

fn named(config: &mut Config) {
    config.server.client_url = vec![NAMED.to_owned()];
}

/// A server in production, as loaded where nobody named a page.
async fn production(names: &[(&str, &str)]) -> TestApp {
    let environment = [("STOA_ENV", "production"), ("JWT_SECRET", "x".repeat(32).as_str())]
        .iter()
        .chain(names)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<Vec<_>>();
    let loaded = load(&Flags::default(), environment).expect("a configuration").config;
    TestApp::with(|config| {
        config.environment = Environment::Production;
        config.server.client_url = loaded.server.client_url;
        config.server.frontend_url = loaded.server.frontend_url;
    })
    .await
}

async fn post(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("x-api-key", API_KEY)], headers].concat();
    let body = json!({ "to": "everyone", "event": "news", "data": Value::Null });
    app.post_with("/api/emit", &headers, &body).await
}

/// Whether a page of this origin may call: alike over REST, by websocket and by polling.
async fn may_call(app: &TestApp, origin: &str) -> bool {
    let answer = post(app, &[("origin", origin)]).await;
    let over_rest = match answer.status.as_u16() {
        202 => true,
        403 => false,
        _ => panic!("{origin}: {answer:?}"),
    };
    let granted = answer.headers.get("access-control-allow-origin");
    assert_eq!(granted.is_some_and(|granted| granted == origin), over_rest, "{origin}");
    let token = app.token("alice", &[]);
    for options in [Options::websocket(), Options::polling(), Options::polling().protocol(3)] {
        let options = options.token(&token).header("authorization", &format!("Bearer {token}"));
        let connected = match app.connect(options.header("origin", origin)).await {
            Ok(_) => true,
            Err(ConnectError::Http { status: 403, .. }) => false,
            Err(other) => panic!("{origin}: {other}"),
        };
        assert_eq!(connected, over_rest, "{origin}");
    }
    over_rest
}

#[tokio::test]
async fn an_origin_is_allowed_as_a_whole_or_not_at_all() {
    let app = TestApp::with(named).await;
    assert!(may_call(&app, NAMED).await);
    for other in [
        "https://app.example.com:443.evil.example",
        "https://app.example.com:443@evil.example",
        "https://app.example.com:@evil.example",
        "https://me@app.example.com",
        "https://app.example.com:443:443",
        "https://app.example.com:0443",
        "https://app.example.com:+443",
        "https://app.example.com:",
        "https://app.example.com:8443",
        "https://app.example.com.",
        "https://app.example.com/",
        "https://app.example.com/chat",
        "https://app.example.com?",
        "https://app.example.com#",
        "https://app.example.com\\.evil.example",
        "https:app.example.com",
        "https:/app.example.com",
        "https:\\\\app.example.com",
        "https:///app.example.com",
        "https://app%2eexample.com",
        "https://app.example.com%00.evil.example",
        "https://app.example.com,https://evil.example",
        "https://app.example.com https://evil.example",
        "http://app.example.com",
        "http://app.example.com:443",
        "wss://app.example.com",
        "//app.example.com",
        "app.example.com",
        "null",
    ] {
        assert!(!may_call(&app, other).await, "{other}");
    }
}

#[tokio::test]
async fn a_page_of_the_servers_own_host_is_allowed_everywhere() {
    let app = production(&[]).await;
    let port = app.address().port();
    assert!(may_call(&app, &format!("http://127.0.0.1:{port}")).await);
    for other in [
        format!("http://127.0.0.1:{port}.evil.example"),
        format!("http://127.0.0.1:{port}0"),
        format!("capacitor://127.0.0.1:{port}"),
        format!("http://127.1:{port}"),
        format!("http://localhost:{port}"),
    ] {
        assert!(!may_call(&app, &other).await, "{other}");
    }
    for (host, origin, allowed) in [
        ("rt.example.com", "https://rt.example.com", true),
        ("RT.example.com:443", "https://rt.example.com", true),
        ("[::1]:3003", "http://[::1]:3003", true),
        ("rt.example.com:443.evil.example", "https://rt.example.com", false),
        ("rt.example.com:1.evil.example", "http://rt.example.com", false),
        ("rt.example.com", "https://rt.example.com.", false),
        ("me@rt.example.com", "https://rt.example.com", false),
    ] {
        let answer = post(&app, &[("host", host), ("origin", origin)]).await;
        // What is no host at all may be refused as such.
        assert_eq!(answer.status == 202, allowed, "{host} {origin}: {answer:?}");
    }
}

#[tokio::test]
async fn every_answer_can_be_read_by_an_allowed_page() {
    let app = TestApp::with(named).await;
    let headers = [("x-api-key", API_KEY), ("origin", NAMED)];
    for (path, status) in [("/nothing", 404), ("/api/nothing", 404), ("/api/status", 405)] {
        let answer = app.post_with(path, &headers, &Value::Null).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], NAMED, "{path}");
    }
}

#[tokio::test]
async fn in_production_no_page_is_allowed_that_nobody_named() {
    let locals = ["http://localhost:5175", "http://localhost:3000", "http://127.0.0.1:5175"];
    let app = production(&[]).await;
    for origin in locals {
        assert!(!may_call(&app, origin).await, "{origin}");
    }
    let app = production(&[("FRONTEND_URL", "http://localhost:3000")]).await;
    for origin in locals {
        assert_eq!(may_call(&app, origin).await, origin == "http://localhost:3000", "{origin}");
    }
}

#[tokio::test]
async fn in_development_every_page_of_this_machine_is_allowed() {
    let app = TestApp::with(named).await;
    for origin in ["http://localhost:5175", "http://localhost:49152", "http://127.0.0.1:8080"] {
        assert!(may_call(&app, origin).await, "{origin}");
    }
    for other in [
        "https://localhost:5175",
        "http://127.0.0.2:5175",
        "http://app.localhost:5175",
        "http://localhost.:5175",
        "http://localhost:5175.evil.example",
        "http://localhost.evil.example:5175",
        "http://2130706433:5175",
    ] {
        assert!(!may_call(&app, other).await, "{other}");
    }
}

#[tokio::test]
async fn a_cookie_names_the_user_for_allowed_pages_and_for_no_others() {
    let app = TestApp::with(named).await;
    let cookie = format!("token={}", app.token("alice", &[]));
    let begin = async |headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        let body = json!({ "participantIds": ["bob"] });
        app.post_with("/api/conversations", &headers, &body).await
    };
    let own = format!("http://127.0.0.1:{}", app.address().port());
    for allowed in [NAMED, "http://localhost:5175", &own] {
        assert!(begin(&[("origin", allowed)]).await.status.is_success(), "{allowed}");
    }
    assert!(begin(&[("sec-fetch-site", "same-origin")]).await.status.is_success());
    assert_eq!(begin(&[("origin", "https://evil.example")]).await.problem(403), "forbidden");
    for unknown in [&[][..], &[("sec-fetch-site", "cross-site")], &[("sec-fetch-site", "none")]] {
        assert_eq!(begin(unknown).await.problem(401), "token_missing", "{unknown:?}");
    }
    let reading = app.cookie_request(Method::GET, "/api/conversations", &cookie).await;
    assert_eq!(reading.status, 200, "what changes nothing needs no page to name itself");
}

#[tokio::test]
async fn pages_without_a_host_call_where_they_are_named() {
    let app = TestApp::with(named).await;
    for origin in ["null", "file://"] {
        assert!(!may_call(&app, origin).await, "{origin}");
    }
    let nobodys = |config: &mut Config| {
        config.server.client_url = vec!["null".to_owned(), "file://".to_owned()];
    };
    let app = TestApp::with(nobodys).await;
    for origin in ["null", "file://"] {
        assert!(may_call(&app, origin).await, "{origin}");
    }
    assert!(!may_call(&app, "file://elsewhere").await);
}
