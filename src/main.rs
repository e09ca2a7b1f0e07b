//! The `stoa` command.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod cli;

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Sockets come and go by the thousands, on every thread: what they leave is used again by others, or goes
/// back to the system.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(cli::Cli::parse().run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::remark(format!("stoa: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
