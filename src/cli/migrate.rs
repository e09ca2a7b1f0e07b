//! `stoa migrate`: brings the store's tables up to date and ends, for those who do that before they
//! start a new version.

use anyhow::Result;
use stoa::{clock::Clock, config::Config, db::Db};

/// Opens the store, which does it, and closes it.
pub async fn run(config: Config) -> Result<()> {
    let db = Db::open(&config.database, &config.data, Clock::system()).await?;
    db.close().await;
    println!("The store is up to date.");
    Ok(())
}
