//! How far each webhook has been told, in the table `webhook_progress`.

use crate::{
    clock::Timestamp,
    db::{Result, Row, Tx},
    params,
};

/// How far a webhook has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::webhooks) struct Progress {
    /// All up to there has been delivered, or has a row.
    pub(in crate::webhooks) position: i64,
    /// Since when it is turned off.
    pub(in crate::webhooks) off_at: Option<Timestamp>,
}

/// How far a webhook is; one that is not known yet begins after a position.
pub(in crate::webhooks) async fn begin(
    tx: &mut Tx<'_>,
    webhook: &str,
    after: i64,
) -> Result<Progress> {
    const BEGIN: &str = "
        INSERT INTO webhook_progress (name, position) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.execute(BEGIN, &params![webhook, after]).await?;
    find(tx, webhook).await
}

/// How far a webhook is.
pub(in crate::webhooks) async fn find(tx: &mut Tx<'_>, webhook: &str) -> Result<Progress> {
    const FIND: &str = "SELECT position, off_at FROM webhook_progress WHERE name = $1";
    progress(&tx.one(FIND, &params![webhook]).await?)
}

/// Notes how far a webhook is.
pub(in crate::webhooks) async fn set(
    tx: &mut Tx<'_>,
    webhook: &str,
    progress: Progress,
) -> Result<()> {
    const SET: &str = "UPDATE webhook_progress SET position = $2, off_at = $3 WHERE name = $1";
    tx.execute(SET, &params![webhook, progress.position, progress.off_at]).await?;
    Ok(())
}

/// The names of the webhooks that are known.
pub(in crate::webhooks) async fn names(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<String>> {
    const NAMES: &str = "SELECT name FROM webhook_progress WHERE name > '' ORDER BY name LIMIT $1";
    tx.all(NAMES, &params![limit]).await?.iter().map(|row| row.get("name")).collect()
}

/// Forgets a webhook.
pub(in crate::webhooks) async fn forget(tx: &mut Tx<'_>, webhook: &str) -> Result<()> {
    const FORGET: &str = "DELETE FROM webhook_progress WHERE name = $1";
    tx.execute(FORGET, &params![webhook]).await?;
    Ok(())
}

fn progress(row: &Row) -> Result<Progress> {
    Ok(Progress { position: row.get("position")?, off_at: row.get("off_at")? })
}
