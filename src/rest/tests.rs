//! The layers from outside: a small router behind all of them, and a real port where bytes and time
//! matter.

use std::time::Duration;

use axum::routing::{get, post};
use garde::Validate;
use http::{HeaderMap, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

use super::{log::tests::Lines, *};
use crate::{
    config::LogFormat,
    error::{Code, Error},
    id::Id,
};

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Greeting {
    #[garde(length(min = 1, max = 5))]
    first_name: String,
    #[garde(range(min = 1))]
    times: u32,
}

#[derive(Deserialize)]
struct Filter {
    kind: Option<Id>,
    count: Option<u8>,
}

async fn greet(body::ValidBody(greeting): body::ValidBody<Greeting>) -> String {
    greeting.first_name.repeat(greeting.times as usize)
}

async fn filter(_page: list::Page, body::Query(filter): body::Query<Filter>) -> String {
    format!("{:?} {:?}", filter.kind, filter.count)
}

fn app() -> Router {
    let router = Router::new()
        .route("/greetings", post(greet))
        .route("/raw", post(async |body::RawBody(bytes): body::RawBody| bytes))
        .route("/filter", get(filter))
        .route("/things/{id}", get(async |body::Path(id): body::Path<Id>| id.to_string()))
        .route(
            "/pairs/{id}/{n}",
            get(async |body::Path((id, n)): body::Path<(Id, u8)>| format!("{id} {n}")),
        )
        .route("/panics", get(async || -> String { panic!("the secret is 42") }))
        .route("/bare", get(async || StatusCode::BAD_GATEWAY))
        .route("/own", get(async || (StatusCode::CONFLICT, axum::Json(json!({"mine": true})))))
        .route("/busy", get(busy))
        .route("/socket.io/", get(async || "polled"))
        .route("/private", get(async || Error::new(Code::Unauthorized, "No token provided.")))
        .merge(openapi::router(&openapi::base()).unwrap());
    let origins = OriginPolicy::new(["https://app.example.com"], false).unwrap();
    let body_timeout = Duration::from_millis(200);
    layers(
        router,
        Layers {
            origins,
            max_payload_bytes: 100,
            body_timeout,
            slow_request: Duration::ZERO,
            trusted_proxies: [].into(),
        },
    )
}

async fn busy() -> Error {
    Error::new(Code::Unavailable, "The store is away.")
        .with_retry_after(Duration::from_millis(1500))
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["requestId"], self.header("x-request-id"));
        let code = problem["code"].as_str().unwrap();
        assert_eq!(problem["type"], format!("urn:stoa:error:{code}"));
        problem
    }

    fn pointers(&self) -> Vec<String> {
        let problem = self.problem();
        let errors = problem["errors"].as_array().unwrap().iter();
        errors.map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

async fn send(request: http::request::Builder, body: &str) -> Answer {
    let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
    let (parts, body) = app().oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, text }
}

async fn ask(path: &str) -> Answer {
    send(Request::get(path), "").await
}

async fn post_json(body: &str) -> Answer {
    send(Request::post("/greetings").header("content-type", "application/json"), body).await
}

