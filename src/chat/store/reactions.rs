//! Reactions to messages, and those of a page of messages. A message may have thousands, so a page has fewer messages
//! when they have many: as many as fit, and at least one.

use std::collections::HashMap;

use super::{MessageRow, Order};
use crate::{
    chat::documents::{Message, Reaction},
    db::{FromValue, Row, Tx},
    error::Result,
    id::Id,
    params,
};

/// The most reactions of a page, but for those of its first message: 60 kB and more of JSON.
pub(super) const FIT: usize = 1000;

/// [`FIT`], and one more, which tells that there are too many.
pub(super) const FETCHED: i64 = 1001;

/// Reactions to a message.
#[derive(Clone, Copy)]
pub(in crate::chat) struct ReactionCounts {
    /// Of one user.
    pub(in crate::chat) own: u64,
    /// Different ones, of all; no more are counted than one more than there may be.
    pub(in crate::chat) kinds: u64,
}

/// Adds a reaction; false when it is there already.
pub(in crate::chat) async fn add_reaction(
    tx: &mut Tx<'_>,
    message: &Id,
    user: &Id,
    emoji: &str,
) -> Result<bool> {
    const ADD: &str = "
        INSERT INTO reactions (message_id, user_id, emoji, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (message_id, user_id, emoji) DO NOTHING";
    Ok(tx.execute(ADD, &params![message, user, emoji, tx.now()]).await? == 1)
}

/// Counts the reactions to a message: one user's, and the different ones of all.
pub(in crate::chat) async fn count_reactions(
    tx: &mut Tx<'_>,
    message: &Id,
    user: &Id,
    most_kinds: u32,
) -> Result<ReactionCounts> {
    const OWN: &str = "
        SELECT COUNT(*) AS own FROM reactions WHERE message_id = $1 AND user_id = $2";
    // From one to the next, however many users gave each.
    const KINDS: &str = "
        WITH RECURSIVE kinds (emoji, place) AS (
            SELECT (SELECT MIN(emoji) FROM reactions WHERE message_id = $1), 1
            UNION ALL
            SELECT (
                SELECT MIN(r.emoji) FROM reactions r
                WHERE r.message_id = $1 AND r.emoji > kinds.emoji
            ), kinds.place + 1
            FROM kinds WHERE kinds.emoji IS NOT NULL AND kinds.place <= $2
        )
        SELECT COUNT(emoji) AS kinds FROM kinds";
    let own = tx.one(OWN, &params![message, user]).await?.get("own")?;
    let kinds = tx.one(KINDS, &params![message, i64::from(most_kinds)]).await?.get("kinds")?;
    Ok(ReactionCounts { own, kinds })
}

/// Takes a reaction back; whether it was there.
pub(in crate::chat) async fn remove_reaction(
    tx: &mut Tx<'_>,
    message: &Id,
    user: &Id,
    emoji: &str,
) -> Result<bool> {
    const REMOVE: &str = "
        DELETE FROM reactions WHERE message_id = $1 AND user_id = $2 AND emoji = $3";
    Ok(tx.execute(REMOVE, &params![message, user, emoji]).await? == 1)
}

/// Adds the reactions to the messages of a stretch, all of which are there; how many of them fit.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    conversation: &Id,
    messages: &mut [MessageRow],
    order: Order,
) -> Result<usize> {
    const NEWEST_FIRST: &str = "
        SELECT m.ordinal AS of, r.emoji, r.user_id, r.created_at
        FROM messages m JOIN reactions r ON r.message_id = m.id
        WHERE m.conversation_id = $1 AND m.ordinal >= $2 AND m.ordinal <= $3
        ORDER BY m.ordinal DESC LIMIT $4";
    const OLDEST_FIRST: &str = "
        SELECT m.ordinal AS of, r.emoji, r.user_id, r.created_at
        FROM messages m JOIN reactions r ON r.message_id = m.id
        WHERE m.conversation_id = $1 AND m.ordinal >= $2 AND m.ordinal <= $3
        ORDER BY m.ordinal LIMIT $4";
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(0) };
    let (sql, lowest, highest) = match order {
        Order::NewestFirst => (NEWEST_FIRST, last.ordinal, first.ordinal),
        Order::OldestFirst => (OLDEST_FIRST, first.ordinal, last.ordinal),
    };
    let rows = tx.all(sql, &params![conversation, lowest, highest, FETCHED]).await?;
    let mut fit = messages.len();
    if rows.len() > FIT
        && let Some(last) = rows.last()
    {
        let of: i64 = last.get("of")?;
        fit = messages.iter().take_while(|message| message.ordinal != of).count();
    }
    if fit == 0 {
        fit = 1;
        let id = messages[0].document.id.clone();
        messages[0].document.reactions = of_message(tx, &id).await?;
        return Ok(fit);
    }
    let indexes = messages.iter().take(fit).map(|message| message.ordinal).zip(0..);
    let indexes: HashMap<i64, usize> = indexes.collect();
    for (ordinal, reaction) in in_order::<i64>(&rows)? {
        if let Some(index) = indexes.get(&ordinal) {
            messages[*index].document.reactions.push(reaction);
        }
    }
    Ok(fit)
}

/// Adds their reactions to messages, one by one, as long as they fit; how many do.
pub(super) async fn add_one_by_one<'m>(
    tx: &mut Tx<'_>,
    messages: impl Iterator<Item = Option<&'m mut Message>>,
) -> Result<usize> {
    let (mut fit, mut found) = (0, 0);
    for message in messages {
        if let Some(message) = message {
            let reactions = of_message(tx, &message.id).await?;
            found += reactions.len();
            if fit > 0 && found > FIT {
                return Ok(fit);
            }
            message.reactions = reactions;
        }
        fit += 1;
    }
    Ok(fit)
}

/// All reactions to a message, the first first.
async fn of_message(tx: &mut Tx<'_>, message: &Id) -> Result<Vec<Reaction>> {
    const OF_MESSAGE: &str = "
        SELECT message_id AS of, emoji, user_id, created_at FROM reactions WHERE message_id = $1";
    let rows = tx.all(OF_MESSAGE, &params![message]).await?;
    Ok(in_order::<String>(&rows)?.into_iter().map(|(_, reaction)| reaction).collect())
}

/// Reactions, the first first, each with what names its message (the column `of`).
pub(super) fn in_order<T: FromValue>(rows: &[Row]) -> Result<Vec<(T, Reaction)>> {
    let mut reactions = Vec::with_capacity(rows.len());
    for row in rows {
        let reaction = Reaction { emoji: row.get("emoji")?, user_id: row.get("user_id")? };
        reactions.push((row.get::<i64>("created_at")?, row.get("of")?, reaction));
    }
    reactions.sort_by(|(at, _, one), (other_at, _, other)| {
        (at, &one.user_id, &one.emoji).cmp(&(other_at, &other.user_id, &other.emoji))
    });
    Ok(reactions.into_iter().map(|(_, of, reaction)| (of, reaction)).collect())
}
