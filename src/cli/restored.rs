//! `stoa restored`: after a store was restored from a backup.

use anyhow::Result;
use stoa::{clock::Clock, config::Config, db::Db};

use super::output::say;

/// Starts every stream anew, so that clients that come back fetch what they can't know.
pub async fn run(config: Config) -> Result<()> {
    let patience = config.patience();
    let db = Db::open(&config.database, &config.data, Clock::system(), patience).await?;
    let done = db.start_anew().await;
    db.close().await;
    done?;
    say("Every stream starts anew: clients that come back are told to fetch what they missed.")
}
