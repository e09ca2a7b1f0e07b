//! The rules of messages.

use std::sync::Arc;

use super::{
    ChatService, Visible, VisibleForUpdate, conflict,
    lists::{count, unread},
    takes_part, visible, visible_for_update,
};
use crate::{
    auth::{Actor, Identity, Role},
    chat::{
        announcements::{InConversation, What},
        documents::{Message, MessageAnswer},
        emoji::is_reaction,
        events::conversation::{ReactionAction, ReactionChange},
        happenings,
        requests::{Draft, Given, ReadResult, Stretch},
        store::{self, Between, MessageRow, Order},
    },
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    idempotency,
    notifications::Cause,
    rest::{
        fields::Fields,
        json,
        list::{List, Page, read_cursor},
    },
};

/// The most people of a conversation whose messages make notifications.
const MAX_NOTIFIED: u64 = 100;

impl ChatService {
    /// A stretch of a conversation: what is before a message, newest first, or what comes after one,
    /// oldest first.
    pub(in crate::chat) async fn history(
        &self,
        caller: Arc<Identity>,
        id: Id,
        stretch: Stretch,
        page: Page,
    ) -> Result<List<Message>> {
        let cursor: Option<i64> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::find(tx, &id).await?;
            visible(tx, &caller, row).await?;
            let after = ordinal(tx, &id, "/after", stretch.after).await?;
            let before = ordinal(tx, &id, "/before", stretch.before).await?.unwrap_or(i64::MAX);
            let (between, order) = if let Some(after) = after {
                let after = after.max(cursor.unwrap_or(0));
                (Between { after, before }, Order::OldestFirst)
            } else {
                let before = before.min(cursor.unwrap_or(i64::MAX));
                (Between { after: 0, before }, Order::NewestFirst)
            };
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let (rows, fit) = store::history(tx, &id, between, order, limit).await?;
            Ok(List::of(rows, &page.at_most(fit), |row| row.ordinal, |row| row.document))
        };
        self.db.read(unit).await
    }

    /// Writes a message; the one already written with the same `clientMessageId` is given back,
    /// with false.
    pub(in crate::chat) async fn send(
        &self,
        sender: Actor,
        id: Id,
        draft: Draft,
    ) -> Result<(Message, bool)> {
        json::validate(&draft)?;
        let Actor { identity: caller, by_service } = sender;
        let given = Given { id: draft.id.clone(), created_at: draft.created_at };
        given.ensure_by_service(by_service)?;
        let message_id = draft.id.clone().unwrap_or_else(|| Id::from(self.ids.next()));
        let (notifications, presence) = (self.notifications.clone(), self.presence.clone());
        let bytes = draft.bytes();
        let unit = async move |tx: &mut Tx<'_>| {
            let conversation = visible_for_update(tx, &caller, &id).await?;
            let sender = conversation.member()?;
            let message = Message {
                id: message_id.clone(),
                underscore_id: message_id,
                conversation_id: id.clone(),
                content: draft.content,
                sender: conversation.actor.clone(),
                created_at: given.created_at(tx.now())?,
                attachments: draft.attachments,
                reply_to: draft.reply_to,
                client_message_id: draft.client_message_id,
                metadata: draft.metadata,
                edited_at: None,
                deleted_at: None,
                reactions: Vec::new(),
            };
            let refused = refusal(tx, &conversation, message.reply_to.as_ref()).await?;
            if let Some(refusal) = refused {
                // What was written before is given back whatever has come since.
                let sent = sent(tx, &message, &given).await?;
                return sent.map(|message| (message, false)).ok_or(refusal);
            }
            if !store::insert_message(tx, &message, &conversation.row, sender).await? {
                let sent = sent(tx, &message, &given).await?;
                let lost = || Error::internal("a message is there and is not found");
                return Ok((sent.ok_or_else(lost)?, false));
            }
            let what = What::MessageCreated(Box::new(message.clone()));
            tx.announce(InConversation { id, what });
            let VisibleForUpdate { visible, called, .. } = conversation;
            let conversation = &visible.row.document;
            if conversation.participant_count <= MAX_NOTIFIED
                && notifications.tells_of(Cause::MessageReceived)
            {
                let mut away = store::people(tx, &conversation.id).await?;
                away.retain(|user| *user != caller.user_id && !presence.is_online(user));
                if !away.is_empty() {
                    let written = happenings::written(conversation, &message, called, away);
                    notifications.notify_of(tx, vec![written]).await?;
                }
            }
            Ok((message, true))
        };
        self.db.write_sized(bytes, unit).await
    }

    /// Changes a message's text.
    pub(in crate::chat) async fn edit(
        &self,
        caller: Arc<Identity>,
        message_id: Id,
        content: String,
    ) -> Result<Message> {
        let bytes = content.len();
        let unit = async move |tx: &mut Tx<'_>| {
            let (conversation, mut message) = message_for_update(tx, &caller, &message_id).await?;
            if message.document.sender.id != caller.user_id {
                return Err(Error::needs("the message's author"));
            }
            conversation.member()?;
            conversation.ensure_open()?;
            ensure_there(&message)?;
            store::set_content(tx, &message_id, &content).await?;
            let edited_at = tx.now();
            message.document.content.clone_from(&content);
            message.document.edited_at = Some(edited_at);
            let edited = with_reactions(tx, message).await?;
            rewrite_answers(tx, &edited).await?;
            let what = What::MessageEdited { message_id, content, edited_at };
            tx.announce(InConversation { id: edited.conversation_id.clone(), what });
            Ok(edited)
        };
        self.db.write_sized(bytes, unit).await
    }

    /// Takes a message's content away.
    pub(in crate::chat) async fn delete(
        &self,
        caller: Arc<Identity>,
        message_id: Id,
    ) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let (_, mut message) = message_for_update(tx, &caller, &message_id).await?;
            if message.document.sender.id != caller.user_id && !caller.has(Role::Admin) {
                return Err(Error::needs("the message's author, or an admin"));
            }
            if message.document.deleted_at.is_some() {
                return Ok(());
            }
            store::delete_message(tx, &message_id).await?;
            empty(&mut message.document);
            message.document.deleted_at = Some(tx.now());
            rewrite_answers(tx, &message.document).await?;
            let what = What::MessageDeleted { message_id, deleted_at: tx.now() };
            tx.announce(InConversation { id: message.document.conversation_id, what });
            Ok(())
        };
        self.db.write(unit).await
    }

    /// Adds the caller's reaction to a message, or takes it back.
    pub(in crate::chat) async fn react(
        &self,
        caller: Arc<Identity>,
        message_id: Id,
        emoji: String,
        action: ReactionAction,
    ) -> Result<()> {
        // What is there can be taken back, whatever it is.
        if action == ReactionAction::Added && !is_reaction(&emoji) {
            let rule = "is neither one emoji of at most 32 bytes nor a :short_code:";
            return Err(Error::invalid("/emoji", rule));
        }
        let limits = self.reactions;
        let unit = async move |tx: &mut Tx<'_>| {
            let (conversation, message) = message_for_update(tx, &caller, &message_id).await?;
            conversation.member()?;
            conversation.ensure_open()?;
            ensure_there(&message)?;
            let user_id = caller.user_id.clone();
            let changed = match action {
                ReactionAction::Added => {
                    let added = store::add_reaction(tx, &message_id, &user_id, &emoji).await?;
                    if added {
                        let most = limits.kinds;
                        let counts =
                            store::count_reactions(tx, &message_id, &user_id, most).await?;
                        limits.check(counts)?;
                    }
                    added
                }
                ReactionAction::Removed => {
                    store::remove_reaction(tx, &message_id, &user_id, &emoji).await?
                }
            };
            if changed {
                let reaction = ReactionChange { emoji, user_id, action };
                let what = What::ReactionChanged { message_id, reaction };
                tx.announce(InConversation { id: message.document.conversation_id, what });
            }
            Ok(())
        };
        self.db.write(unit).await
    }

    /// Notes up to where the caller has read; never backwards.
    pub(in crate::chat) async fn read(
        &self,
        caller: Arc<Identity>,
        id: Id,
        message_id: Id,
    ) -> Result<ReadResult> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut conversation = visible_for_update(tx, &caller, &id).await?.visible;
            let member = conversation.member.as_mut().ok_or_else(takes_part)?;
            let user_id = caller.user_id.clone();
            let message = in_conversation(tx, &id, &message_id, "/messageId").await?;
            let mut modified_count = 0;
            if message.ordinal > member.last_read {
                let read = Between { after: member.last_read, before: message.ordinal + 1 };
                let deleted = store::deleted_of_others(tx, &id, &user_id, read).await?;
                let read_sent = store::sent_up_to(tx, &id, member, &message).await?;
                let own = read_sent - member.read_sent;
                modified_count = count(message.ordinal - member.last_read - own - deleted)?;
                store::set_read(tx, &id, &user_id, &message, read_sent).await?;
                (member.last_read, member.read_sent) = (message.ordinal, read_sent);
            }
            let unread_count = unread(tx, &conversation.row, member).await?;
            if modified_count > 0 {
                if unread_count == 0 {
                    notifications.read_about(tx, &user_id, &happenings::topic(&id)).await?;
                }
                let what = What::MessagesRead { user_id, message_id, modified_count };
                tx.announce(InConversation { id, what });
            }
            Ok(ReadResult { modified_count, unread_count })
        };
        self.db.write(unit).await
    }
}

