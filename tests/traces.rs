//! Traces, as a collector gets them: one request, and all that it led to.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::Span,
};
use parking_lot::Mutex;
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify};

use crate::support::{
    app::{SECRET, sign},
    http_client,
    postgres::Postgres,
    process::Process,
    within,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const WEBHOOK_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Who sent spans: the headers, and what is said of all of them.
type Sender = (HeaderMap, Vec<KeyValue>);

/// A collector and a backend in one.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    from: Arc<Mutex<Vec<Sender>>>,
    told: Arc<Mutex<Vec<HeaderMap>>>,
    heard: Arc<Notify>,
}

impl Collector {
    /// Its URL.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (spans, from) = (self.spans.clone(), self.from.clone());
        let (told, heard) = (self.told.clone(), self.heard.clone());
        let collect = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let export = ExportTraceServiceRequest::decode(body).expect("spans");
            for of_one in export.resource_spans {
                let resource = of_one.resource.expect("who it is").attributes;
                from.lock().push((headers.clone(), resource));
                spans.lock().extend(of_one.scope_spans.into_iter().flat_map(|it| it.spans));
            }
            StatusCode::OK
        };
        let hear = async move |headers: HeaderMap| {
            told.lock().push(headers);
            heard.notify_one();
            StatusCode::NO_CONTENT
        };
        let router = Router::new().route("/v1/traces", post(collect)).route("/hook", post(hear));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    /// The spans of the trace that have this name.
    fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.lock();
        let of_trace = spans.iter().filter(|span| hex::encode(&span.trace_id) == TRACE);
        of_trace.filter(|span| span.name == name).cloned().collect()
    }
}

/// Whether a text is said under this name.
fn has(attributes: &[KeyValue], key: &str, value: &str) -> bool {
    let of = attributes.iter().filter(|it| it.key == key);
    let mut of = of.filter_map(|it| it.value.as_ref()?.value.as_ref());
    of.any(|it| *it == any_value::Value::StringValue(value.to_owned()))
}

/// A conversation is begun by somebody whose own span has a name.
async fn begin(server: &Process) -> u16 {
    let token = sign(&json!({ "userId": "ann" }), SECRET);
    let begun = http_client()
        .post(format!("http://{}/api/conversations", server.address))
        .bearer_auth(token)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("tracestate", "shop=42")
        .json(&json!({ "participantIds": ["bob"] }));
    within("an answer", begun.send()).await.expect("one").status().as_u16()
}

async fn is_traced_to_its_end(database: Option<String>) {
    let (data, collector) = (TempDir::new().expect("a folder"), Collector::default());
    let url = collector.serve().await;
    let hook = format!("{url}/hook");
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-the-collector"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=trial"),
        ("STOA_NODE", "n1"),
        ("WEBHOOK_URL", &hook),
        ("WEBHOOK_SECRET", WEBHOOK_SECRET),
    ];
    if let Some(database) = &database {
        variables.push(("DATABASE_URL", database));
    }
    let server = Process::start(data.path(), &variables).await;
    assert_eq!(begin(&server).await, 201);
    within("a webhook", collector.heard.notified()).await;
    // What is left is sent at the stop.
    server.stop().await;
    let [request] = &collector.named("POST /api/conversations")[..] else {
        panic!("{:?}", collector.spans.lock())
    };
    assert_eq!(hex::encode(&request.parent_span_id), CALLER);
    assert!(has(&request.attributes, "http.route", "/api/conversations"), "{request:?}");
    let all = collector.spans.lock().clone();
    let begun = all.iter().filter(|span| span.parent_span_id.is_empty());
    let begun: Vec<_> = begun.map(|span| span.name.as_str()).collect();
    assert!(
        !begun.contains(&"store") && !begun.contains(&"emit"),
        "of the server alone: {begun:?}"
    );
    for (headers, resource) in collector.from.lock().iter() {
        assert_eq!(headers["authorization"], "Bearer of-the-collector");
        for (key, value) in [
            ("service.name", "stoa"),
            ("service.instance.id", "n1"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("deployment.environment", "trial"),
        ] {
            assert!(has(resource, key, value), "{key}: {resource:?}");
        }
    }
    let stores = collector.named("store");
    assert!(stores.iter().any(|store| store.parent_span_id == request.span_id), "{stores:?}");
    let is_of_one = |span: &Span| stores.iter().any(|it| it.span_id == span.parent_span_id);
    for name in ["emit", "webhook"] {
        let spans = collector.named(name);
        assert!(!spans.is_empty() && spans.iter().all(is_of_one), "{name}: {spans:?}");
    }
    let webhooks = collector.named("webhook");
    let told = collector.told.lock();
    for headers in told.iter() {
        let caller = headers["traceparent"].to_str().expect("a text");
        assert_eq!(headers["tracestate"], "shop=42");
        let of = |span: &Span| format!("00-{TRACE}-{}-01", hex::encode(&span.span_id));
        assert!(webhooks.iter().any(|span| of(span) == caller), "{caller}: {webhooks:?}");
    }
}

#[tokio::test]
async fn a_request_is_traced_by_way_of_the_store_to_the_emit_and_the_webhook() {
    is_traced_to_its_end(None).await;
}

#[tokio::test]
async fn so_it_is_on_postgres() {
    let database = Postgres::shared().database().await;
    is_traced_to_its_end(Some(database)).await;
}

#[tokio::test]
async fn without_a_collector_nothing_is_traced() {
    let (data, collector) = (TempDir::new().expect("a folder"), Collector::default());
    let hook = format!("{}/hook", collector.serve().await);
    let variables = [("WEBHOOK_URL", hook.as_str()), ("WEBHOOK_SECRET", WEBHOOK_SECRET)];
    let server = Process::start(data.path(), &variables).await;
    assert_eq!(begin(&server).await, 201);
    within("a webhook", collector.heard.notified()).await;
    server.stop().await;
    let told = collector.told.lock();
    assert!(told.iter().all(|headers| !headers.contains_key("traceparent")), "{told:?}");
    assert!(collector.from.lock().is_empty());
}

/// A server answers and ends, though its collector does not; how often that is told.
async fn is_well_without(collector: SocketAddr) -> usize {
    let data = TempDir::new().expect("a folder");
    let url = format!("http://{collector}");
    // As many batches as there are spans.
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
    ];
    let server = Process::start(data.path(), &variables).await;
    for _ in 0..30 {
        assert!([200, 201].contains(&begin(&server).await));
    }
    let log = server.stop().await;
    let is_of_it = |line: &&Value| line["message"].as_str().unwrap_or("").contains("traces could");
    log.iter().filter(is_of_it).count()
}

#[tokio::test]
async fn a_collector_that_is_away_harms_nothing_and_is_told_once() {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().unwrap();
    assert_eq!(is_well_without(gone).await, 1);
}

#[tokio::test]
async fn a_collector_that_hangs_holds_nothing_up() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    is_well_without(silent.local_addr().expect("an address")).await;
}
