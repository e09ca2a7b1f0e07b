//! Tells all that a store has, as lines that another takes in.

use std::io::Write;

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{
    families::families,
    progress::Progress,
    take::{TRIES, TRY_AGAIN, UNOPENED},
};
use crate::{
    clock::Clock,
    config::Config,
    db::{Db, Tx},
    error::Code,
    moving::Movable,
    personal::Lines,
};

/// Writes a line for everything that the store has; how many.
///
/// # Errors
/// When the store can't be read, or what is told not written.
pub async fn export(config: &Config, to: &mut (impl Write + Send)) -> Result<u64> {
    let db = Db::open_as_it_is(&config.database, &config.data, Clock::system(), config.patience());
    let db = db.await.context(UNOPENED)?;
    let told = all(&db, to).await;
    db.close().await;
    told
}

async fn all(db: &Db, to: &mut impl Write) -> Result<u64> {
    let mut progress = Progress::new("told");
    let mut count = 0;
    for movable in families() {
        let mut after = Some(String::new());
        while let Some(from) = after.take() {
            let (lines, next) = next(db, *movable, from).await?;
            after = next;
            count += lines.count();
            to.write_all(&lines.into_bytes()).context("what is told")?;
            progress.tell(count, None);
        }
    }
    to.flush().context("what is told")?;
    progress.end();
    Ok(count)
}

/// The next lines of a family. A store that is busy is asked again.
async fn next(
    db: &Db,
    movable: &'static dyn Movable,
    after: String,
) -> Result<(Lines, Option<String>)> {
    let mut tries = 0;
    loop {
        let from = after.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut lines = Lines::default();
            let next = movable.export(tx, &from, &mut lines).await?;
            Ok((lines, next))
        };
        match db.read(unit).await {
            Err(error) if error.code() == Code::Unavailable && tries < TRIES => {
                tries += 1;
                sleep(TRY_AGAIN).await;
            }
            told => return Ok(told?),
        }
    }
}