#[tokio::test]
async fn a_body_that_fits_reaches_its_handler() {
    let answer = post_json(r#"{"firstName":"Ada","times":2}"#).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "AdaAda"));
    let charset =
        Request::post("/greetings").header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(send(charset, r#"{"firstName":"Ada","times":1}"#).await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_a_problem_with_a_pointer() {
    let malformed = post_json("{\n!").await;
    assert_eq!((malformed.status, &malformed.problem()["code"]), (400, &json!("malformed")));
    assert!(malformed.problem()["detail"].as_str().unwrap().contains("line 2 column 1"));

    let unknown = post_json(r#"{"firstName":"Ada","times":1,"more":1}"#).await;
    assert_eq!((unknown.status, unknown.pointers()), (422, vec!["/more".to_owned()]));

    let rules = post_json(r#"{"firstName":"Augusta Ada","times":0}"#).await;
    assert_eq!((rules.status, rules.pointers().len()), (422, 2));
    assert!(rules.pointers().contains(&"/firstName".to_owned()));

    let text = send(Request::post("/greetings").header("content-type", "text/plain"), "{}").await;
    assert_eq!((text.status, &text.problem()["code"]), (415, &json!("unsupported_media_type")));
    assert_eq!(send(Request::post("/greetings"), "{}").await.status, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_length_and_by_its_bytes() {
    assert_eq!(send(Request::post("/raw"), &"x".repeat(100)).await.text.len(), 100);
    let told = send(Request::post("/raw").header("content-length", 101), &"x".repeat(101)).await;
    assert_eq!((told.status, &told.problem()["code"]), (413, &json!("too_large")));
    // Without a length, as in chunks.
    let chunks = ["x".repeat(60), "x".repeat(60)].map(Ok::<_, std::io::Error>);
    let body = axum::body::Body::from_stream(futures_util::stream::iter(chunks));
    let response = app().oneshot(Request::post("/raw").body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_a_408() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app()).await });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = client.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"timeout""#), "{answer}");
    server.abort();
}

#[tokio::test]
async fn paths_and_queries_are_read_and_refused_by_name() {
    assert_eq!(ask("/things/a.b:1").await.text, "a.b:1");
    assert_eq!(ask("/things/42").await.text, "42");
    assert_eq!(ask("/pairs/a/7").await.text, "a 7");
    let bad = ask("/things/a%20b").await;
    assert_eq!((bad.status, &bad.problem()["code"]), (422, &json!("invalid_payload")));
    assert_eq!(ask("/pairs/a/many").await.status, 422);
    assert_eq!(ask("/things/%FF").await.status, 400);

    assert_eq!(ask("/filter?limit=3&kind=7&other=1").await.text, r#"Some("7") None"#);
    assert_eq!(ask("/filter?count=many").await.pointers(), ["/count"]);
    assert_eq!(ask("/filter?limit=0").await.pointers(), ["/limit"]);
}

#[tokio::test]
async fn what_axum_answers_by_itself_is_a_problem_too() {
    let nowhere = ask("/nowhere").await;
    assert_eq!((nowhere.status, &nowhere.problem()["code"]), (404, &json!("not_found")));
    let method = send(Request::delete("/greetings"), "").await;
    assert_eq!((method.status, &method.problem()["code"]), (405, &json!("method_not_allowed")));
    assert_eq!(method.header("allow"), "POST");
    let bare = ask("/bare").await;
    assert_eq!((bare.status, &bare.problem()["code"]), (500, &json!("internal")));
}

#[tokio::test]
async fn what_a_handler_says_on_purpose_stays() {
    let own = ask("/own").await;
    assert_eq!((own.status, own.text.as_str()), (409, r#"{"mine":true}"#));
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let answer = ask("/panics").await;
    assert_eq!((answer.status, &answer.problem()["code"]), (500, &json!("internal")));
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test]
async fn a_problem_says_when_to_return_and_what_credentials_it_takes() {
    assert_eq!(ask("/busy").await.header("retry-after"), "2");
    assert_eq!(ask("/private").await.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn a_request_id_is_taken_or_made_and_returned() {
    let given = send(Request::get("/things/a").header("x-request-id", "mine:1"), "").await;
    assert_eq!(given.header("x-request-id"), "mine:1");
    let made = send(Request::get("/nowhere").header("x-request-id", "not mine"), "").await;
    assert_eq!(made.header("x-request-id").len(), 36);
    made.problem();
}

/// The lines logged while `requests` ran, as JSON.
async fn logged(level: &str, requests: impl Future<Output = Answer>) -> Vec<Value> {
    let (lines, _guard) = Lines::gather(level, LogFormat::Json);
    requests.await;
    lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_request_is_logged_by_its_route_its_id_and_its_trace() {
    let request = Request::get("/things/hidden?token=hidden")
        .header("authorization", "hidden")
        .header("x-request-id", "r1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let lines = logged("trace", send(request, "hidden")).await;
    let line = lines.iter().find(|line| line["message"] == "request answered").unwrap();
    assert_eq!(line["level"], "INFO");
    assert!(line["latency_ms"].is_u64(), "{line}");
    let span = &line["spans"][0];
    assert_eq!(span["method"], "GET");
    assert_eq!(span["route"], "/things/{id}");
    assert_eq!(span["status"], 200);
    assert_eq!(span["request_id"], "r1");
    assert_eq!(span["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!lines.iter().any(|line| line.to_string().contains("hidden")), "{lines:#?}");
}

#[tokio::test]
async fn a_failure_of_ours_is_logged_once_with_its_cause() {
    let lines = logged("info", ask("/panics")).await;
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{lines:#?}");
    assert_eq!(errors[0]["cause"], "panicked: the secret is 42");
    assert_eq!(errors[0]["code"], "internal");
    assert_eq!(errors[0]["spans"][0]["route"], "/panics");
}

#[tokio::test]
async fn what_a_caller_got_wrong_is_not_quoted_in_the_log() {
    let lines = logged("trace", post_json(r#"{"firstName":"x","times":"hunter2"}"#)).await;
    assert!(lines.iter().any(|line| line["code"] == "invalid_payload"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.to_string().contains("hunter2")), "{lines:#?}");
}

#[tokio::test]
async fn polls_are_not_logged_at_info() {
    assert_eq!(logged("info", ask("/socket.io/?EIO=4")).await, Vec::<Value>::new());
    assert_ne!(logged("debug", ask("/socket.io/?EIO=4")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_allowed_page_may_read_answers_and_problems() {
    let origin = "https://app.example.com";
    for path in ["/things/a", "/nowhere", "/panics"] {
        let answer = send(Request::get(path).header("origin", origin), "").await;
        assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    }
    let preflight = Request::options("/greetings")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key");
    let preflight = send(preflight, "").await;
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-headers").contains("idempotency-key"));
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
}

#[tokio::test]
async fn a_foreign_page_may_neither_read_nor_change() {
    let foreign = "https://evil.example";
    let read = send(Request::get("/things/a").header("origin", foreign), "").await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, ""));
    let change = send(Request::post("/raw").header("origin", foreign), "x").await;
    assert_eq!((change.status, &change.problem()["code"]), (403, &json!("forbidden")));
}

#[tokio::test]
async fn every_answer_has_the_headers_that_hold_browsers_back() {
    for path in ["/things/a", "/nowhere", "/api/docs"] {
        let answer = ask(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(policy.contains("script-src 'self'"), path == "/api/docs");
    }
}

crate::failures! {
    /// The thing does not exist.
    NoThing = NotFound, "There is no such thing.";
    /// The thing is locked.
    Locked = Conflict("locked"), "The thing is locked.";
    /// Another thing has this name.
    NameTaken = Conflict("name_taken"), "Another thing has this name.";
}

/// Archives a thing.
///
/// Only once
/// for each.
#[utoipa::path(
    post,
    path = "/api/things/{id}/archive",
    params(("id" = String, Path)),
    responses((status = 204, description = "Archived."), NoThing, Locked, NameTaken)
)]
async fn archive() {}

/// Lists things.
#[utoipa::path(get, path = "/api/things", security(()), responses((status = 200, body = Vec<String>)))]
async fn things() {}

async fn document(takes_key: bool) -> Value {
    let (_, api): (Router, _) = utoipa_axum::router::OpenApiRouter::with_openapi(openapi::base())
        .routes(utoipa_axum::routes!(archive))
        .routes(utoipa_axum::routes!(things))
        .split_for_parts();
    let examples = openapi::Examples::read(&[r#"{"things": {"answers": {"200": ["a"]}}}"#, "{}"]);
    let takes =
        openapi::Takes { key: |_: &http::Method, _: &str| takes_key, act_as: |_: &str| false };
    let api = openapi::complete(api, &examples.unwrap(), &takes);
    let router: Router = openapi::router(&api).unwrap();
    let request = Request::get("/api/openapi.json").body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_document_lists_operations_with_their_failures_by_code() {
    let api = document(true).await;
    let operation = &api["paths"]["/api/things/{id}/archive"]["post"];
    assert_eq!(operation["summary"], "Archives a thing.");
    assert_eq!(operation["description"], "Only once for each.");
    let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
    let expected = ["204", "400", "401", "403", "404", "409", "422", "429", "500", "503"];
    assert_eq!(statuses, expected);
    let conflicts = &operation["responses"]["409"]["content"]["application/problem+json"];
    assert_eq!(conflicts["schema"]["$ref"], "#/components/schemas/Problem");
    let codes: Vec<_> = conflicts["examples"].as_object().unwrap().keys().collect();
    assert_eq!(codes, ["conflict", "locked", "name_taken"]);
    let locked = &conflicts["examples"]["locked"];
    assert_eq!(locked["summary"], "The thing is locked.");
    assert_eq!(locked["value"]["detail"], "The thing is locked.");
    let unauthorized = json!({ "$ref": "#/components/responses/Unauthorized" });
    assert_eq!(operation["responses"]["401"], unauthorized);
    let shared = &api["components"]["responses"]["RateLimited"];
    assert!(shared["headers"]["Retry-After"].is_object(), "{shared}");
    assert_eq!(api["components"]["schemas"]["Problem"]["type"], "object");
    assert_eq!(api["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(api["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn an_operation_shows_only_what_it_can_fail_by_and_what_was_answered() {
    let api = document(false).await;
    let responses = api["paths"]["/api/things"]["get"]["responses"].as_object().unwrap();
    let statuses: Vec<_> = responses.keys().collect();
    assert_eq!(statuses, ["200", "422", "429", "500", "503"]);
    assert_eq!(responses["200"]["content"]["application/json"]["example"], json!(["a"]));
    let archive = &api["paths"]["/api/things/{id}/archive"]["post"]["responses"];
    let conflicts = &archive["409"]["content"]["application/problem+json"]["examples"];
    assert!(conflicts["conflict"].is_null(), "no key, so none is in use: {conflicts}");
    assert!(openapi::Examples::read(&[r#"{"things": {"answer": {}}}"#]).is_err());
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    for (path, kind) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/docs.js", "text/javascript"),
        ("/api/docs/credentials.js", "text/javascript"),
        ("/api/docs/element.js", "text/javascript"),
        ("/api/docs/try.js", "text/javascript"),
        ("/api/docs/docs.css", "text/css"),
    ] {
        let answer = ask(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
        for outside in ["http://", "https://", "url(", "<style", " style=", " onclick="] {
            assert!(!answer.text.contains(outside), "{path} has {outside}");
        }
    }
}
