//! How spans come to a collector: in batches, by OTLP over HTTP, from a thread of the library's own. A
//! collector that is away, or slow, loses spans and nothing else.

use std::{fmt, pin::Pin, sync::atomic::Ordering, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::task::spawn_blocking;
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{
    log_limit,
    outgoing::{self, Network, read},
    tasks::Tasks,
};

/// How long a collector is waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last spans may take when the server stops.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Bytes of an answer that are read.
const MOST_READ: usize = 64 * 1024;

/// What hears of spans.
pub type Spans<S> = Box<dyn Layer<S> + Send + Sync>;

/// Spans on their way to a collector.
pub struct Export(SdkTracerProvider);

impl Export {
    /// Begins to export, to the collector whose URL this is. Called in a runtime.
    ///
    /// # Errors
    /// When there is no client to be had.
    pub fn begin(endpoint: &str, node: Option<&str>) -> anyhow::Result<Self> {
        let at = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let client = Collector {
            http: outgoing::client(Network::Any, TIMEOUT)?,
            tasks: Tasks::default(),
            runtime: tokio::runtime::Handle::current(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(at)
            .with_timeout(TIMEOUT)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let node = node.map(|node| KeyValue::new("service.instance.id", node.to_owned()));
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = named().with_attributes(node.into_iter().chain([version])).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource);
        super::IS_ON.store(true, Ordering::Relaxed);
        Ok(Self(provider.build()))
    }

    /// What hears of the spans.
    #[must_use]
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> Spans<S> {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("stoa"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        layer.with_filter(filter_fn(|metadata| metadata.target() == super::TARGET)).boxed()
    }

    /// Sends what is left, if the collector takes it soon.
    pub async fn end(self) {
        super::IS_ON.store(false, Ordering::Relaxed);
        let ended = spawn_blocking(move || self.0.shutdown_with_timeout(LAST_SPANS));
        if let Ok(Err(error)) = ended.await {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, else as this is called.
fn named() -> opentelemetry_sdk::resource::ResourceBuilder {
    let detected = Resource::builder().build();
    let name = detected.get(&"service.name".into());
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if is_named { Resource::builder() } else { Resource::builder().with_service_name("stoa") }
}

/// Calls the collector.
struct Collector {
    http: reqwest::Client,
    tasks: Tasks,
    /// The server's: the thread that sends has none.
    runtime: tokio::runtime::Handle,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl HttpClient for Collector {
    fn send_bytes<'this, 'sending>(
        &'this self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'this: 'sending,
        Self: 'sending,
    {
        Box::pin(async move {
            let sent = {
                let _runtime = self.runtime.enter();
                self.tasks.spawn("traces", send(self.http.clone(), request))
            };
            sent.await?
        })
    }
}

async fn send(
    http: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let answered = async {
        let answer = http.execute(request.try_into()?).await?.error_for_status()?;
        let status = answer.status();
        let body = read(answer, MOST_READ).await.map_err(|_| "its answer can't be read")?;
        Ok::<_, HttpError>(Response::builder().status(status).body(body.into())?)
    };
    answered.await.inspect_err(|error| {
        if let Some(left_out) = log_limit::admit("traces", None, "lost") {
            tracing::warn!(%error, left_out, "traces could not be sent (OTEL_EXPORTER_OTLP_ENDPOINT)");
        }
    })
}
