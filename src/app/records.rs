//! Who belongs in which room, and who has to do with whom, by what is stored: the business rooms know,
//! the policy and presence ask.

use std::collections::HashSet;

use futures_util::future::BoxFuture;

use crate::{
    access::{Membership, Records},
    auth::Identity,
    chat,
    db::Db,
    error::Result,
    id::Id,
    marketplace,
    presence::{Contacts, Search},
    room::Room,
};

/// The rooms that keep something of who belongs where.
pub(super) struct StoredRecords(pub(super) Db);

impl Records for StoredRecords {
    fn membership<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<Membership>> {
        Box::pin(async move {
            match room {
                Room::Conversation(id) | Room::Chat(id) => {
                    chat::membership(&self.0, &identity.user_id, id).await
                }
                Room::Request(_) | Room::Checkout(_) => {
                    marketplace::membership(&self.0, identity, room).await
                }
                _ => Ok(Membership::Unknown),
            }
        })
    }

    fn heard_after<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move {
            match room {
                Room::Conversation(id) | Room::Chat(id) => {
                    chat::heard_after(&self.0, &identity.user_id, id).await
                }
                _ => Ok(0),
            }
        })
    }
}

impl Contacts for StoredRecords {
    fn find<'a>(&'a self, search: &'a mut Search<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            chat::find_contacts(&self.0, search).await?;
            marketplace::find_contacts(&self.0, search).await
        })
    }

    fn among<'a>(&'a self, user: &'a Id, others: &'a [Id]) -> BoxFuture<'a, Result<HashSet<Id>>> {
        Box::pin(async move {
            let mut contacts = chat::contacts_among(&self.0, user, others).await?;
            contacts.extend(marketplace::contacts_among(&self.0, user, others).await?);
            Ok(contacts)
        })
    }
}