/// Takes away what a message of somebody says who is erased, and their names. Nobody is told: they wrote
/// thousands, maybe.
pub(in crate::chat) async fn erase(tx: &mut Tx<'_>, message: &Message) -> Result<()> {
    store::find_for_update(tx, &message.conversation_id).await?;
    // Only what is read while the conversation is locked stays true.
    let Some(MessageRow { document: mut message, .. }) = store::message(tx, &message.id).await?
    else {
        return Ok(());
    };
    store::personal::erase_message(tx, &message.id).await?;
    empty(&mut message);
    (message.sender.first_name, message.sender.last_name) = (None, None);
    message.client_message_id = None;
    message.deleted_at = message.deleted_at.or(Some(tx.now()));
    rewrite_answers(tx, &message).await
}

/// Leaves nothing of what a message says.
fn empty(message: &mut Message) {
    message.content.clear();
    message.attachments.clear();
    message.metadata = Fields::default();
}

/// Has the answers that are kept for who repeats a request show the message as it is.
async fn rewrite_answers(tx: &mut Tx<'_>, message: &Message) -> Result<()> {
    let answer = MessageAnswer { message: message.clone() };
    idempotency::rewrite(tx, &message.id, &answer).await
}

/// Why a conversation does not take a message that answers this one.
async fn refusal(
    tx: &mut Tx<'_>,
    conversation: &Visible,
    reply_to: Option<&Id>,
) -> Result<Option<Error>> {
    if let Err(refusal) = conversation.ensure_open() {
        return Ok(Some(refusal));
    }
    let Some(answered) = reply_to else { return Ok(None) };
    let id = &conversation.row.document.id;
    match in_conversation(tx, id, answered, "/replyTo").await {
        Ok(_) => Ok(None),
        Err(refusal) if refusal.code() == Code::InvalidPayload => Ok(Some(refusal)),
        Err(error) => Err(error),
    }
}

