//! That two people wrote to each other, and when: never what.

use super::store::{self, Between, Order};
use crate::{clock::Timestamp, db::Tx, error::Result, id::Id};

/// The direct conversation of two people, with its last messages.
pub struct Talk {
    /// The conversation.
    pub conversation: Id,
    /// The messages, the last first.
    pub messages: Vec<Said>,
}

/// That somebody wrote.
pub struct Said {
    /// The message.
    pub id: Id,
    /// Who wrote it.
    pub by: Id,
    /// When.
    pub at: Timestamp,
}

/// The direct conversation of two people, with so many of its last messages; none where they have none.
///
/// # Errors
/// The store's.
pub async fn talk_between(
    tx: &mut Tx<'_>,
    one: &Id,
    other: &Id,
    most: i64,
) -> Result<Option<Talk>> {
    let Some(row) = store::direct(tx, store::direct_key(one, other)).await? else {
        return Ok(None);
    };
    let conversation = row.document.id;
    let all = Between { after: 0, before: i64::MAX };
    let (messages, _) = store::history(tx, &conversation, all, Order::NewestFirst, most).await?;
    let said = |message: store::MessageRow| Said {
        id: message.document.id,
        by: message.document.sender.id,
        at: message.document.created_at,
    };
    Ok(Some(Talk { conversation, messages: messages.into_iter().map(said).collect() }))
}
