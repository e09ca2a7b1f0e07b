//! The operator's room from outside: its routes behind all layers of REST, asked by peers of every
//! kind.

use std::time::Duration;

use axum::{Router, body::Body, extract::FromRef};
use http::{HeaderMap, Request, request::Builder};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use utoipa_axum::router::OpenApiRouter;

use super::{
    Admin, console,
    http::{page, welcome},
    routes,
};
use crate::{
    auth::{Authenticator, Minter, NewToken, Role, Roles},
    clock::{Clock, Timestamp},
    config::{Config, DevelopmentSecret, Environment},
    id::Id,
    metrics,
    realtime::wire::Peer,
    rest::{Layers, health::Readiness},
};

const NOW: i64 = 1_800_000_000_000;
const OFFER: &str = "Continue as developer";

#[derive(Clone, FromRef)]
struct TestState {
    admin: Admin,
    authenticator: Authenticator,
}

/// A server of that configuration, and the clock it goes by.
struct Server {
    router: Router,
    config: Config,
    clock: Clock,
    admin: Admin,
    code: Option<String>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Server {
    /// A server where developers are let in, but for what `change` does.
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_tests();
        let path = config.data.join("jwt-secret");
        config.development_secret = Some(DevelopmentSecret { path, made: false });
        change(&mut config);
        Self::of(config)
    }

    fn of(config: Config) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(NOW));
        let origins = config.origin_policy().unwrap();
        let readiness = Readiness::new(config.auth.handshake);
        let admin =
            Admin::new(&config, metrics::install().unwrap(), readiness, None, clock.clone())
                .unwrap();
        let code = admin.login_code().map(str::to_owned);
        let state = TestState {
            admin: admin.clone(),
            authenticator: Authenticator::new(&config.auth, origins.clone(), clock.clone())
                .unwrap(),
        };
        let (router, _) = routes().merge(OpenApiRouter::from(console())).split_for_parts();
        let layers = Layers::new(&config.server, config.log.slow_request, origins);
        Self {
            router: crate::rest::layers(router, layers).with_state(state),
            config,
            clock,
            admin,
            code,
        }
    }

    async fn ask(&self, peer: &str, request: Builder) -> Answer {
        self.send(peer, request, Body::empty()).await
    }

    async fn send(&self, peer: &str, request: Builder, body: Body) -> Answer {
        let peer = Peer(format!("{peer}:4711").parse().unwrap());
        let request = request.extension(peer).body(body).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn log_in(&self, peer: &str, request: Builder, code: &str) -> Answer {
        let request = request.header("content-type", "application/json");
        self.send(peer, request, Body::from(json!({ "code": code }).to_string())).await
    }

    /// As a developer's browser at `peer` would ask, but for these headers: for the page, then for
    /// a token.
    async fn as_developer(&self, peer: &str, headers: &[(&str, &str)]) -> (Answer, Answer) {
        let with = |request: Builder| {
            let request = request.header("host", "localhost:3003");
            headers.iter().fold(request, |mut request, (name, value)| {
                if *name == "host" {
                    request.headers_mut().unwrap().remove("host");
                }
                request.header(*name, *value)
            })
        };
        let page = self.ask(peer, with(Request::get("/console"))).await;
        let code = self.code.as_deref().unwrap_or("none");
        (self.log_in(peer, with(Request::post("/console/login")), code).await, page)
    }

    /// Whether a server that has just started lets in who asks so with the right code.
    async fn lets_in(&self, peer: &str, headers: &[(&str, &str)]) -> bool {
        let server = Self::of(self.config.clone());
        let (login, page) = server.as_developer(peer, headers).await;
        assert_eq!(page.status, 200);
        let in_ = login.status == 200;
        assert_eq!(page.text.contains(OFFER), in_, "the page offers what would be granted");
        assert_eq!(login.text.contains("token\":"), in_, "{}", login.text);
        in_
    }

    fn token(&self, role: Role) -> String {
        let minter = Minter::new(self.config.auth.jwt_secret.as_ref().unwrap(), None, None);
        let token = NewToken::new(Id::new("u").unwrap(), Roles::of(role), Duration::from_mins(1));
        minter.unwrap().mint(&token, self.clock.now()).unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask("203.0.113.9", Request::get(path).header("authorization", bearer)).await
    }
}