/// The message that is there already: under the id that a service gave it, or under its sender's own.
async fn sent(tx: &mut Tx<'_>, message: &Message, given: &Given) -> Result<Option<Message>> {
    let by_id = match &given.id {
        Some(id) => store::message(tx, id).await?,
        None => None,
    };
    if by_id.as_ref().is_some_and(|there| !is_same(&there.document, message, given)) {
        return Err(conflict("Another message has this id."));
    }
    let there = match (by_id, &message.client_message_id) {
        (None, Some(own)) => {
            store::sent_message(tx, &message.conversation_id, &message.sender.id, own).await?
        }
        (by_id, _) => by_id,
    };
    match there {
        Some(sent) => Ok(Some(with_reactions(tx, sent).await?)),
        None => Ok(None),
    }
}

/// Whether a message that is there is the one to be sent. What it said at first is known as far as it
/// was not taken away since: an edit leaves all but the text, and of what was deleted nothing is left.
fn is_same(there: &Message, message: &Message, given: &Given) -> bool {
    let of = |message: &Message| {
        let Message { conversation_id, sender, reply_to, client_message_id, .. } = message.clone();
        (conversation_id, sender.id, reply_to, client_message_id)
    };
    let beside_the_text = |message: &Message| {
        let Message { attachments, metadata, .. } = message.clone();
        (attachments, metadata)
    };
    of(there) == of(message)
        && given.created_at.is_none_or(|at| there.created_at == at)
        && (there.deleted_at.is_some()
            || beside_the_text(there) == beside_the_text(message)
                && (there.edited_at.is_some() || there.content == message.content))
}

