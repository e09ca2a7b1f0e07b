//! The line of a message.

use std::collections::{BTreeSet, HashMap};

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::conversation::{CONVERSATION, MESSAGE_IN, in_conversation};
use crate::{
    chat::{
        documents::{Attachment, Message, Person},
        requests::small_further,
        store::{
            MessageRow,
            moved::{self, ReactionRow},
        },
    },
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::{GivenId, Id},
    moving::{self, Facts, Key, Outcome, Place, Tag},
    rest::{fields::Fields, json},
    text::{self, PersonName},
};

/// The type.
pub(super) const MESSAGE: &str = "message";

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct MessageLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    pub(super) id: Id,
    pub(super) conversation_id: Id,
    /// Which of the conversation's it is. Without it, they are numbered by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    pub(super) sender_id: Id,
    /// What the sender was called then.
    first_name: Option<PersonName>,
    last_name: Option<PersonName>,
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(length(chars, max = 8000), custom(text::prose), custom(said_or(self)))]
    content: String,
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(length(max = 10), dive, custom(small_further))]
    attachments: Vec<Attachment>,
    reply_to: Option<Id>,
    #[serde(default, deserialize_with = "GivenId::any")]
    pub(super) client_message_id: Option<GivenId>,
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(custom(|own: &Fields, (): &()| json::small(own.bytes())))]
    metadata: Fields,
    created_at: Timestamp,
    edited_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(dive, custom(different))]
    reactions: Vec<ReactionLine>,
}

/// A reaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct ReactionLine {
    /// Older stores have some that nobody may give any more.
    #[garde(length(bytes, min = 1, max = 64), custom(text::line))]
    emoji: String,
    user_id: Id,
    /// Without it: when the message was written.
    created_at: Option<Timestamp>,
}

impl ReactionLine {
    fn key(&self) -> (Option<Timestamp>, &Id, &str) {
        (self.created_at, &self.user_id, &self.emoji)
    }
}

/// Refuses a reaction that somebody has given already.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn different(reactions: &[ReactionLine], (): &()) -> garde::Result {
    let different: BTreeSet<(&Id, &str)> =
        reactions.iter().map(|one| (&one.user_id, one.emoji.as_str())).collect();
    if different.len() == reactions.len() {
        return Ok(());
    }
    Err(garde::Error::new("has one twice of the same user"))
}

/// Refuses a message without a text and without a file, unless it is deleted.
fn said_or(line: &MessageLine) -> impl FnOnce(&str, &()) -> garde::Result {
    let without = line.attachments.is_empty() && line.deleted_at.is_none();
    move |content, ()| {
        if without && content.is_empty() {
            return Err(garde::Error::new("is required where there are no attachments"));
        }
        Ok(())
    }
}

impl MessageLine {
    pub(super) fn read(json: &[u8]) -> Result<Self> {
        let mut line: Self = moving::read(json)?;
        if line.deleted_at.is_some() {
            line.content.clear();
            line.attachments.clear();
            line.metadata = Fields::default();
            line.reactions.clear();
        }
        for one in &mut line.reactions {
            one.created_at.get_or_insert(line.created_at);
        }
        Ok(line)
    }

    pub(super) fn facts(&self) -> Facts {
        let Self { id, conversation_id, .. } = self;
        let mut keys = vec![
            Key::own(MESSAGE, id),
            Key::own(MESSAGE_IN, in_conversation(conversation_id, id)),
            Key::other(CONVERSATION, conversation_id),
        ];
        keys.extend(
            self.reply_to
                .as_ref()
                .map(|answered| Key::other(MESSAGE_IN, in_conversation(conversation_id, answered))),
        );
        keys.extend(self.client_message_id.as_ref().map(|own| {
            let name = format!("{conversation_id} {} {}", self.sender_id, own.to_text());
            Key::own("clientMessageId of that sender", name)
        }));
        Facts { place: Place::among(conversation_id, self.number, self.created_at), keys }
    }

