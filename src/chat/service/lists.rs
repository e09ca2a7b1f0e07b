//! What is read of conversations: lists, and who takes part.

use std::sync::Arc;

use super::{ChatService, complete, visible};
use crate::{
    auth::Identity,
    chat::{
        documents::Participant,
        requests::ConversationView,
        store::{self, Between, ConversationRow, Listed, Member, Order},
    },
    db::Tx,
    error::{Error, Result},
    id::Id,
    rest::list::{List, Page},
};

impl ChatService {
    /// The caller's conversations, newest activity first.
    pub(in crate::chat) async fn list(
        &self,
        caller: Arc<Identity>,
        page: Page,
    ) -> Result<List<ConversationView>> {
        let after: Option<(i64, Id)> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let (listed, fit) = store::list(tx, &caller.user_id, after, page.fetch()).await?;
            let key = |listed: &Listed| {
                let row = &listed.conversation;
                (row.last_activity_at.millis(), row.document.id.clone())
            };
            let view = |Listed { conversation, unread, last_message }| ConversationView {
                conversation: conversation.document,
                last_message,
                unread_count: unread,
            };
            Ok(List::of(listed, &page.at_most(fit), key, view))
        };
        self.db.read(unit).await
    }

    /// A conversation.
    pub(in crate::chat) async fn get(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<ConversationView> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::find(tx, &id).await?;
            let visible = visible(tx, &caller, row).await?;
            let unread_count = match &visible.member {
                Some(member) => unread(tx, &visible.row, member).await?,
                None => 0,
            };
            let whole = Between { after: 0, before: i64::MAX };
            let last = store::history(tx, &id, whole, Order::NewestFirst, 1).await?.0.pop();
            let conversation = complete(tx, visible.row.document).await?;
            let last_message = last.map(|message| message.document);
            Ok(ConversationView { conversation, last_message, unread_count })
        };
        self.db.read(unit).await
    }

    /// Who takes part in a conversation, the first to come first.
    pub(in crate::chat) async fn participants(
        &self,
        caller: Arc<Identity>,
        id: Id,
        page: Page,
    ) -> Result<List<Participant>> {
        let after: Option<i64> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::find(tx, &id).await?;
            visible(tx, &caller, row).await?;
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let rows = store::participants_after(tx, &id, after.unwrap_or(0), limit).await?;
            Ok(List::of(rows, &page, |(ordinal, _)| *ordinal, |(_, participant)| participant))
        };
        self.db.read(unit).await
    }
}

/// How many messages of others someone has not read: all after what they have read, but for their own
/// and for what is deleted.
pub(super) async fn unread(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    member: &Member,
) -> Result<u64> {
    let id = &conversation.document.id;
    let rest = Between { after: member.last_read, before: i64::MAX };
    let deleted = store::deleted_of_others(tx, id, &member.document.id, rest).await?;
    let own = member.sent - member.read_sent;
    count(conversation.messages - member.last_read - own - deleted)
}

/// A difference of numbers that are kept.
pub(super) fn count(messages: i64) -> Result<u64> {
    u64::try_from(messages).map_err(Error::internal)
}
