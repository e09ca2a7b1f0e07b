//! `cargo bench --bench login`: whether the time of a refused login tells if there is an account. See
//! benches/README.md.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]

#[expect(dead_code, reason = "the budget's, which uses all of it")]
#[path = "user/server.rs"]
mod server;

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use rand::seq::SliceRandom;
use serde_json::json;

use server::Server;

/// Is refused for an account's address and for one that nobody has, and compares the times.
#[derive(Parser)]
struct Arguments {
    /// Of each.
    #[arg(long, default_value_t = 200)]
    tries: usize,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

const ACCOUNT: &str = "ada@example.org";
const NOBODY: &str = "bob@example.org";

/// Beyond this the two are told apart: by chance once in 370 times.
const TOLD_APART: f64 = 3.0;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run(arguments.tries) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the two could not be told apart.
fn run(tries: usize) -> Result<bool> {
    // reqwest is built without a provider of its own and asks for one even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start("login", &[("ACCOUNTS", "on"), ("LIMITS", "off")])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (account, nobody) = runtime.block_on(measure(&server, tries))?;
    println!("| refused for | median ms | mean ms | deviation ms |\n|---|---:|---:|---:|");
    for (name, times) in [("an account", &account), ("nobody", &nobody)] {
        let deviation = variance(times).sqrt();
        println!("| {name} | {:.3} | {:.3} | {deviation:.3} |", median(times), mean(times));
    }
    let (difference, error) = difference(&account, &nobody);
    println!("\nthe means differ by {difference:.3} ms; {:.3} ms would show", 2.0 * error);
    let welch = claim("Welch's t", difference / error);
    let rank = claim("Mann-Whitney's z", rank_z(&account, &nobody));
    Ok(welch && rank)
}

/// The times of refusals for the account and for nobody, in milliseconds.
async fn measure(server: &Server, tries: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = |path: &str| format!("http://{}/api/auth/{path}", server.address());
    let ada = json!({
        "email": ACCOUNT, "password": "correct horse battery", "firstName": "Ada",
        "lastName": "Lovelace",
    });
    let made = http.post(url("register")).json(&ada).send().await?;
    ensure!(made.status() == 201, "the account was not made: {}", made.text().await?);
    let refusal = async |email: &str| -> Result<f64> {
        let body = json!({ "email": email, "password": "wrong horse battery" });
        let start = Instant::now();
        let answer = http.post(url("login")).json(&body).send().await?;
        let (status, _) = (answer.status(), answer.bytes().await?);
        let took = start.elapsed();
        ensure!(status == 401, "not refused but {status}");
        Ok(took.as_secs_f64() * 1000.0)
    };
    for _ in 0..10 {
        refusal(ACCOUNT).await?;
        refusal(NOBODY).await?;
    }
    let mut order: Vec<bool> = (0..2 * tries).map(|n| n % 2 == 0).collect();
    order.shuffle(&mut rand::rng());
    let (mut account, mut nobody) = (Vec::new(), Vec::new());
    for is_account in order {
        let (email, times) =
            if is_account { (ACCOUNT, &mut account) } else { (NOBODY, &mut nobody) };
        times.push(refusal(email).await?);
    }
    Ok((account, nobody))
}

fn claim(what: &str, size: f64) -> bool {
    let met = size.abs() < TOLD_APART;
    let word = if met { "met" } else { "MISSED" };
    println!("{word}: {what} is {size:.2}, told apart from {TOLD_APART} on");
    met
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn variance(times: &[f64]) -> f64 {
    let mean = mean(times);
    let squares = times.iter().map(|time| (time - mean).powi(2));
    squares.sum::<f64>() / (times.len() as f64 - 1.0)
}

/// The difference of the means, and its standard error.
fn difference(one: &[f64], other: &[f64]) -> (f64, f64) {
    let error = variance(one) / one.len() as f64 + variance(other) / other.len() as f64;
    (mean(one) - mean(other), error.sqrt())
}

/// How far the ranks of one among both are from the middle, in deviations.
fn rank_z(one: &[f64], other: &[f64]) -> f64 {
    let (m, n) = (one.len() as f64, other.len() as f64);
    let beyond = |time: &f64| other.iter().filter(|other| *other < time).count();
    let wins: usize = one.iter().map(beyond).sum();
    (wins as f64 - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}
