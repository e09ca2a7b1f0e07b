//! `stoa observe`: stands before the server that runs today, and tells what the move to this one
//! would change (docs/observe.md).

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use stoa::{
    config::Loaded,
    http::log,
    observe::{Observer, Upstream},
};
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args)]
pub struct Args {
    /// The server that runs today, as http://host:port or https://host:port
    #[arg(long, value_name = "URL")]
    upstream: Upstream,
    /// Where its clients connect meanwhile: an address with a port, or :port for all addresses
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: SocketAddr,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
    let everywhere = port.map(|port| (Ipv4Addr::UNSPECIFIED, port).into());
    everywhere.or_else(|| text.parse().ok()).ok_or_else(|| "such as :3004 or 127.0.0.1:3004".into())
}

/// Passes everything through until a signal ends it.
pub async fn run(args: &Args, loaded: Loaded) -> Result<()> {
    log::init(&loaded.config.log, std::io::stderr).context("log.level")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let observer = Observer::start(args.listen, args.upstream.clone())
        .await
        .with_context(|| format!("--listen {}", args.listen))?;
    eprintln!("observing {} for clients of {}", args.upstream.url(), observer.address());
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    observer.stop().await;
    Ok(())
}
