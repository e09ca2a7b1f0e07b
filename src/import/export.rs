//! Tells all that a store has, as lines that another takes in.

use std::io::Write;

use anyhow::{Context, Result};

use super::{families::families, progress::Progress, take::open};
use crate::{
    config::Config,
    db::{Db, Tx},
    personal::Lines,
};

/// Writes a line for everything that the store has; how many.
///
/// # Errors
/// When the store can't be read, or what is told not written.
pub async fn export(config: &Config, to: &mut (impl Write + Send)) -> Result<u64> {
    let db = open(config).await?;
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
            let unit = async move |tx: &mut Tx<'_>| {
                let mut lines = Lines::default();
                let next = movable.export(tx, &from, &mut lines).await?;
                Ok((lines, next))
            };
            let (lines, next) = db.read(unit).await?;
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