#[tokio::test]
async fn a_developer_at_the_servers_machine_is_let_in() {
    let server = Server::new(|_| ());
    for peer in ["127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"] {
        assert!(server.lets_in(peer, &[]).await, "{peer}");
    }
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:3003", "[::1]:3003"] {
        assert!(server.lets_in("127.0.0.1", &[("host", host)]).await, "{host}");
    }
    assert!(server.lets_in("127.0.0.1", &[("origin", "http://localhost:3003")]).await);
}

#[tokio::test]
async fn a_developers_token_opens_everything_for_one_hour() {
    let server = Server::new(|_| ());
    let (login, _) = server.as_developer("127.0.0.1", &[]).await;
    assert_eq!(login.json()["expiresAt"], "2027-01-15T09:00:00.000Z");
    let token = login.json()["token"].as_str().unwrap().to_owned();
    let status = server.get("/api/status", &token).await.json();
    let caller = json!({"userId": "developer", "roles": ["admin", "service"]});
    assert_eq!(status["caller"], caller);
    server.clock.advance(Duration::from_secs(3606));
    assert_eq!(server.get("/api/status", &token).await.status, 401);
}

#[tokio::test]
async fn in_production_nobody_is_a_developer() {
    let server = Server::new(|config| config.environment = Environment::Production);
    let (login, _) = server.as_developer("127.0.0.1", &[]).await;
    assert_eq!((login.status, &login.json()["code"]), (404, &json!("not_found")));
    assert!(!server.lets_in("127.0.0.1", &[]).await);
}

#[tokio::test]
async fn only_a_server_of_its_own_secret_that_hears_its_own_machine_lets_developers_in() {
    let configured = Server::new(|config| config.development_secret = None);
    assert!(!configured.lets_in("127.0.0.1", &[]).await);
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let server = Server::new(|config| config.server.host = host.parse().unwrap());
        assert!(!server.lets_in("127.0.0.1", &[]).await, "{host}");
    }
    for host in ["127.0.0.1", "127.0.0.2", "::1"] {
        let server = Server::new(|config| config.server.host = host.parse().unwrap());
        assert!(server.lets_in("127.0.0.1", &[]).await, "{host}");
    }
}

#[tokio::test]
async fn the_code_of_a_start_is_good_once() {
    let server = Server::new(|_| ());
    assert_eq!(server.as_developer("127.0.0.1", &[]).await.0.status, 200);
    let (login, page) = server.as_developer("127.0.0.1", &[]).await;
    assert_eq!(login.status, 404);
    assert!(!page.text.contains(OFFER));
    let other = Server::new(|_| ());
    assert_ne!(server.code, other.code, "each start has another");
}

#[tokio::test]
async fn few_wrong_codes_are_listened_to() {
    let server = Server::new(|_| ());
    let code = server.code.clone().unwrap();
    let login = async |code: &str| {
        let request = Request::post("/console/login").header("host", "localhost:3003");
        server.log_in("127.0.0.1", request, code).await.status
    };
    let nothing = Request::post("/console/login").header("host", "localhost:3003");
    assert_eq!(server.ask("127.0.0.1", nothing).await.status, 415, "without a code");
    for wrong in ["", "0", &code[1..], &format!("{code}0"), &format!(" {code}")] {
        assert_eq!(login(wrong).await, 403, "{wrong}");
    }
    assert_eq!(login(&code).await, 404, "too late");
}

#[tokio::test]
async fn without_a_secret_to_sign_with_nobody_is_a_developer() {
    let server = Server::new(|config| {
        config.auth.jwt_secret = None;
        config.auth.jwt_public_key =
            Some(include_str!("../../tests/keys/ed25519.pub.pem").to_owned());
    });
    assert!(!server.lets_in("127.0.0.1", &[]).await);
}

#[tokio::test]
async fn another_machine_is_no_developer_whatever_it_says() {
    let server = Server::new(|_| ());
    for peer in ["203.0.113.9", "10.0.0.1", "[2001:db8::1]", "[::ffff:10.0.0.1]"] {
        assert!(!server.lets_in(peer, &[]).await, "{peer}");
        assert!(!server.lets_in(peer, &[("x-forwarded-for", "127.0.0.1")]).await, "{peer}");
    }
}

