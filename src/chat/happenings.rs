//! What happens in conversations, as users may be notified of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::documents::{Conversation, Message};
use crate::{
    id::Id,
    notifications::{Cause, Happening},
};

/// Somebody wrote to those who are away. Nothing of what they wrote: it may be taken back.
pub(super) fn written(
    conversation: &Conversation,
    message: &Message,
    called: Option<String>,
    away: BTreeSet<Id>,
) -> Happening {
    let sender = message.sender.id.clone();
    // Whoever began the conversation said what it is called.
    let entitled = conversation.title.as_ref().map(|_| conversation.created_by.clone());
    Happening {
        cause: Cause::MessageReceived,
        users: away,
        topic: Some(topic(&conversation.id)),
        placeholders: vec![
            ("sender", called.unwrap_or_else(|| sender.to_string())),
            ("title", conversation.title.clone().unwrap_or_default()),
        ],
        data: json!({ "conversationId": conversation.id, "messageId": message.id }),
        words_of: [Some(sender), entitled],
    }
}

/// What notifications of messages are about: one unread notification a conversation is enough.
pub(super) fn topic(conversation: &Id) -> String {
    format!("conversation/{conversation}")
}
