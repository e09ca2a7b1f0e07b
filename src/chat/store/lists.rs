//! Lists of conversations and of who takes part. Each costs its page, however much there is.

use std::{cmp::Reverse, collections::HashMap};

use super::{ConversationRow, conversation_row, member_row, message_row, reactions};
use crate::{
    chat::documents::{Message, Participant},
    clock::Timestamp,
    db::{Tx, Value},
    error::Result,
    id::Id,
    params,
};

/// How far `listed_at` is ahead of activity that it did not cover, at least, and for each who takes
/// part. So a conversation writes the rows of all who take part once in that time, twenty rows a
/// second at most, and a list looks at what was active within that time of its page.
const AHEAD_MS: i64 = 15_000;
const AHEAD_FOR_EACH_MS: i64 = 50;

/// That of the largest conversation.
const FARTHEST_AHEAD_MS: i64 = AHEAD_MS + 1000 * AHEAD_FOR_EACH_MS;

/// The most rows that are read at once.
const MAX_BATCH: usize = 1000;

/// A conversation in someone's list.
pub(in crate::chat) struct Listed {
    pub(in crate::chat) conversation: ConversationRow,
    /// Messages of others that they have not read.
    pub(in crate::chat) unread: u64,
    /// The last message written.
    pub(in crate::chat) last_message: Option<Message>,
}

/// A conversation's position in a list.
struct ListPosition {
    active_at: i64,
    id: Id,
    listed_at: i64,
}

impl ListPosition {
    fn key(&self) -> (i64, &Id) {
        (self.active_at, &self.id)
    }
}

/// What `listed_at` becomes with activity that it does not cover.
pub(super) fn listed_from(active_at: Timestamp, participants: u64) -> Timestamp {
    let participants = i64::try_from(participants).unwrap_or(i64::MAX);
    let ahead = AHEAD_MS.saturating_add(participants.saturating_mul(AHEAD_FOR_EACH_MS));
    Timestamp::from_millis(active_at.millis() + ahead.min(FARTHEST_AHEAD_MS))
}

/// The conversations of a page, each with how many messages are unread. A page is a stretch of
/// `listed_at` and one of the activity; what is beside it is joined from the left, so that nothing but
/// the page's own is looked up.
const CONVERSATIONS: &str = "
    SELECT c.*, c.messages - p.last_read - p.sent + p.read_sent - (
            SELECT COUNT(*) FROM messages m
            WHERE m.conversation_id = p.conversation_id AND m.ordinal > p.last_read
                AND m.sender_id <> p.user_id AND m.deleted_at IS NOT NULL) AS unread
    FROM participants p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.user_id = $1 AND p.listed_at >= $2 AND p.listed_at <= $3
        AND (c.last_activity_at, c.id) >= ($4, $5) AND (c.last_activity_at, c.id) <= ($6, $7)";

/// The last message of each.
const LAST: &str = "
    SELECT m.*
    FROM participants p JOIN conversations c ON c.id = p.conversation_id
        LEFT JOIN messages m ON m.conversation_id = c.id AND m.ordinal = c.messages
    WHERE p.user_id = $1 AND p.listed_at >= $2 AND p.listed_at <= $3
        AND (c.last_activity_at, c.id) >= ($4, $5) AND (c.last_activity_at, c.id) <= ($6, $7)
        AND c.messages > c.gone";

/// The reactions to those.
const REACTIONS: &str = "
    SELECT c.id AS of, r.emoji, r.user_id, r.created_at
    FROM participants p JOIN conversations c ON c.id = p.conversation_id
        LEFT JOIN messages m ON m.conversation_id = c.id AND m.ordinal = c.messages
        LEFT JOIN reactions r ON r.message_id = m.id
    WHERE p.user_id = $1 AND p.listed_at >= $2 AND p.listed_at <= $3
        AND (c.last_activity_at, c.id) >= ($4, $5) AND (c.last_activity_at, c.id) <= ($6, $7)
    LIMIT $8";

/// The first 20 who take part in each.
const PARTICIPANTS: &str = "
    SELECT o.*, f.first_name, f.last_name, f.name, f.named_at
    FROM participants p JOIN conversations c ON c.id = p.conversation_id
        LEFT JOIN participants o ON o.conversation_id = c.id AND o.place <= COALESCE((
            SELECT f.place FROM participants f WHERE f.conversation_id = p.conversation_id
            ORDER BY f.place LIMIT 1 OFFSET 19), 9223372036854775807)
        LEFT JOIN profiles f ON f.user_id = o.user_id
    WHERE p.user_id = $1 AND p.listed_at >= $2 AND p.listed_at <= $3
        AND (c.last_activity_at, c.id) >= ($4, $5) AND (c.last_activity_at, c.id) <= ($6, $7)";

