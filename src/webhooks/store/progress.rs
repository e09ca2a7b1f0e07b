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
    /// How often somebody has changed what is kept of it beside who delivers.
    pub(in crate::webhooks) changes: i64,
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
    const FIND: &str = "SELECT position, off_at, changes FROM webhook_progress WHERE name = $1";
    progress(&tx.one(FIND, &params![webhook]).await?)
}

/// How it goes with a webhook, as who delivers saw it last.
pub(in crate::webhooks) async fn health(tx: &mut Tx<'_>, webhook: &str) -> Result<Option<String>> {
    const HEALTH: &str = "SELECT health FROM webhook_progress WHERE name = $1";
    tx.one(HEALTH, &params![webhook]).await?.get("health")
}

/// Has who delivers read anew what is kept of a webhook; how far that is. Nobody else changes it until the
/// unit has ended.
pub(in crate::webhooks) async fn change(tx: &mut Tx<'_>, webhook: &str) -> Result<Progress> {
    const CHANGE: &str = "UPDATE webhook_progress SET changes = changes + 1 WHERE name = $1";
    tx.execute(CHANGE, &params![webhook]).await?;
    find(tx, webhook).await
}

/// Notes how far a webhook is, unless somebody has changed that meanwhile; false then.
pub(in crate::webhooks) async fn set(
    tx: &mut Tx<'_>,
    webhook: &str,
    progress: Progress,
) -> Result<bool> {
    const SET: &str = "
        UPDATE webhook_progress SET position = $2, off_at = $3 WHERE name = $1 AND changes = $4";
    let Progress { position, off_at, changes } = progress;
    Ok(tx.execute(SET, &params![webhook, position, off_at, changes]).await? == 1)
}

/// Notes how it goes with a webhook.
pub(in crate::webhooks) async fn tell(tx: &mut Tx<'_>, webhook: &str, health: &str) -> Result<()> {
    const TELL: &str = "UPDATE webhook_progress SET health = $2 WHERE name = $1";
    tx.execute(TELL, &params![webhook, health]).await?;
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
    Ok(Progress {
        position: row.get("position")?,
        off_at: row.get("off_at")?,
        changes: row.get("changes")?,
    })
}
