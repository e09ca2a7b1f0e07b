//! Who shares a conversation with whom, a page at a time.

use std::collections::HashSet;

use crate::{
    db::{Row, Tx, Value},
    error::Result,
    id::Id,
    params,
};

/// A user in a conversation.
pub(in crate::chat) struct Participation {
    pub(in crate::chat) user: Id,
    pub(in crate::chat) conversation: Id,
    /// How many take part in it.
    pub(in crate::chat) size: u64,
    listed_at: i64,
}

impl Participation {
    /// Its cursor among its user's, which it may change only for a later one.
    pub(in crate::chat) fn cursor(&self) -> (i64, Id) {
        (self.listed_at, self.conversation.clone())
    }
}

/// Conversations of these users with others in them; no more than `limit`.
pub(in crate::chat) async fn participations(
    tx: &mut Tx<'_>,
    users: &[Id],
    limit: i64,
) -> Result<Vec<Participation>> {
    const OF_MANY: &str = "
        SELECT p.user_id, p.conversation_id, p.listed_at, c.participants
        FROM json_each(json(CAST($1 AS TEXT))) AS asked
            JOIN participants p ON p.user_id = asked.key
            JOIN conversations c ON c.id = p.conversation_id
        WHERE c.participants > 1 LIMIT $2";
    let rows = tx.all(OF_MANY, &params![Value::keys(users), limit]).await?;
    rows.iter().map(participation).collect()
}

/// Those of one user after a cursor.
pub(in crate::chat) async fn participations_after(
    tx: &mut Tx<'_>,
    user: &Id,
    after: Option<(i64, Id)>,
    limit: i64,
) -> Result<Vec<Participation>> {
    const OF_ONE: &str = "
        SELECT p.user_id, p.conversation_id, p.listed_at, c.participants
        FROM participants p JOIN conversations c ON c.id = p.conversation_id
        WHERE p.user_id = $1 AND (p.listed_at, p.conversation_id) > ($2, $3)
        ORDER BY p.listed_at, p.conversation_id LIMIT $4";
    let (at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at, id.to_string()));
    let rows = tx.all(OF_ONE, &params![user, at, id, limit]).await?;
    rows.iter().map(participation).collect()
}

fn participation(row: &Row) -> Result<Participation> {
    Ok(Participation {
        user: row.get("user_id")?,
        conversation: row.get("conversation_id")?,
        size: row.get("participants")?,
        listed_at: row.get("listed_at")?,
    })
}

/// Who takes part in these conversations, as pairs of conversation and user.
pub(in crate::chat) async fn members(
    tx: &mut Tx<'_>,
    conversations: &[Id],
) -> Result<Vec<(Id, Id)>> {
    const MEMBERS: &str = "
        SELECT p.conversation_id, p.user_id
        FROM json_each(json(CAST($1 AS TEXT))) AS asked
            JOIN participants p ON p.conversation_id = asked.key";
    let rows = tx.all(MEMBERS, &params![Value::keys(conversations)]).await?;
    rows.iter().map(|row| Ok((row.get("conversation_id")?, row.get("user_id")?))).collect()
}

/// Those of these users who are in a conversation with another. Theirs are gone through, since the
/// other one may be in thousands.
pub(in crate::chat) async fn shared(
    tx: &mut Tx<'_>,
    user: &Id,
    others: &[Id],
) -> Result<HashSet<Id>> {
    const SHARED: &str = "
        SELECT asked.key AS id FROM json_each(json(CAST($1 AS TEXT))) AS asked
        WHERE EXISTS (
            SELECT 1 FROM participants p CROSS JOIN participants own
            WHERE p.user_id = asked.key AND own.conversation_id = p.conversation_id
                AND own.user_id = $2)";
    let rows = tx.all(SHARED, &params![Value::keys(others), user]).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}
