//! `stoa serve`: a server from its configuration to the signal that ends it.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{greeting::greet, server::App};
use crate::{
    clock::Clock,
    config::{Config, Environment, Loaded},
    id::Ids,
    metrics,
    rest::log,
    traces::Export,
};

/// Runs a server until a signal ends it: the first begins to drain, a second stops at once.
///
/// # Errors
/// When it can't start.
pub async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { mut config, warnings } = loaded;
    let node = node(&config);
    config.log.node.clone_from(&node);
    let export = config.traces.endpoint.as_deref();
    let export = export.map(|url| Export::begin(url, node.as_deref())).transpose()?;
    let spans = export.as_ref().map(Export::layer);
    log::init(&config.log, node.clone(), std::io::stdout, spans).context("log.level")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let development = config.ensure_key()?;
    let clock = Clock::system();
    let (auth, environment) = (config.auth.clone(), config.environment);
    let mut signals = Signals::new()?;
    let app = tokio::select! {
        app = Box::pin(App::start(config, clock.clone())) => app?,
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before it was ready");
            return Ok(());
        }
    };
    if let Some(node) = node {
        metrics::node_info(node).set(1.0);
    }
    tracing::info!(address = %app.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    if environment == Environment::Development {
        greet(&app, development.as_ref(), &auth, &clock)?;
    }
    let name = signals.next().await;
    tracing::info!(signal = name, "stopping; a second signal stops at once");
    app.stop();
    tokio::select! {
        () = app.stopped() => tracing::info!("stopped"),
        _ = signals.next() => tracing::warn!("stopped at once"),
    }
    if let Some(export) = export {
        export.end().await;
    }
    Ok(())
}

/// Which of several nodes this is: as it is called, or by a new name where there may be others.
fn node(config: &Config) -> Option<String> {
    let is_one_of_several = config.database.is_shared() || config.cluster.redis_url.is_some();
    config.log.node.clone().or_else(|| is_one_of_several.then(|| Ids.short()))
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