#[tokio::test]
async fn a_proxy_on_this_machine_brings_no_developers() {
    let server = Server::new(|config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    for header in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded",
        "forwarded",
        "x-real-ip",
        "x-forwarded-host",
        "via",
    ] {
        assert!(!server.lets_in("127.0.0.1", &[(header, "127.0.0.1")]).await, "{header}");
    }
}

#[tokio::test]
async fn a_name_that_was_pointed_here_is_refused() {
    let server = Server::new(|_| ());
    for host in [
        "rebound.example:3003",
        "localhost.example",
        "localhost.",
        "127.0.0.1.example",
        "127.0.0.2",
        "0.0.0.0:3003",
        "localhost:3003.evil.example",
        "127.1:3003",
        "evil.example@localhost",
        "",
    ] {
        assert!(!server.lets_in("127.0.0.1", &[("host", host)]).await, "{host}");
        let origin = format!("http://{host}");
        let headers = [("host", host), ("origin", &origin)];
        assert!(!server.lets_in("127.0.0.1", &headers).await, "{host} from itself");
    }
    let request = Request::post("/console/login");
    let code = server.code.as_deref().unwrap();
    assert_eq!(server.log_in("127.0.0.1", request, code).await.status, 404, "no host");
    let two = request_with_hosts(&["localhost", "rebound.example"]);
    assert_eq!(server.log_in("127.0.0.1", two, code).await.status, 404, "two hosts");
}

fn request_with_hosts(hosts: &[&str]) -> Builder {
    hosts
        .iter()
        .fold(Request::post("/console/login"), |request, host| request.header("host", *host))
}

#[tokio::test]
async fn a_page_of_elsewhere_gets_no_token() {
    let server = Server::new(|_| ());
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost",
        "http://localhost:5175", // an app that may call the API, but is not this page
        "https://localhost:3003",
        "http://127.0.0.1:3003",
    ] {
        assert!(!server.lets_in("127.0.0.1", &[("origin", origin)]).await, "{origin}");
    }
}

/// Asks for a page as its developer would, and for all that it is made of; the files below `own`.
async fn files_of(server: &Server, path: &str, own: &str) -> Vec<String> {
    let request = Request::get(path).header("host", "localhost:3003");
    let page = server.ask("127.0.0.1", request).await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for rule in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("unsafe") && !page.text.contains(" style="), "inline");
    assert!(!page.text.contains("//"), "something from elsewhere");

    let is_file =
        |part: &&str| ["console/", "welcome/"].iter().any(|folder| part.starts_with(folder));
    let mut files: Vec<_> =
        page.text.split(['"', '\n']).filter(is_file).map(str::to_owned).collect();
    for at in 0.. {
        let Some(file) = files.get(at).cloned() else { break };
        let answer = server.ask("203.0.113.9", Request::get(format!("/{file}"))).await;
        assert_eq!(answer.status, 200, "{file}");
        let kind = answer.headers["content-type"].to_str().unwrap();
        let expected = match file.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            other => &format!("image/{other}+xml"),
        };
        assert_eq!(kind, expected, "{file}");
        let (folder, _) = file.split_once('/').unwrap();
        let imports = answer.text.lines().filter_map(|line| line.split_once(" from './"));
        for (_, name) in imports {
            let import = format!("{folder}/{}", name.trim_end_matches("';"));
            if !files.contains(&import) {
                files.push(import);
            }
        }
    }
    files.sort_unstable();
    files.dedup();
    files.retain(|file| file.starts_with(own));
    files
}

#[tokio::test]
async fn the_pages_run_nothing_but_their_own_files() {
    let server = Server::new(|_| ());
    let files = files_of(&server, "/console", "console/").await;
    assert_eq!(files.len(), page::FILES.len(), "every file is used: {files:?}");
    let files = files_of(&server, "/", "welcome/").await;
    assert_eq!(files.len(), welcome::FILES.len(), "every file is used: {files:?}");

    let slash = server.ask("203.0.113.9", Request::get("/console/")).await;
    assert_eq!((slash.status, &slash.headers["location"]), (308, &"../console".parse().unwrap()));
}

