//! What happens in conversations, and the wire events that it becomes in both dialects.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::{
    documents::{Conversation, Message, Participant, Person},
    events::{
        conversation::{
            ConversationAdded, ConversationArchived, ConversationCreated,
            ConversationParticipantAdded, ConversationParticipantRemoved, MessageDeleted,
            MessageEdited, MessageNew, MessageReaction, MessageRead, ReactionChange,
        },
        marketplace::{
            ChatMessage, ChatMessageDeleted, ChatMessageEdited, MessagesRead, NewMessage,
            ParticipantRemoved, ParticipantsAdded,
        },
    },
};
use crate::{
    clock::Timestamp,
    event::{Kept, Twinned},
    id::Id,
    room::Room,
    stream::{DomainEvent, Stream, Target, WireEvent},
};

/// Something that happened in a conversation.
pub(super) struct InConversation {
    pub(super) id: Id,
    pub(super) what: What,
}

/// A message whose row has all that an event shows, as the event names it.
pub(super) enum Shown {
    /// It, as it was written.
    New(Id),
    /// Its text, when that was changed.
    Edited(Id),
}

/// Why a string is not a [`Shown`].
#[derive(Debug, thiserror::Error)]
#[error("not what an event shows of a message")]
pub(super) struct InvalidShown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(message) => write!(f, "new {message}"),
            Self::Edited(message) => write!(f, "edited {message}"),
        }
    }
}

impl FromStr for Shown {
    type Err = InvalidShown;

    fn from_str(name: &str) -> Result<Self, InvalidShown> {
        let (shown, message) = name.split_once(' ').ok_or(InvalidShown)?;
        let message = message.parse().map_err(|_| InvalidShown)?;
        match shown {
            "new" => Ok(Self::New(message)),
            "edited" => Ok(Self::Edited(message)),
            _ => Err(InvalidShown),
        }
    }
}

impl Shown {
    /// The message.
    pub(super) fn message(&self) -> &Id {
        let (Self::New(message) | Self::Edited(message)) = self;
        message
    }

    /// What an event from `then` tells of the message as it is now; nothing, where that is an edit that
    /// another followed, which says it all.
    pub(super) fn told(&self, now: &Message, then: Timestamp) -> Option<InConversation> {
        let what = match self {
            Self::New(_) => What::MessageCreated(Box::new(now.clone())),
            Self::Edited(message_id) => What::MessageEdited {
                message_id: message_id.clone(),
                content: now.content.clone(),
                edited_at: now.edited_at.filter(|edited_at| *edited_at == then)?,
            },
        };
        Some(InConversation { id: now.conversation_id.clone(), what })
    }
}

/// What happened there.
pub(super) enum What {
    MessageCreated(Box<Message>),
    MessageEdited { message_id: Id, content: String, edited_at: Timestamp },
    MessageDeleted { message_id: Id, deleted_at: Timestamp },
    ReactionChanged { message_id: Id, reaction: ReactionChange },
    MessagesRead { user_id: Id, message_id: Id, modified_count: u64 },
    ParticipantsAdded(Vec<Participant>),
    ParticipantRemoved(Id),
    Archived,
}

