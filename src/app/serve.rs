//! `stoa serve`: a server from its configuration to the signal that ends it.

use std::{
    io::{Write, stderr},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::App;
use crate::{
    auth::{Minter, NewToken, Role, Roles},
    clock::Clock,
    config::{AuthConfig, Config, DevelopmentSecret, Environment, Loaded},
    id::{Id, Ids},
    metrics,
    rest::log,
    traces::Export,
};

/// How long the token lasts that a development server shows.
const DEVELOPMENT_TOKEN: Duration = Duration::from_hours(12);

/// Runs a server until a signal ends it: the first begins to drain, a second stops at once.
///
/// # Errors
/// When it can't start.
pub async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { mut config, warnings } = loaded;
    let node = node(&config);
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
    if let Some(secret) = development {
        greet(&secret, &auth, app.address(), &clock)?;
    }
    if environment == Environment::Development {
        offer_console(&app);
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

/// Tells a developer where to look. Not by way of the log, which never has a token.
fn greet(
    secret: &DevelopmentSecret,
    auth: &AuthConfig,
    address: SocketAddr,
    clock: &Clock,
) -> anyhow::Result<()> {
    let jwt_secret = auth.jwt_secret.as_ref().context("the development secret is missing")?;
    let minter = Minter::new(jwt_secret, auth.jwt_issuer.as_deref(), auth.jwt_audience.as_deref())?;
    let roles: Roles = [Role::User, Role::Buyer, Role::Seller, Role::Admin].into_iter().collect();
    let token = NewToken::new(Id::new("dev")?, roles, DEVELOPMENT_TOKEN);
    let token = minter.mint(&token, clock.now())?;
    let url = format!("http://localhost:{}", address.port());
    // Who can't be told has the log.
    let _ = writeln!(
        stderr(),
        "Stoa is at {url} (its API: {url}/api/docs, its console: {url}/console), with a \
         development secret in {}; a token for user dev, for 12 hours: {token}",
        secret.path.display()
    );
    Ok(())
}

/// Tells a developer how to get into the console, by the same way.
fn offer_console(app: &App) {
    let page = format!("http://localhost:{}/console", app.address().port());
    let by = match app.login_code() {
        Some(code) => format!("from this machine, once, with the code {code}"),
        None => "with a token: stoa token --user <you> --role admin --role service".to_owned(),
    };
    let _ = writeln!(stderr(), "{page} lets you in {by}");
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
