//! Callbacks of providers as they came, in the table `webhooks`.

use crate::{db::Tx, error::Result, id::Id, params};

/// A callback that is believed.
pub(in crate::payments) struct Received {
    /// What makes it the same as another.
    pub(in crate::payments) dedupe_key: String,
    /// The payment or payout that it is about.
    pub(in crate::payments) subject: Id,
    /// Its headers as JSON, without the key.
    pub(in crate::payments) headers: String,
    /// Its body as it came.
    pub(in crate::payments) body: Vec<u8>,
}

/// Keeps a callback of SHKeeper; one that is there stays as it is.
pub(in crate::payments) async fn keep(tx: &mut Tx<'_>, received: Received) -> Result<()> {
    const KEEP: &str = "
        INSERT INTO webhooks (dedupe_key, provider, subject_id, headers, body, received_at)
        VALUES ($1, 'shkeeper', $2, $3, $4, $5)
        ON CONFLICT (dedupe_key) DO NOTHING";
    let Received { dedupe_key, subject, headers, body } = received;
    tx.execute(KEEP, &params![dedupe_key, subject, headers, body, tx.now()]).await?;
    Ok(())
}

/// Takes a callback on; false when it was processed before.
pub(in crate::payments) async fn begin(tx: &mut Tx<'_>, dedupe_key: &str) -> Result<bool> {
    const BEGIN: &str = "
        UPDATE webhooks SET processed_at = $2 WHERE dedupe_key = $1 AND processed_at IS NULL";
    Ok(tx.execute(BEGIN, &params![dedupe_key, tx.now()]).await? == 1)
}