impl DomainEvent for InConversation {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream::Conversation(self.id.clone())]
    }

    /// A message's row has all that its events show.
    fn source(&self) -> Option<String> {
        let shown = match &self.what {
            What::MessageCreated(message) => Shown::New(message.id.clone()),
            What::MessageEdited { message_id, .. } => Shown::Edited(message_id.clone()),
            _ => return None,
        };
        Some(shown.to_string())
    }

    fn render(&self, seq: i64) -> Vec<WireEvent> {
        let room = || Room::Conversation(self.id.clone());
        let chat = || Room::Chat(self.id.clone());
        let (conversation_id, chat_id) = (self.id.clone(), self.id.clone());
        match &self.what {
            What::MessageCreated(message) => {
                let (for_room, for_chat) = created(message, seq);
                let [for_room, for_chat] = self.in_both(&for_room, &for_chat);
                vec![for_room.except_user(message.sender.id.clone()), for_chat]
            }
            What::MessageEdited { message_id, content, edited_at } => {
                let (message_id, content) = (message_id.clone(), content.clone());
                let for_room = MessageEdited {
                    message_id: message_id.clone(),
                    conversation_id,
                    content: content.clone(),
                    edited_at: *edited_at,
                    seq,
                };
                let edited_at = *edited_at;
                let for_chat = ChatMessageEdited { chat_id, message_id, content, edited_at, seq };
                self.in_both(&for_room, &for_chat).into()
            }
            What::MessageDeleted { message_id, deleted_at } => {
                let (message_id, deleted_at) = (message_id.clone(), *deleted_at);
                let for_room = MessageDeleted {
                    message_id: message_id.clone(),
                    conversation_id,
                    deleted_at,
                    seq,
                };
                let for_chat = ChatMessageDeleted { chat_id, message_id, deleted_at, seq };
                self.in_both(&for_room, &for_chat).into()
            }
            What::ReactionChanged { message_id, reaction } => {
                let (message_id, reaction) = (message_id.clone(), reaction.clone());
                let for_room = MessageReaction { message_id, conversation_id, reaction, seq };
                vec![WireEvent::to_room(room(), &for_room)]
            }
            What::MessagesRead { user_id, message_id, modified_count } => {
                let (user_id, message_id) = (user_id.clone(), message_id.clone());
                let for_chat = MessagesRead {
                    chat_id,
                    user_id: user_id.clone(),
                    up_to_message_id: message_id.clone(),
                    modified_count: *modified_count,
                };
                let for_room = MessageRead { conversation_id, user_id, message_id, seq };
                self.in_both(&for_room, &for_chat).into()
            }
            What::ParticipantsAdded(participants) => {
                let added = |participant: &Participant| ConversationParticipantAdded {
                    conversation_id: conversation_id.clone(),
                    participant: participant.clone(),
                };
                let each: Vec<_> = participants.iter().map(added).collect();
                let added_user_ids = participants.iter().map(|added| added.id.clone()).collect();
                let for_chat = ParticipantsAdded { chat_id, added_user_ids };
                WireEvent::twin_of_all(&room(), &each, chat(), &for_chat)
            }
            What::ParticipantRemoved(user_id) => {
                let removed_user_id = user_id.clone();
                let for_room = ConversationParticipantRemoved {
                    conversation_id,
                    user_id: removed_user_id.clone(),
                };
                let for_chat = ParticipantRemoved { chat_id, removed_user_id };
                self.in_both(&for_room, &for_chat).into()
            }
            What::Archived => {
                vec![WireEvent::to_room(room(), &ConversationArchived { conversation_id })]
            }
        }
    }
}

impl InConversation {
    /// The same in both dialects, each in its own room.
    fn in_both<E>(&self, for_room: &E, for_chat: &E::Twin) -> [WireEvent; 2]
    where
        E: Kept + Twinned<Twin: Kept>,
    {
        let (room, chat) = (Room::Conversation(self.id.clone()), Room::Chat(self.id.clone()));
        WireEvent::twins(room, for_room, chat, for_chat)
    }
}

/// Names that say something of a message in either dialect: what a sender gave under one of them is
/// in `metadata` only, so that nobody takes it for the server's word.
const TAKEN: [&str; 18] = [
    "id",
    "_id",
    "messageId",
    "conversationId",
    "chatId",
    "content",
    "sender",
    "senderId",
    "createdAt",
    "attachments",
    "replyTo",
    "clientMessageId",
    "metadata",
    "editedAt",
    "deletedAt",
    "reactions",
    "message",
    "seq",
];

/// A new message in both dialects.
fn created(message: &Message, seq: i64) -> (MessageNew, NewMessage) {
    let for_room = MessageNew {
        message_id: message.id.clone(),
        conversation_id: message.conversation_id.clone(),
        content: message.content.clone(),
        sender: message.sender.clone(),
        created_at: message.created_at,
        attachments: message.attachments.clone(),
        reply_to: message.reply_to.clone(),
        client_message_id: message.client_message_id.clone(),
        metadata: message.metadata.clone(),
        seq,
        spread: message.metadata.without(&TAKEN),
    };
    let for_chat = NewMessage {
        chat_id: message.conversation_id.clone(),
        message: ChatMessage {
            id: message.id.clone(),
            underscore_id: message.id.clone(),
            content: message.content.clone(),
            sender_id: message.sender.id.clone(),
            created_at: message.created_at,
            attachments: message.attachments.clone(),
            metadata: message.metadata.clone(),
        },
        sender_id: message.sender.id.clone(),
        seq,
    };
    (for_room, for_chat)
}

