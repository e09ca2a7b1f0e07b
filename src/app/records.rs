//! Who belongs in which room, and who has to do with whom, by what is stored: the business rooms know,
//! the policy and presence ask.

use std::collections::HashSet;

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::{
    access::{Entrant, Membership, Records},
    auth::Identity,
    chat,
    db::{Db, Tx},
    error::Result,
    id::Id,
    marketplace,
    presence::{Contacts, Search},
    proxy::Backend,
    room::Room,
};

/// The rooms that keep something of who belongs where, and the backend that may keep the rest.
pub(super) struct StoredRecords {
    pub(super) db: Db,
    pub(super) backend: Option<Backend>,
}

impl Records for StoredRecords {
    fn memberships<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        entrants: &'a [Entrant],
    ) -> LocalBoxFuture<'a, Result<Vec<Membership>>> {
        Box::pin(async move {
            let conversation = |Entrant { identity, room }: &'a Entrant| match room {
                Room::Conversation(id) | Room::Chat(id) => Some((id, &identity.user_id)),
                _ => None,
            };
            let conversations: Vec<_> = entrants.iter().filter_map(conversation).collect();
            let mut of_conversations = chat::memberships(tx, &conversations).await?.into_iter();
            let mut all = Vec::with_capacity(entrants.len());
            for Entrant { identity, room } in entrants {
                all.push(match room {
                    Room::Conversation(_) | Room::Chat(_) => {
                        of_conversations.next().unwrap_or(Membership::Unknown)
                    }
                    Room::Request(_) | Room::Checkout(_) => {
                        marketplace::membership(tx, identity, room).await?
                    }
                    _ => Membership::Unknown,
                });
            }
            Ok(all)
        })
    }

    fn elsewhere<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<Membership>> {
        Box::pin(async move {
            match &self.backend {
                Some(backend) => backend.membership(identity, room).await,
                None => Ok(Membership::Unknown),
            }
        })
    }

    fn taken_back(&self, user: &Id, room: &Room) {
        if let Some(backend) = &self.backend {
            backend.forget(user, room);
        }
    }

    fn heard_after<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move {
            match room {
                Room::Conversation(id) | Room::Chat(id) => {
                    chat::heard_after(&self.db, &identity.user_id, id).await
                }
                _ => Ok(0),
            }
        })
    }
}

impl Contacts for StoredRecords {
    fn find<'a>(&'a self, search: &'a mut Search<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            chat::find_contacts(&self.db, search).await?;
            marketplace::find_contacts(&self.db, search).await
        })
    }

    fn among<'a>(&'a self, user: &'a Id, others: &'a [Id]) -> BoxFuture<'a, Result<HashSet<Id>>> {
        Box::pin(async move {
            let mut contacts = chat::contacts_among(&self.db, user, others).await?;
            contacts.extend(marketplace::contacts_among(&self.db, user, others).await?);
            Ok(contacts)
        })
    }
}