/// The conversations of a user, newest activity first, from the one after `after`; and how many of
/// them fit into a page.
pub(in crate::chat) async fn list(
    tx: &mut Tx<'_>,
    user: &Id,
    after: Option<(i64, Id)>,
    limit: usize,
) -> Result<(Vec<Listed>, usize)> {
    let positions = positions(tx, user, after, limit).await?;
    let (Some(newest), Some(oldest)) = (positions.first(), positions.last()) else {
        return Ok((Vec::new(), 0));
    };
    let stretch = || positions.iter().map(|position| position.listed_at);
    let page: [Value; 7] = params![
        user,
        stretch().min().unwrap_or_default(),
        stretch().max().unwrap_or_default(),
        oldest.active_at,
        &oldest.id,
        newest.active_at,
        &newest.id,
    ];
    let mut found = HashMap::with_capacity(positions.len());
    for row in tx.all(CONVERSATIONS, &page).await? {
        let conversation = conversation_row(&row)?;
        let (id, unread) = (conversation.document.id.clone(), row.get("unread")?);
        found.insert(id, Listed { conversation, unread, last_message: None });
    }
    for row in tx.all(LAST, &page).await? {
        let message = message_row(&row)?.document;
        if let Some(listed) = found.get_mut(&message.conversation_id) {
            listed.last_message = Some(message);
        }
    }
    let mut participants = Vec::new();
    for row in tx.all(PARTICIPANTS, &page).await? {
        let (conversation, order): (Id, i64) = (row.get("conversation_id")?, row.get("place")?);
        participants.push((conversation, order, member_row(&row)?.document));
    }
    participants.sort_by_key(|(_, order, _)| *order);
    for (conversation, _, person) in participants {
        if let Some(listed) = found.get_mut(&conversation) {
            listed.conversation.document.participants.push(person);
        }
    }
    let mut list: Vec<_> =
        positions.iter().filter_map(|position| found.remove(&position.id)).collect();
    // One row of nothing for each that has none.
    let fetched = reactions::FETCHED + i64::try_from(list.len()).unwrap_or_default();
    let page = [&page[..], &[fetched.into()]].concat();
    let mut rows = tx.all(REACTIONS, &page).await?;
    rows.retain(|row| row.get::<Option<String>>("emoji").is_ok_and(|emoji| emoji.is_some()));
    let mut fit = list.len();
    if rows.len() > reactions::FIT {
        let messages = list.iter_mut().map(|listed| listed.last_message.as_mut());
        fit = reactions::add_one_by_one(tx, messages).await?;
    } else {
        let ids = list.iter().map(|listed| listed.conversation.document.id.clone());
        let at: HashMap<Id, usize> = ids.zip(0..).collect();
        for (conversation, reaction) in reactions::in_order::<Id>(&rows)? {
            let listed = at.get(&conversation).and_then(|at| list.get_mut(*at));
            if let Some(message) = listed.and_then(|listed| listed.last_message.as_mut()) {
                message.reactions.push(reaction);
            }
        }
    }
    Ok((list, fit))
}

/// Which conversations a page has. The index has them in the order of `listed_at`, which is never
/// before the activity and a little after it at most, so the page is complete as soon as the
/// last of it was active after whatever the index has next.
async fn positions(
    tx: &mut Tx<'_>,
    user: &Id,
    after: Option<(i64, Id)>,
    limit: usize,
) -> Result<Vec<ListPosition>> {
    const POSITIONS: &str = "
        SELECT p.listed_at, p.conversation_id, c.last_activity_at
        FROM participants p JOIN conversations c ON c.id = p.conversation_id
        WHERE p.user_id = $1 AND (p.listed_at, p.conversation_id) < ($2, $3)
        ORDER BY p.listed_at DESC, p.conversation_id DESC LIMIT $4";
    let begin = after.as_ref().map_or(i64::MAX, |(at, _)| at.saturating_add(FARTHEST_AHEAD_MS + 1));
    let (mut from, mut from_id) = (begin, String::new());
    let mut batch = limit;
    let mut positions: Vec<ListPosition> = Vec::with_capacity(limit * 2);
    loop {
        let fetched = i64::try_from(batch).unwrap_or(i64::MAX);
        let rows = tx.all(POSITIONS, &params![user, from, &from_id, fetched]).await?;
        for row in &rows {
            let position = ListPosition {
                active_at: row.get("last_activity_at")?,
                id: row.get("conversation_id")?,
                listed_at: row.get("listed_at")?,
            };
            (from, from_id) = (position.listed_at, position.id.to_string());
            if after.as_ref().is_none_or(|(at, id)| position.key() < (*at, id)) {
                positions.push(position);
            }
        }
        positions.sort_by(|one, other| Reverse(one.key()).cmp(&Reverse(other.key())));
        positions.truncate(limit);
        let complete = positions
            .get(limit.wrapping_sub(1))
            .is_some_and(|last| (last.active_at, last.id.as_str()) >= (from, from_id.as_str()));
        if complete || rows.len() < batch {
            return Ok(positions);
        }
        batch = (batch * 2).min(MAX_BATCH);
    }
}

/// Those of a conversation who come after `after`, the first to come first, each with their number.
pub(in crate::chat) async fn participants(
    tx: &mut Tx<'_>,
    conversation: &Id,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Participant)>> {
    const PARTICIPANTS: &str = "
        SELECT p.*, f.first_name, f.last_name, f.name, f.named_at
        FROM participants p LEFT JOIN profiles f ON f.user_id = p.user_id
        WHERE p.conversation_id = $1 AND p.place > $2 ORDER BY p.place LIMIT $3";
    let rows = tx.all(PARTICIPANTS, &params![conversation, after, limit]).await?;
    rows.iter().map(|row| Ok((row.get("place")?, member_row(row)?.document))).collect()
}