/// What people are told of a conversation, each in a room of their own.
pub(super) struct ForPeople {
    pub(super) people: BTreeSet<Id>,
    pub(super) told: Told,
}

/// What they are told.
pub(super) enum Told {
    /// It began with them in it; all but its creator were added by them.
    Created(Conversation, Person),
    Added {
        conversation_id: Id,
        added_by: Person,
    },
    Archived(Id),
}

impl DomainEvent for ForPeople {
    fn streams(&self) -> Vec<Stream> {
        self.people.iter().cloned().map(Stream::User).collect()
    }

    fn render(&self, _seq: i64) -> Vec<WireEvent> {
        let rooms = || self.people.iter().cloned().map(Room::User).collect::<Vec<_>>();
        let added = |rooms: Vec<Room>, conversation_id: &Id, added_by: &Person| {
            let conversation_id = conversation_id.clone();
            let payload = ConversationAdded { conversation_id, added_by: added_by.clone() };
            WireEvent::to_rooms(rooms, &payload)
        };
        match &self.told {
            Told::Created(conversation, creator) => {
                let payload = ConversationCreated { conversation: conversation.clone() };
                let mut others = rooms();
                others.retain(|room| *room != Room::User(creator.id.clone()));
                let created = WireEvent::to_rooms(rooms(), &payload);
                vec![created, added(others, &conversation.id, creator)]
            }
            Told::Added { conversation_id, added_by } => {
                vec![added(rooms(), conversation_id, added_by)]
            }
            // Who has the conversation open hears of it there.
            Told::Archived(conversation_id) => {
                let except = vec![Room::Conversation(conversation_id.clone())];
                let payload = ConversationArchived { conversation_id: conversation_id.clone() };
                vec![WireEvent::new(Target::Rooms { rooms: rooms(), except }, &payload)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_an_event_shows_of_a_message_reads_back_as_it_was_named() {
        for name in ["new m1", "edited 0190", "new new"] {
            assert_eq!(name.parse::<Shown>().unwrap().to_string(), name);
        }
        for name in ["", "new", "new ", "old m1", "m1"] {
            assert!(name.parse::<Shown>().is_err(), "{name}");
        }
    }

    #[test]
    fn every_name_of_a_message_is_taken() {
        let id = |text: &str| Id::new(text).unwrap();
        let file = json!({ "url": "https://a/b" });
        let mut message = Message {
            id: id("m1"),
            underscore_id: id("m1"),
            conversation_id: id("c1"),
            content: "Hello".into(),
            sender: Person { id: id("u1"), first_name: None, last_name: None },
            created_at: Timestamp::from_millis(0),
            attachments: vec![serde_json::from_value(file).unwrap()],
            reply_to: None,
            client_message_id: None,
            metadata: serde_json::from_value(json!({ "free": 1 })).unwrap(),
            edited_at: None,
            deleted_at: None,
            reactions: Vec::new(),
        };
        let both = |message: &Message| {
            let (for_room, for_chat) = created(message, 7);
            [serde_json::to_value(for_room), serde_json::to_value(for_chat)].map(Result::unwrap)
        };
        let [for_room, for_chat] = both(&message);
        let documents = [serde_json::to_value(&message).unwrap(), for_chat["message"].clone()];
        let all = documents.iter().chain([&for_room, &for_chat]);
        let mut names: BTreeSet<_> = all.flat_map(|one| one.as_object().unwrap().keys()).collect();
        assert!(names.remove(&"free".to_owned()), "a free name is spread");
        assert_eq!(names, TAKEN.map(str::to_owned).iter().collect());

        let theirs = TAKEN.map(|name| (name.to_owned(), json!("theirs")));
        let theirs = Value::Object(theirs.into_iter().collect());
        message.metadata = serde_json::from_value(theirs.clone()).unwrap();
        let [mut heard, _] = both(&message);
        assert_eq!(heard["metadata"].take(), theirs);
        assert!(!heard.to_string().contains("theirs"), "{heard}");
    }
}
