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
    away: BTreeSet<Id>,
) -> Happening {
    let names = [&message.sender.first_name, &message.sender.last_name];
    let names: Vec<_> = names.into_iter().flatten().map(String::as_str).collect();
    let names = if names.is_empty() { vec![message.sender.id.as_str()] } else { names };
    Happening {
        cause: Cause::MessageReceived,
        users: away,
        topic: Some(topic(&conversation.id)),
        placeholders: vec![
            ("sender", names.join(" ")),
            ("title", conversation.title.clone().unwrap_or_default()),
        ],
        data: json!({ "conversationId": conversation.id, "messageId": message.id }),
        words_of: Some(message.sender.id.clone()),
    }
}

/// What notifications of messages are about: one unread notification a conversation is enough.
pub(super) fn topic(conversation: &Id) -> String {
    format!("conversation/{conversation}")
}
