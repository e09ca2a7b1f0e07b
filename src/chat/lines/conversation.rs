//! The line of a conversation.

use std::collections::BTreeSet;

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chat::{
        documents::{Conversation, ConversationKind},
        requests::MAX_PARTICIPANTS,
        store::{
            self, ConversationRow,
            moved::{self, Reader},
        },
    },
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    moving::{self, Facts, Key, Outcome, Place, Tag},
    rest::json::small_metadata,
    room::Room,
    text,
};

/// The type.
pub(super) const CONVERSATION: &str = "conversation";

/// A message by the conversation that it is in.
pub(super) const MESSAGE_IN: &str = "message of that conversation";

/// Neither id has a space in it.
pub(super) fn in_conversation(conversation: &Id, message: &Id) -> String {
    format!("{conversation} {message}")
}

/// A conversation, with those who take part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct ConversationLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    pub(super) id: Id,
    /// Without it: direct for two people and no title, else a group.
    kind: Option<ConversationKind>,
    #[garde(inner(length(chars, min = 1, max = 200), custom(text::line)))]
    title: Option<String>,
    #[serde(default)]
    #[garde(custom(small_metadata))]
    metadata: Value,
    created_by: Id,
    created_at: Timestamp,
    archived_at: Option<Timestamp>,
    #[garde(length(max = MAX_PARTICIPANTS), custom(different))]
    participants: Vec<ParticipantLine>,
}

/// Someone who takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ParticipantLine {
    user_id: Id,
    /// Without it: when the conversation began.
    joined_at: Option<Timestamp>,
    /// The last message that they have read.
    last_read_message_id: Option<Id>,
    /// How many messages they have read or found there. Without it: up to that message.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_read: Option<u32>,
}

/// Refuses somebody who takes part twice.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn different(participants: &[ParticipantLine], (): &()) -> garde::Result {
    let different: BTreeSet<&Id> = participants.iter().map(|one| &one.user_id).collect();
    if different.len() == participants.len() {
        return Ok(());
    }
    Err(garde::Error::new("names somebody twice"))
}

/// Two people.
fn pair(participants: &[ParticipantLine]) -> Option<String> {
    let [one, other] = participants else { return None };
    Some(store::direct_key(&one.user_id, &other.user_id))
}

impl ConversationLine {
    pub(super) fn read(json: &[u8]) -> Result<Self> {
        let mut line: Self = moving::read(json)?;
        let two = line.participants.len() == 2;
        let kind = *line.kind.get_or_insert(if two && line.title.is_none() {
            ConversationKind::Direct
        } else {
            ConversationKind::Group
        });
        if kind == ConversationKind::Direct && !two {
            return Err(Error::invalid("/participants", "a direct conversation has two people"));
        }
        for one in &mut line.participants {
            one.joined_at.get_or_insert(line.created_at);
        }
        Ok(line)
    }

    /// The pair of a direct conversation that is open.
    fn direct_key(&self) -> Option<String> {
        let is_open = self.kind == Some(ConversationKind::Direct) && self.archived_at.is_none();
        pair(&self.participants).filter(|_| is_open)
    }

    pub(super) fn facts(&self) -> Facts {
        let mut keys = vec![Key::own(CONVERSATION, &self.id)];
        keys.extend(
            self.direct_key().map(|key| Key::own("two people of a direct conversation", key)),
        );
        let read = self.participants.iter().filter_map(|one| one.last_read_message_id.as_ref());
        keys.extend(read.map(|message| Key::other(MESSAGE_IN, in_conversation(&self.id, message))));
        Facts { place: Place { group: self.id.to_string(), ..Place::default() }, keys }
    }

    fn document(&self) -> Conversation {
        Conversation {
            id: self.id.clone(),
            underscore_id: self.id.clone(),
            kind: self.kind.unwrap_or(ConversationKind::Group),
            title: self.title.clone(),
            participants: Vec::new(),
            participant_count: 0,
            metadata: self.metadata.clone(),
            created_by: self.created_by.clone(),
            created_at: self.created_at,
            archived_at: self.archived_at,
        }
    }

    /// What it says but for how far people have read, which goes on.
    fn unread(&self) -> Self {
        let mut line = self.clone();
        for one in &mut line.participants {
            (one.last_read, one.last_read_message_id) = (None, None);
        }
        line
    }
}

/// A conversation as its line.
pub(super) async fn told(tx: &mut Tx<'_>, conversation: Conversation) -> Result<ConversationLine> {
    let participants = if let Some(expected) = moved::expected(tx, &conversation.id).await? {
        serde_json::from_str(&expected).map_err(Error::internal)?
    } else {
        let readers = moved::readers(tx, &conversation.id).await?;
        readers.into_iter().map(participant).collect()
    };
    let Conversation { id, kind, title, metadata, created_by, created_at, archived_at, .. } =
        conversation;
    Ok(ConversationLine {
        line: Tag,
        id,
        kind: Some(kind),
        title,
        metadata,
        created_by,
        created_at,
        archived_at,
        participants,
    })
}

fn participant(reader: Reader) -> ParticipantLine {
    ParticipantLine {
        user_id: reader.user_id,
        joined_at: Some(reader.joined_at),
        last_read_message_id: reader.last_read_message_id,
        last_read: reader.last_read.and_then(|number| u32::try_from(number).ok()),
    }
}

/// Begins to take a conversation in.
pub(super) async fn begin(tx: &mut Tx<'_>, line: &ConversationLine) -> Result<Outcome> {
    if let Some(row) = store::find_for_update(tx, &line.id).await? {
        return Outcome::compared(&line.unread(), &told(tx, row.document).await?.unread());
    }
    let participants = serde_json::to_string(&line.participants).map_err(Error::internal)?;
    if let Some(key) = line.direct_key()
        && store::direct(tx, key).await?.is_some()
    {
        return Ok(Outcome::other("its two people have another direct conversation"));
    }
    if moved::begin(tx, &line.document(), &participants).await? {
        return Ok(Outcome::Written);
    }
    Ok(Outcome::other("another was begun meanwhile under its id"))
}

/// Lets those in who take part in a conversation that was being taken in, now that all is there; false when
/// its two people began another meanwhile.
pub(super) async fn end(tx: &mut Tx<'_>, row: &ConversationRow) -> Result<bool> {
    let id = &row.document.id;
    let Some(expected) = moved::expected(tx, id).await? else { return Ok(true) };
    let expected: Vec<ParticipantLine> =
        serde_json::from_str(&expected).map_err(Error::internal)?;
    let is_direct = row.document.kind == ConversationKind::Direct;
    let is_open = is_direct && row.document.archived_at.is_none();
    let key = pair(&expected).filter(|_| is_open);
    let readers = expected.into_iter().map(|one| Reader {
        user_id: one.user_id,
        joined_at: one.joined_at.unwrap_or(row.document.created_at),
        last_read: one.last_read.map(i64::from),
        last_read_message_id: one.last_read_message_id,
    });
    for room in [Room::Conversation(id.clone()), Room::Chat(id.clone())] {
        tx.record(room);
    }
    moved::end(tx, id, key, &readers.collect::<Vec<_>>()).await
}
