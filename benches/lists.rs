//! `cargo bench --bench lists`: what each list costs in a store of a million rows, and a write while
//! somebody is erased, on SQLite and, where it is installed, on Postgres. See benches/README.md.

mod drill;
#[path = "../tests/support/postgres.rs"]
#[expect(clippy::expect_used, dead_code, reason = "the tests' own, who use all of it")]
mod postgres;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use drill::{
    ask::{Asked, LISTS},
    engine::Engine,
    erase,
};

/// Fills a store, asks each list over HTTP, warm and cold, and compares with what is claimed.
#[derive(Parser)]
struct Arguments {
    /// Requests, and as many messages; a fifth of them payments.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Only this engine.
    #[arg(long)]
    only: Option<String>,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Until the median answer is there once the pages are in memory.
const WARM_MS: f64 = 5.0;

/// Until the first answer is there after a start with nothing of the store in memory (median).
const COLD_MS: f64 = 50.0;

/// Starts of which the median counts.
const COLD_TIMES: usize = 3;

/// Of a hundred writes beside an erasure, 99 take at most this.
const WRITE_MS: f64 = 10.0;

/// Bytes of an answer.
const BYTES: usize = 60_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all claims are met.
fn run(arguments: &Arguments) -> Result<bool> {
    let mut met = true;
    for (name, open) in [("sqlite", Engine::sqlite as fn() -> _), ("postgres", Engine::postgres)] {
        if arguments.only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let mut engine = open()?;
        let took = drill::fill::fill(&mut engine, arguments.rows)?;
        println!("\n{name}: {} rows in {took:.0} s\n", arguments.rows);
        println!("| list | warm ms | worst ms | cold ms | kB | items | |");
        println!("|---|---:|---:|---:|---:|---:|---|");
        let mut answers = Vec::new();
        let server = engine.serve()?;
        for list in &LISTS {
            answers.push(list.ask_warm(server.address())?);
        }
        drop(server);
        for (list, warm) in LISTS.iter().zip(answers) {
            let mut cold = [0.0; COLD_TIMES];
            for cold_ms in &mut cold {
                engine.forget()?;
                let server = engine.serve()?;
                *cold_ms = list.ask(server.address())?.took_ms;
            }
            cold.sort_by(f64::total_cmp);
            let cold_ms = cold[COLD_TIMES / 2];
            let Asked { took_ms, worst_ms, bytes, items } = warm;
            let well = took_ms <= WARM_MS && cold_ms <= COLD_MS && bytes <= BYTES;
            met &= well;
            println!(
                "| {} | {took_ms:.2} | {worst_ms:.2} | {cold_ms:.1} | {}.{} | {items} | {} |",
                list.name,
                bytes / 1000,
                bytes % 1000 / 100,
                if well { "met" } else { "MISSED" },
            );
        }
        let server = engine.serve()?;
        let (alone, beside, run_to_completion) = erase::erase(server.address())?;
        let well = beside.p99_ms <= WRITE_MS;
        met &= well;
        println!(
            "\nwrites: {:.2} ms, p99 {:.2} ms; while somebody is erased{}: {:.2} ms, p99 {:.2} ms: {}",
            alone.median_ms,
            alone.p99_ms,
            if run_to_completion { "" } else { " (which ended before they did)" },
            beside.median_ms,
            beside.p99_ms,
            if well { "met" } else { "MISSED" },
        );
    }
    println!("\nclaims: {WARM_MS} ms warm (median), {COLD_MS} ms cold, {} kB", BYTES / 1000);
    println!("writes while somebody is erased: p99 {WRITE_MS} ms");
    Ok(met)
}
