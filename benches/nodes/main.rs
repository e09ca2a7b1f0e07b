//! `cargo bench --bench nodes`: what several servers on one Postgres and one Redis take: events from one to
//! another, with Redis and without, the clients of one that is killed, and units of work. See
//! benches/README.md.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]

#[path = "../../tests/support/postgres.rs"]
#[expect(clippy::expect_used, dead_code, reason = "the tests' own, who use all of it")]
mod postgres;
#[path = "../../tests/support/redis.rs"]
#[expect(clippy::expect_used, dead_code, reason = "the tests' own, who use all of it")]
mod redis;
#[path = "../user/server.rs"]
#[expect(dead_code, reason = "another benchmark's, who measures with it")]
mod server;

mod backend;
mod client;
mod cluster;
mod delivery;
mod killed;
mod stored;
mod table;

use std::{fs, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;

use cluster::Cluster;
use table::Row;

/// Measures several servers.
#[derive(Parser)]
struct Arguments {
    /// Clients of the server that is killed.
    #[arg(long, default_value_t = 5_000)]
    clients: usize,
    /// Events from one server to the other.
    #[arg(long, default_value_t = 2_000)]
    events: usize,
    /// Seconds of each measurement of what is stored.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only these: delivery, killed, stored.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
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
    // reqwest is built without a provider of its own and asks for one even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all claims are met.
async fn run(arguments: &Arguments) -> Result<bool> {
    let wanted =
        |what: &str| arguments.only.is_empty() || arguments.only.iter().any(|it| it == what);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average: {load}");
    println!("| what | figure | at most |");
    println!("|---|---:|---|");
    let print = |rows: Vec<Row>| rows.iter().fold(true, |met, row| row.print() & met);
    let mut is_met = true;
    if wanted("delivery") {
        let mut cluster = Cluster::start(2).await?;
        is_met &= print(delivery::measure(&mut cluster, arguments.events).await?);
    }
    if wanted("killed") {
        let mut cluster = Cluster::start(2).await?;
        is_met &= print(killed::measure(&mut cluster, arguments.clients).await?);
    }
    if wanted("stored") {
        is_met &= print(stored::measure(Duration::from_secs(arguments.seconds)).await?);
    }
    Ok(is_met)
}
