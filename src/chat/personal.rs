//! What chat keeps of people: the conversations that they are in, what they wrote, their reactions. Erased,
//! they stay in their conversations by their id, and others see their messages as deleted.

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    documents::{Conversation, ConversationKind, Message},
    service,
    store::{self, MessageRow, Participation, personal as own},
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    personal::{Cursor, Gone, Lines, PersonalData, ROWS, Step},
};

/// This room's part.
pub struct Personal;

/// A conversation, as it is to one who takes part.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConversationLine {
    id: Id,
    kind: ConversationKind,
    title: Option<String>,
    metadata: Value,
    created_by: Id,
    created_at: Timestamp,
    archived_at: Option<Timestamp>,
    joined_at: Timestamp,
    last_read_message_id: Option<Id>,
}

/// A reaction that the user gave.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReactionLine {
    message_id: Id,
    emoji: String,
    created_at: Timestamp,
}

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Cursor,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            match from.table {
                0 => {
                    let participations = participations(tx, user, from).await?;
                    for participation in &participations {
                        if let Some(line) = conversation(tx, user, participation).await? {
                            lines.add("conversation", &line)?;
                        }
                    }
                    Ok(from.behind(&participations, cursor))
                }
                1 => {
                    let (messages, next) = written(tx, user, from).await?;
                    for message in &messages {
                        lines.add("message", &message.document)?;
                    }
                    Ok(next)
                }
                2 => {
                    let after = from.after.split_once(' ').unwrap_or_default();
                    let given = own::reactions_of(tx, user, after, ROWS).await?;
                    let next =
                        from.behind(&given, |one| format!("{} {}", one.message_id, one.emoji));
                    for own::Given { message_id, emoji, created_at } in given {
                        lines.add("reaction", &ReactionLine { message_id, emoji, created_at })?;
                    }
                    Ok(next)
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Cursor) -> Step<'a> {
        async move {
            match from.table {
                0 => Ok(from.without(own::erase_reactions(tx, user, ROWS).await?)),
                1 => {
                    let (messages, next) = written(tx, user, from).await?;
                    for message in &messages {
                        if !is_erased(&message.document) {
                            service::erase(tx, &message.document).await?;
                        }
                    }
                    Ok(next)
                }
                2 => {
                    let participations = participations(tx, user, from).await?;
                    for Participation { conversation, .. } in &participations {
                        if let Some(locked) = store::find_for_update(tx, conversation).await? {
                            own::forget_read(tx, conversation, user, locked.messages).await?;
                        }
                    }
                    Ok(from.behind(&participations, cursor))
                }
                3 => {
                    let begun = own::begun_by(tx, user, &from.after, ROWS).await?;
                    for conversation in &begun {
                        own::erase_details(tx, conversation).await?;
                    }
                    Ok(from.behind(&begun, Id::to_string))
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    /// Their reactions, and what they said of a conversation that they began. Messages are written anew
    /// one by one.
    fn redact(&self, object: &mut Map<String, Value>, gone: &Gone) -> bool {
        let mut changed = false;
        if let Some(Value::Array(reactions)) = object.get_mut("reactions") {
            let before = reactions.len();
            reactions.retain(|reaction| !gone.has(reaction.get("userId")));
            changed |= reactions.len() < before;
        }
        if gone.has(object.get("userId"))
            && object.contains_key("emoji")
            && let Some(action) = object.get_mut("action").filter(|action| *action == "added")
        {
            *action = "removed".into();
            changed = true;
        }
        if gone.has(object.get("createdBy")) && object.contains_key("participants") {
            for said in ["title", "metadata"] {
                if let Some(said) = object.get_mut(said).filter(|said| !said.is_null()) {
                    *said = Value::Null;
                    changed = true;
                }
            }
        }
        changed
    }
}

/// Whether nothing is left to take away.
fn is_erased(message: &Message) -> bool {
    let sender = &message.sender;
    message.deleted_at.is_some()
        && message.content.is_empty()
        && message.client_message_id.is_none()
        && sender.first_name.is_none()
        && sender.last_name.is_none()
}

/// The next messages that a user wrote, and where the walk goes on.
async fn written(
    tx: &mut Tx<'_>,
    user: &Id,
    from: &Cursor,
) -> Result<(Vec<MessageRow>, Option<Cursor>)> {
    let begin = from.key()?.unwrap_or_default();
    let (messages, next) = own::messages_of(tx, user, begin, ROWS).await?;
    let next = from.to(next.map(|written| written.to_string()));
    Ok((messages, Some(next)))
}

/// The next conversations that a user takes part in.
async fn participations(tx: &mut Tx<'_>, user: &Id, from: &Cursor) -> Result<Vec<Participation>> {
    let after = match from.after.split_once(' ') {
        None => None,
        Some((at, id)) => {
            Some((at.parse().map_err(Error::internal)?, id.parse().map_err(Error::internal)?))
        }
    };
    store::participations_after(tx, user, after, ROWS).await
}

fn cursor(participation: &Participation) -> String {
    let (at, conversation) = participation.cursor();
    format!("{at} {conversation}")
}

async fn conversation(
    tx: &mut Tx<'_>,
    user: &Id,
    participation: &Participation,
) -> Result<Option<ConversationLine>> {
    let id = &participation.conversation;
    let (found, member) = (store::find(tx, id).await?, store::member(tx, id, user).await?);
    let (Some(row), Some(member)) = (found, member) else { return Ok(None) };
    let Conversation { id, kind, title, metadata, created_by, created_at, archived_at, .. } =
        row.document;
    Ok(Some(ConversationLine {
        id,
        kind,
        title,
        metadata,
        created_by,
        created_at,
        archived_at,
        joined_at: member.document.joined_at,
        last_read_message_id: member.document.last_read_message_id,
    }))
}
