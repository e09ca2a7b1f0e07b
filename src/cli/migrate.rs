//! `stoa migrate`: brings the store's tables up to date and ends, for those who do that before they
//! start a new version.

use anyhow::Result;
use stoa::{clock::Clock, config::Config, db::Db};

use super::output::say;

#[derive(clap::Args)]
pub struct Args {
    /// Also make SQLite's file anew, as small as it can be; stop the server before
    #[arg(long)]
    compact: bool,
}

/// Opens the store, which does it, and closes it.
pub async fn run(args: &Args, config: Config) -> Result<()> {
    let db = Db::open(&config.database, &config.data, Clock::system(), config.patience()).await?;
    db.close().await;
    say("The store is up to date.")?;
    if args.compact && Db::compact(&config.database, &config.data, config.patience()).await? {
        say("Its file is as small as it can be.")?;
    }
    Ok(())
}
