//! What is noted of people's connections, for as long as events are kept: it goes when they are erased.

use futures_util::FutureExt;

use super::store::past;
use crate::{
    db::Tx,
    id::Id,
    personal::{Cursor, Lines, PersonalData, ROWS, Step},
};

/// This floor's part.
pub struct Personal;

impl PersonalData for Personal {
    /// What a connection is has no content of theirs.
    fn export<'a>(
        &'a self,
        _: &'a mut Tx<'_>,
        _: &'a Id,
        _: &'a Cursor,
        _: &'a mut Lines,
    ) -> Step<'a> {
        async { Ok(None) }.boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Cursor) -> Step<'a> {
        async move {
            match from.table {
                0 => Ok(from.without(past::erase(tx, user, ROWS).await?)),
                _ => Ok(None),
            }
        }
        .boxed_local()
    }
}
