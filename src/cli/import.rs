//! `stoa import`: takes in what another store had (docs/moving.md).

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};
use stoa::{
    config::Loaded,
    db::Db,
    import::{self, Counts},
    rest::log,
};

use super::output::{remark, say};

#[derive(clap::Args)]
pub struct Args {
    /// Take the lines into a copy that is thrown away, and say what an import would say
    #[arg(long)]
    check: bool,
    /// Files of JSON Lines, such as `stoa export` writes; `-`, or none, for what comes by standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Checks all lines, then takes them in, or tries that. What is wrong, or was not taken, is told by file and
/// line, and fails.
pub async fn run(args: &Args, loaded: Loaded) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    log::init(&config.log, None, io::stderr, None).context("log.level")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut files = args.files.clone();
    if files.is_empty() {
        ensure!(!io::stdin().is_terminal(), "say which files, or let lines come by a pipe");
        files.push("-".into());
    }
    remark(format_args!("the store: {}", Db::name(&config.database, &config.data)));
    let done = if args.check {
        import::check(&config, files).await?
    } else {
        import::import(&config, files).await?
    };
    for problem in &done.problems {
        remark(problem);
    }
    let Counts { lines, written, same, refused } = done.all;
    if refused == 0 {
        return say(done);
    }
    if done.is_check || written + same == 0 {
        bail!("{refused} of {lines} lines can't be taken in; nothing was written");
    }
    say(done)?;
    bail!("{refused} lines were not taken in");
}
