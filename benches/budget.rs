//! `cargo bench --bench budget`: what one user makes the server keep in a minute, with limits on,
//! beside what its limits allow. See docs/limits.md.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]

mod user;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;

use user::{bounds::Bounds, drive, server::Server};

/// Drives one user as hard as the limits let it, and compares what is kept with the budget.
#[derive(Parser)]
struct Arguments {
    /// For how long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run(Duration::from_secs(arguments.seconds)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether what was kept is within the budget.
fn run(time: Duration) -> Result<bool> {
    let bounds = Bounds::read()?;
    print!("{}", bounds.table());
    let server = Server::start("budget", &[])?;
    let rest = server.measure()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(drive::run(&server, time))?;
    let (peak_kb, end) = (server.peak_rss_kb()?, server.measure()?);
    print!("\n{tally}");
    let minutes = time.as_secs_f64() / 60.0;
    let memory = (peak_kb - rest.rss_kb) * 1024.0;
    let disk = (end.disk_bytes - rest.disk_bytes) / minutes;
    println!("\nmemory at rest {:.1} MB, at the end {:.1} MB", rest.rss_kb / 1e3, end.rss_kb / 1e3);
    let within = [
        claim("memory, at its peak above rest", memory, bounds.memory_bytes()),
        claim("disk, in a minute", disk, bounds.disk_bytes_per_minute()),
    ];
    Ok(within.iter().all(|within| *within))
}

fn claim(what: &str, measured: f64, budget: Option<f64>) -> bool {
    let met = budget.is_some_and(|budget| measured <= budget);
    let budget =
        budget.map_or_else(|| "none".to_owned(), |budget| format!("{:.0} MB", budget / 1e6));
    let word = if met { "met" } else { "MISSED" };
    println!("{word}: {what}: {:.0} MB of {budget}", measured / 1e6);
    met
}
