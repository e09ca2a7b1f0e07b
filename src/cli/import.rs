//! `stoa import`: takes in what another store had (docs/moving.md).

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};
use stoa::{config::Loaded, import, rest::log};

#[derive(clap::Args)]
pub struct Args {
    /// Only read the files and say what is wrong with them
    #[arg(long)]
    check: bool,
    /// Files of JSON Lines, such as `stoa export` writes; `-`, or none, for what comes by standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Checks all lines, then takes them in. What is wrong, or was not taken, is told by file and line, and
/// fails.
pub async fn run(args: &Args, loaded: Loaded) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    log::init(&config.log, io::stderr).context("log.level")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut files = args.files.clone();
    if files.is_empty() {
        ensure!(!io::stdin().is_terminal(), "say which files, or let lines come by a pipe");
        files.push("-".into());
    }
    let done = if args.check {
        import::check(&config, files).await?
    } else {
        import::import(&config, files).await?
    };
    for problem in &done.problems {
        eprintln!("{problem}");
    }
    if done.refused == 0 {
        println!("{done}");
        return Ok(());
    }
    if done.written + done.same == 0 {
        bail!("{} of {} lines can't be taken in; nothing was written", done.refused, done.lines);
    }
    println!("{done}");
    bail!("{} lines were not taken in", done.refused);
}
