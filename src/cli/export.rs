//! `stoa export`: tells what the store has, as lines that `stoa import` takes in (docs/moving.md).

use std::io::{self, BufWriter};

use anyhow::{Context, Result};
use stoa::{config::Loaded, db::Db, id::Id, import, rest::log};

use super::output::remark;

#[derive(clap::Args)]
pub struct Args {
    /// Only what is kept of this user, as they are told it themselves
    #[arg(long, value_name = "ID")]
    user: Option<Id>,
}

/// Writes JSON Lines to stdout, and how many they are to stderr.
pub async fn run(args: &Args, loaded: Loaded) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    log::init(&config.log, None, io::stderr, None).context("log.level")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    remark(format_args!("the store: {}", Db::name(&config.database, &config.data)));
    let mut to = BufWriter::new(io::stdout());
    let lines = match &args.user {
        None => import::export(&config, &mut to).await?,
        Some(user) => stoa::app::export_user(&config, user.clone(), &mut to).await?,
    };
    remark(format_args!("{lines} lines"));
    Ok(())
}