    /// What it says, the reactions in the order in which they are told.
    fn without_number(&self) -> Self {
        let mut line = Self { number: None, ..self.clone() };
        line.reactions.sort_by(|one, other| one.key().cmp(&other.key()));
        line
    }

    pub(super) fn rows(&self) -> (Message, Vec<ReactionRow>) {
        let name = |name: &Option<PersonName>| name.clone().map(String::from);
        let message = Message {
            id: self.id.clone(),
            underscore_id: self.id.clone(),
            conversation_id: self.conversation_id.clone(),
            content: self.content.clone(),
            sender: Person {
                id: self.sender_id.clone(),
                first_name: name(&self.first_name),
                last_name: name(&self.last_name),
            },
            created_at: self.created_at,
            attachments: self.attachments.clone(),
            reply_to: self.reply_to.clone(),
            client_message_id: self.client_message_id.clone(),
            metadata: self.metadata.clone(),
            edited_at: self.edited_at,
            deleted_at: self.deleted_at,
            reactions: Vec::new(),
        };
        let reactions = self.reactions.iter().map(|one| ReactionRow {
            emoji: one.emoji.clone(),
            user_id: one.user_id.clone(),
            created_at: one.created_at.unwrap_or(self.created_at),
        });
        let mut reactions: Vec<_> = reactions.collect();
        moved::sort(&mut reactions);
        (message, reactions)
    }

    fn of(row: MessageRow, reactions: Vec<ReactionRow>) -> Self {
        let MessageRow { document: message, ordinal, .. } = row;
        let name = |name: Option<String>| name.as_deref().and_then(PersonName::from_lossy);
        let reaction = |one: ReactionRow| ReactionLine {
            emoji: one.emoji,
            user_id: one.user_id,
            created_at: Some(one.created_at),
        };
        Self {
            line: Tag,
            id: message.id,
            conversation_id: message.conversation_id,
            number: u64::try_from(ordinal).ok(),
            sender_id: message.sender.id,
            first_name: name(message.sender.first_name),
            last_name: name(message.sender.last_name),
            content: message.content,
            attachments: message.attachments,
            reply_to: message.reply_to,
            client_message_id: message.client_message_id,
            metadata: message.metadata,
            created_at: message.created_at,
            edited_at: message.edited_at,
            deleted_at: message.deleted_at,
            reactions: reactions.into_iter().map(reaction).collect(),
        }
    }
}

/// Of some messages those that are kept, as their lines.
pub(super) async fn kept(tx: &mut Tx<'_>, ids: BTreeSet<&Id>) -> Result<HashMap<Id, MessageLine>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = moved::messages_among(tx, ids.into_iter()).await?;
    let lines = with_reactions(tx, rows).await?;
    Ok(lines.into_iter().map(|line| (line.id.clone(), line)).collect())
}

/// Messages as their lines, which refer to none that was given up.
pub(super) async fn told(tx: &mut Tx<'_>, rows: Vec<MessageRow>) -> Result<Vec<MessageLine>> {
    let answered: BTreeSet<Id> =
        rows.iter().filter_map(|row| row.document.reply_to.clone()).collect();
    let there = moved::messages_among(tx, answered.iter()).await?;
    let there: BTreeSet<Id> = there.into_iter().map(|row| row.document.id).collect();
    let mut lines = with_reactions(tx, rows).await?;
    for line in &mut lines {
        line.reply_to = line.reply_to.take().filter(|answered| there.contains(answered));
    }
    Ok(lines)
}

async fn with_reactions(tx: &mut Tx<'_>, rows: Vec<MessageRow>) -> Result<Vec<MessageLine>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut reactions = moved::reactions_to(tx, rows.iter().map(|row| &row.document.id)).await?;
    let line = |row: MessageRow| {
        let given = reactions.remove(&row.document.id).unwrap_or_default();
        MessageLine::of(row, given)
    };
    Ok(rows.into_iter().map(line).collect())
}

/// Whether two lines are of the same message, whatever their numbers.
pub(super) fn compared(line: &MessageLine, kept: &MessageLine) -> Result<Outcome> {
    Outcome::compared(&line.without_number(), &kept.without_number())
}