/// Whether who asks so is given the playground; the page says what it does.
async fn may_play(server: &Server, peer: &str, headers: &[(&str, &str)]) -> bool {
    let with = |request: Builder| {
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let page = server.ask(peer, with(Request::get("/"))).await;
    assert_eq!(page.status, 200);
    let answer = server.ask(peer, with(Request::post("/welcome/playground"))).await;
    let plays = answer.status == 200;
    assert_eq!(page.text.contains("id=\"say\""), plays, "the page offers what would be granted");
    assert_eq!(answer.text.contains("token\":"), plays, "{}", answer.text);
    plays
}

#[tokio::test]
async fn the_playground_is_for_the_servers_own_machine() {
    let server = Server::new(|config| config.server.host = "0.0.0.0".parse().unwrap());
    let here = ("host", "localhost:3003");
    assert!(may_play(&server, "127.0.0.1", &[here]).await);
    assert!(may_play(&server, "127.0.0.1", &[here, ("origin", "http://localhost:3003")]).await);
    assert!(!may_play(&server, "203.0.113.9", &[here]).await, "another machine");
    assert!(!may_play(&server, "127.0.0.1", &[("host", "rebound.example")]).await);
    for header in [("x-forwarded-for", "127.0.0.1"), ("origin", "http://localhost:5175")] {
        assert!(!may_play(&server, "127.0.0.1", &[here, header]).await, "{header:?}");
    }
    let given = Server::new(|config| config.development_secret = None);
    assert!(!may_play(&given, "127.0.0.1", &[here]).await, "a secret that others have, too");
}

#[tokio::test]
async fn its_users_have_no_rights() {
    let server = Server::new(|_| ());
    let request = Request::post("/welcome/playground").header("host", "localhost");
    let players = server.ask("127.0.0.1", request).await.json();
    for player in ["ann", "bob", "you"] {
        let token = players[player]["token"].as_str().unwrap();
        assert_eq!(server.get("/api/status", token).await.status, 403, "{player}");
    }
}

#[tokio::test]
async fn in_production_there_is_no_first_page() {
    let server = Server::new(|config| config.environment = Environment::Production);
    let here = |request: Builder| request.header("host", "localhost");
    assert_eq!(server.ask("127.0.0.1", here(Request::get("/"))).await.status, 404);
    let playground = here(Request::post("/welcome/playground"));
    assert_eq!(server.ask("127.0.0.1", playground).await.status, 404);
}

#[tokio::test]
async fn status_and_metrics_are_for_operators() {
    let server = Server::new(|_| ());
    server.clock.advance(Duration::from_secs(90));
    for role in [Role::Admin, Role::Service] {
        let token = server.token(role);
        let status = server.get("/api/status", &token).await.json();
        let expected = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeMs": 90_000,
            "environment": "development",
            "caller": {"userId": "u", "roles": [role.as_str()]},
            "troubles": [],
        });
        assert_eq!(status, expected);
        let metrics = server.get("/api/metrics", &token).await;
        assert!(metrics.text.contains("process_resident_memory_bytes"), "{}", metrics.text);
    }
    for path in ["/api/status", "/api/metrics", "/api/history"] {
        let user = server.token(Role::User);
        assert_eq!(server.get(path, &user).await.status, 403, "{path}");
        assert_eq!(server.ask("127.0.0.1", Request::get(path)).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn the_last_hour_is_told_in_steps_and_goes_on_from_a_moment() {
    let server = Server::new(|_| ());
    let token = server.token(Role::Admin);
    let history = server.get("/api/history", &token).await.json();
    assert_eq!((&history["stepMs"], &history["times"]), (&json!(10_000), &json!([])));
    for _ in 0..3 {
        server.admin.read_figures();
        server.clock.advance(Duration::from_secs(10));
    }
    let history = server.get("/api/history", &token).await.json();
    let times = history["times"].as_array().unwrap();
    assert_eq!(times.len(), 2, "{times:?}");
    let figures = history["figures"].as_array().unwrap();
    let memory = figures.iter().find(|figure| figure["name"] == "memory").unwrap();
    assert_eq!(memory["lines"][0]["name"], "resident");
    let values = memory["lines"][0]["values"].as_array().unwrap();
    assert!(values.iter().all(|value| value.as_f64().unwrap() > 1e6), "{values:?}");
    let after = times[0].as_str().unwrap();
    let later = server.get(&format!("/api/history?after={after}"), &token).await.json();
    assert_eq!(later["times"], json!([times[1]]));
    assert_eq!(server.get("/api/history?after=yesterday", &token).await.status, 422);
}