/// A message that the caller may know of, with its conversation locked until the end of the unit.
async fn message_for_update(
    tx: &mut Tx<'_>,
    caller: &Identity,
    id: &Id,
) -> Result<(VisibleForUpdate, MessageRow)> {
    let none = || Error::new(Code::NotFound, "There is no such message.");
    caller.ensure_person()?;
    let message = store::message(tx, id).await?.ok_or_else(none)?;
    let conversation = visible_for_update(tx, caller, &message.document.conversation_id).await;
    let visible = conversation
        .map_err(|error| if error.code() == Code::NotFound { none() } else { error })?;
    // Only what is read while the conversation is locked stays true.
    let message = store::message(tx, id).await?.ok_or_else(none)?;
    Ok((visible, message))
}

/// A message of the conversation, which a field names.
async fn in_conversation(
    tx: &mut Tx<'_>,
    conversation: &Id,
    message: &Id,
    pointer: &'static str,
) -> Result<MessageRow> {
    let row = store::message(tx, message).await?;
    row.filter(|row| row.document.conversation_id == *conversation)
        .ok_or_else(|| Error::invalid(pointer, "is not a message of this conversation"))
}

/// The number of a message, named by its id or by a cursor.
async fn ordinal(
    tx: &mut Tx<'_>,
    conversation: &Id,
    pointer: &'static str,
    cursor: Option<String>,
) -> Result<Option<i64>> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    // Another backend's id may read as a cursor, too.
    if let Ok(id) = Id::new(&cursor)
        && let Some(row) = store::message(tx, &id).await?
        && row.document.conversation_id == *conversation
    {
        return Ok(Some(row.ordinal));
    }
    let invalid =
        || Error::invalid(pointer, "is neither a message of this conversation nor a cursor");
    read_cursor(&cursor).map(Some).ok_or_else(invalid)
}

async fn with_reactions(tx: &mut Tx<'_>, row: MessageRow) -> Result<Message> {
    let only = Between { after: row.ordinal - 1, before: row.ordinal + 1 };
    let id = &row.document.conversation_id;
    let read = store::history(tx, id, only, Order::NewestFirst, 1).await?.0.pop();
    Ok(read.unwrap_or(row).document)
}

fn ensure_there(message: &MessageRow) -> Result<()> {
    match message.document.deleted_at {
        None => Ok(()),
        Some(_) => Err(conflict("The message is deleted.")),
    }
}
