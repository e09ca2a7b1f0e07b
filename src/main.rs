//! The `stoa` command.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod cli;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(cli::Cli::parse().run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who can't be told has the status.
            let error = cli::output::one_line(&format!("{error:#}"));
            let _ = writeln!(io::stderr(), "stoa: {error}");
            ExitCode::FAILURE
        }
    }
}
