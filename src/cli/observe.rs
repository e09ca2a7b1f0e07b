//! `stoa observe`: stands before the server that runs today, and tells what the move to this one
//! would change (docs/observe.md).

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use stoa::{
    config::Loaded,
    observe::{Observer, Report, Upstream},
    rest::log,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::output::{remark, say};

/// How often it is told what was observed, where that has changed.
const EVERY: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Args {
    /// The server that runs today, as http://host:port or https://host:port
    #[arg(long, value_name = "URL")]
    upstream: Upstream,
    /// Where its clients connect meanwhile: an address with a port, or :port for all addresses
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: SocketAddr,
    /// A file that has the report as JSON, every five seconds and at the end
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
    let everywhere = port.map(|port| (Ipv4Addr::UNSPECIFIED, port).into());
    everywhere.or_else(|| text.parse().ok()).ok_or_else(|| "such as :3004 or 127.0.0.1:3004".into())
}

/// Passes everything through until a signal ends it, and tells what it observed.
pub async fn run(args: &Args, loaded: Loaded) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    log::init(&config.log, None, std::io::stderr, None).context("log.level")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let catalogue = stoa::app::events();
    let observer = Observer::start(args.listen, args.upstream.clone(), &config, catalogue).await?;
    let (before, here) = (args.upstream.url(), observer.address());
    remark(format_args!("observing {before} for clients of {here}"));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = ticks.tick() => {
                let report = observer.report();
                let said = Some(report.said());
                if told != said {
                    // The traffic goes on without a report.
                    for told in [write(args.report.as_deref(), &report), say(&report)] {
                        if let Err(error) = told {
                            tracing::warn!("{error:#}");
                        }
                    }
                    told = said;
                }
            }
        }
    }
    let report = observer.stop().await;
    write(args.report.as_deref(), &report)?;
    say(report)
}

/// Whoever reads the file meanwhile finds a whole report.
fn write(file: Option<&Path>, report: &Report) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let json = serde_json::to_string_pretty(report).context("the report as JSON")?;
    let begun = file.with_extension("part");
    fs::write(&begun, json + "\n")
        .and_then(|()| fs::rename(&begun, file))
        .with_context(|| format!("--report {}", file.display()))
}
