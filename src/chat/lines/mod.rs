//! The lines of conversations and their messages (docs/moving.md). A conversation is taken in with its
//! messages, the first of them first; those who take part come in with the last.

mod conversation;
mod message;

use std::collections::HashMap;

use futures_util::FutureExt;

use self::{
    conversation::{CONVERSATION, ConversationLine, MESSAGE_IN},
    message::{MESSAGE, MessageLine},
};
use super::store::{self, moved};
use crate::{
    db::Tx,
    error::{Error, Result},
    id::Id,
    moving::{self, Done, Facts, Incoming, Movable, Outcome, Space},
    personal,
};

/// The lines of this room.
pub struct Lines;

/// A line of either type.
enum Line {
    Conversation(Box<ConversationLine>),
    Message(Box<MessageLine>),
}

impl Line {
    fn read(kind: &str, json: &[u8]) -> Result<Self> {
        Ok(match kind {
            CONVERSATION => Self::Conversation(Box::new(ConversationLine::read(json)?)),
            _ => Self::Message(Box::new(MessageLine::read(json)?)),
        })
    }

    fn conversation(&self) -> &Id {
        match self {
            Self::Conversation(line) => &line.id,
            Self::Message(line) => &line.conversation_id,
        }
    }
}

impl Movable for Lines {
    fn types(&self) -> &'static [&'static str] {
        &[CONVERSATION, MESSAGE]
    }

    fn facts(&self, kind: &str, json: &[u8]) -> Result<Facts> {
        Ok(match Line::read(kind, json)? {
            Line::Conversation(line) => line.facts(),
            Line::Message(line) => line.facts(),
        })
    }

    fn spaces(&self, kind: &str) -> &'static [Space] {
        match kind {
            MESSAGE => &[(MESSAGE_IN, &["conversationId", "id"])],
            _ => &[],
        }
    }

    fn import<'a>(&'a self, tx: &'a mut Tx<'_>, lines: &'a [Incoming]) -> Done<'a, Vec<Outcome>> {
        async move {
            let read = lines.iter().map(|line| Ok((Line::read(line.kind, &line.json)?, line.ends)));
            let read: Vec<(Line, bool)> = read.collect::<Result<_>>()?;
            let messages = read.iter().filter_map(|(line, _)| match line {
                Line::Message(line) => Some(&line.id),
                Line::Conversation(_) => None,
            });
            let there = message::kept(tx, messages.collect()).await?;
            let mut outcomes = Vec::with_capacity(read.len());
            for part in
                read.chunk_by(|(one, _), (other, _)| one.conversation() == other.conversation())
            {
                take_in(tx, part, &there, &mut outcomes).await?;
            }
            Ok(outcomes)
        }
        .boxed_local()
    }

    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        after: &'a str,
        lines: &'a mut personal::Lines,
    ) -> Done<'a, Option<String>> {
        async move {
            // Behind a conversation, or behind a message of one.
            let (number, mut conversation) = match after.split_once(' ') {
                None => (None, String::new()),
                Some(("", id)) => (None, id.to_owned()),
                Some((number, id)) => {
                    (Some(number.parse::<i64>().map_err(Error::internal)?), id.to_owned())
                }
            };
            let mut begun = number;
            let mut left = moving::ROWS;
            while left > 0 {
                let Some(number) = begun.take() else {
                    let Some(row) = moved::next_conversation(tx, &conversation).await? else {
                        return Ok(None);
                    };
                    row.document.id.as_str().clone_into(&mut conversation);
                    lines.add(CONVERSATION, &conversation::told(tx, row.document).await?)?;
                    (begun, left) = (Some(0), left - 1);
                    continue;
                };
                let messages = moved::messages_after(tx, &conversation, number, left).await?;
                if let Some(last) = messages.last() {
                    begun = Some(last.ordinal);
                }
                left -= i64::try_from(messages.len()).unwrap_or(left).max(1);
                for line in message::told(tx, messages).await? {
                    lines.add(MESSAGE, &line)?;
                }
            }
            let number = begun.map(|number| number.to_string()).unwrap_or_default();
            Ok(Some(format!("{number} {conversation}")))
        }
        .boxed_local()
    }

    fn are_there<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        space: &'a str,
        names: &'a [String],
    ) -> Done<'a, Vec<bool>> {
        async move {
            let id = |name: &str| name.parse::<Id>().map_err(Error::internal);
            if space == CONVERSATION {
                let ids = names.iter().map(|name| id(name)).collect::<Result<Vec<_>>>()?;
                let there = moved::conversations_among(tx, ids.iter()).await?;
                return Ok(ids.iter().map(|id| there.contains(id)).collect());
            }
            let pairs = names.iter().map(|name| {
                let (conversation, message) = name.split_once(' ').unwrap_or_default();
                Ok((id(conversation)?, id(message)?))
            });
            let pairs = pairs.collect::<Result<Vec<_>>>()?;
            let rows = moved::messages_among(tx, pairs.iter().map(|(_, message)| message)).await?;
            let there: HashMap<&Id, &Id> =
                rows.iter().map(|row| (&row.document.id, &row.document.conversation_id)).collect();
            Ok(pairs
                .iter()
                .map(|(conversation, message)| there.get(message) == Some(&conversation))
                .collect())
        }
        .boxed_local()
    }
}

/// Takes in lines of one conversation that follow each other.
async fn take_in(
    tx: &mut Tx<'_>,
    lines: &[(Line, bool)],
    there: &HashMap<Id, MessageLine>,
    outcomes: &mut Vec<Outcome>,
) -> Result<()> {
    let Some((first, _)) = lines.first() else { return Ok(()) };
    let id = first.conversation();
    for (line, _) in lines {
        if let Line::Conversation(line) = line {
            outcomes.push(conversation::begin(tx, line).await?);
        }
    }
    let Some(row) = store::find_for_update(tx, id).await? else {
        let without = lines.iter().filter(|(line, _)| matches!(line, Line::Message(_)));
        outcomes.extend(without.map(|_| Outcome::other("its conversation is not there")));
        return Ok(());
    };
    let (mut new, mut taken) = (Vec::new(), HashMap::<&Id, &MessageLine>::new());
    for (line, _) in lines {
        let Line::Message(line) = line else { continue };
        let kept = there.get(&line.id).or(taken.get(&line.id).copied());
        if let Some(kept) = kept {
            outcomes.push(message::compared(line, kept)?);
            continue;
        }
        // Only in one that was there are others.
        if row.messages > 0
            && let Some(own) = &line.client_message_id
            && store::sent_message(tx, id, &line.sender_id, own).await?.is_some()
        {
            let sentence = "its sender has another message with this clientMessageId";
            outcomes.push(Outcome::other(sentence));
            continue;
        }
        taken.insert(&line.id, line);
        new.push(line.rows());
        outcomes.push(Outcome::Written);
    }
    moved::append(tx, &row, &new).await?;
    if lines.iter().any(|(_, ends)| *ends)
        && !conversation::end(tx, &row).await?
        && let Some(last) = outcomes.last_mut()
    {
        *last = Outcome::other(
            "its two people began another direct conversation meanwhile: nobody sees this one until \
             that is archived and this is imported again",
        );
    }
    Ok(())
}
