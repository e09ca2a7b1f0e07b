//! Who belongs in which room by what is stored: the business rooms know, the policy asks.

use futures_util::future::BoxFuture;

use crate::{
    access::{Records, Standing},
    auth::Identity,
    chat,
    db::Db,
    error::Result,
    marketplace,
    room::Room,
};

/// The rooms that keep something of who belongs where.
pub(super) struct StoredRecords(pub(super) Db);

impl Records for StoredRecords {
    fn standing<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<Standing>> {
        Box::pin(async move {
            match room {
                Room::Conversation(id) | Room::Chat(id) => {
                    chat::standing(&self.0, &identity.user_id, id).await
                }
                Room::Request(_) | Room::Checkout(_) => {
                    marketplace::standing(&self.0, identity, room).await
                }
                _ => Ok(Standing::Unknown),
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
