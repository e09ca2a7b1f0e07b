//! A benchmark run: rounds, in each round the shapes of work, in each shape the servers in turns.

mod plot;
mod report;
mod shape;

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::{
    load::interrupt,
    peers::{self, Peer},
};
use report::{Report, Sample};
pub use shape::{Scale, Shape};

/// Files that a process holds besides its connections.
const SPARE_FILES: usize = 100;

/// Starts Stoa and its peers in turns, runs the same work against each, and compares.
#[derive(Parser)]
struct Arguments {
    /// Short: one round, 1.5 s a measurement, 1,000 connections.
    #[arg(long)]
    quick: bool,
    /// How often each measurement is made; medians are shown.
    #[arg(long)]
    rounds: Option<u32>,
    /// Only these servers.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Peer>,
    /// Only these shapes of work.
    #[arg(long, value_delimiter = ',')]
    shape: Vec<Shape>,
    /// Connections in `connect`, `memory` and `storm`.
    #[arg(long)]
    connections: Option<u32>,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
    /// Serves as one of the peers that live in this program.
    #[arg(long, hide = true)]
    serve: Option<Peer>,
}

/// What a benchmark measures when it is not told.
pub struct Defaults {
    /// The name of its results.
    pub name: &'static str,
    /// Its servers.
    pub peers: &'static [Peer],
    /// Its shapes.
    pub shapes: &'static [Shape],
    /// Its rounds.
    pub rounds: u32,
}

/// The whole of a benchmark's `main`.
pub fn main(defaults: &Defaults) -> ExitCode {
    match run(Arguments::parse(), defaults) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether Stoa did all that it was asked.
fn run(arguments: Arguments, defaults: &Defaults) -> Result<bool> {
    if let Some(peer) = arguments.serve {
        peer.serve()?;
        return Ok(true);
    }
    if !arguments.bench {
        println!("measures under `cargo bench` only");
        return Ok(true);
    }
    let seconds = if arguments.quick { (0.5, 1.5) } else { (1.5, 3.0) };
    let files = open_files()?;
    let scale = Scale {
        warm: Duration::from_secs_f64(seconds.0),
        measure: Duration::from_secs_f64(seconds.1),
        connections: arguments.connections.unwrap_or(if arguments.quick { 1000 } else { 5000 }),
        files: files.saturating_sub(SPARE_FILES),
    };
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 1 } else { defaults.rounds });
    let shapes = given_or(arguments.shape, defaults.shapes);
    ensure_files(files, scale.connections)?;
    for &shape in &shapes {
        let (all, some) = (shape.connections(scale.connections, usize::MAX), scale.files);
        if all as usize > some {
            let needed = all as usize + SPARE_FILES;
            println!(
                "{shape}: {some} connections instead of {all} for want of `ulimit -n {needed}`"
            );
        }
    }
    interrupt::watch()?;
    peers::pin()?;
    fs::create_dir_all(peers::output())?;
    let machine = machine()?;
    println!("{machine}");
    let mut peers = given_or(arguments.only, defaults.peers);
    let can = |peer: &Peer| shapes.iter().try_for_each(|s| peer.launch(s.work()).map(drop));
    peers.retain(|peer| match can(peer) {
        Ok(()) => true,
        Err(reason) => {
            println!("skipped {}: {reason:#}", peer.name());
            false
        }
    });

    let mut report = Report::new(machine, rounds);
    for round in 1..=rounds {
        for &shape in &shapes {
            if round > shape.rounds() {
                continue;
            }
            for &peer in peers.iter().filter(|peer| shape.is_for(**peer)) {
                let start = Instant::now();
                let outcome = shape.measure(peer, &scale);
                interrupt::check()?;
                let took = start.elapsed().as_secs_f64();
                match &outcome {
                    Ok(_) => eprintln!("round {round}: {shape}, {}: {took:.1} s", peer.name()),
                    Err(error) => eprintln!("FAILED {shape}, {}: {error:#}", peer.name()),
                }
                report.add(Sample { shape, peer, outcome });
            }
        }
    }
    print!("{}", report.tables());
    println!("\nload average after: {}", load_average()?);
    let path = peers::output().join(defaults.name);
    fs::write(path.with_extension("json"), format!("{:#}\n", report.json()))?;
    fs::write(path.with_extension("svg"), plot::svg(&report))?;
    println!("\n{}.{{json,svg}}", path.display());
    Ok(report.is_good())
}

fn given_or<T: Clone>(given: Vec<T>, defaults: &[T]) -> Vec<T> {
    if given.is_empty() { defaults.to_vec() } else { given }
}

/// How many files this process, and each server that it starts, may have open.
fn open_files() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).context("no limits")?;
    Ok(if soft == "unlimited" { usize::MAX } else { soft.parse()? })
}

fn ensure_files(allowed: usize, connections: u32) -> Result<()> {
    let needed = connections as usize + SPARE_FILES;
    ensure!(
        needed <= allowed,
        "{needed} open files are needed, {allowed} allowed: `ulimit -n {needed}`"
    );
    Ok(())
}

/// What it ran on, and how busy that was before.
fn machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |line| line.trim_start_matches([' ', '\t', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let (cores, kernel, load) = (peers::cores(), kernel.trim(), load_average()?);
    Ok(format!("{model}, {cores} cores, Linux {kernel}, load average before: {load}"))
}

/// Of the last minute.
fn load_average() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split_whitespace().next().unwrap_or("?").to_owned())
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}
