//! Telling somebody all that is kept of them, as JSON Lines: read a few rows at a time, as fast as it is
//! taken. The first of it is read before it is answered that there is something; the last line says that
//! it is whole. What can't be read to its end, or is erased meanwhile, does not end as if it were.

use std::sync::Arc;

use axum::body::Body;
use futures_util::{
    Stream, StreamExt,
    stream::{self, try_unfold},
};
use serde::Serialize;

use super::Users;
use crate::{
    auth::Identity,
    clock::Timestamp,
    db::{Db, Tx},
    error::{Code, Error, Result},
    id::Id,
    personal::{Cursor, Lines, PersonalData},
    users::store::{erasures, shut_out},
};

/// Stands for when the tokens of a user were revoked of whom none were.
const NEVER_REVOKED: Timestamp = Timestamp::from_millis(0);

/// The last line.
#[derive(Serialize)]
struct EndLine {
    /// How many come before it.
    lines: u64,
}

/// A walk through what is kept of somebody.
struct Export {
    db: Db,
    parts: Arc<[Box<dyn PersonalData>]>,
    user: Id,
    /// How far it is: in this room's part, there. None when it is through.
    at: Option<(usize, Cursor)>,
    lines: u64,
    /// Before when their tokens were revoked when it began: an erasure revokes them.
    began: Option<Timestamp>,
}

impl Users {
    /// Everything that is kept of a user, for themselves and for operators.
    pub(in crate::users) async fn export(&self, caller: &Identity, user: Id) -> Result<Body> {
        if caller.user_id != user && !caller.operates() {
            return Err(Error::needs("the user themselves, or the role admin or service"));
        }
        let mut export = Export::new(self.db.clone(), self.personal.clone(), user);
        let first = export.next().await?;
        Ok(Body::from_stream(stream::iter(first.map(Ok)).chain(export.rest())))
    }
}

/// Everything that is kept of a user in this store, of which these are the rooms' parts: some lines at a
/// time.
pub fn everything_of(
    db: Db,
    parts: Vec<Box<dyn PersonalData>>,
    user: Id,
) -> impl Stream<Item = Result<Vec<u8>>> + Send {
    Export::new(db, parts.into(), user).rest()
}

impl Export {
    fn new(db: Db, parts: Arc<[Box<dyn PersonalData>]>, user: Id) -> Self {
        Self { db, parts, user, at: Some((0, Cursor::default())), lines: 0, began: None }
    }

    fn rest(self) -> impl Stream<Item = Result<Vec<u8>>> + Send {
        try_unfold(self, |mut export| async move {
            Ok::<_, Error>(export.next().await?.map(|lines| (lines, export)))
        })
    }

    /// The next lines; none after the last.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some((part, from)) = self.at.take() {
            let (parts, user, before) = (self.parts.clone(), self.user.clone(), self.lines);
            let unit = async move |tx: &mut Tx<'_>| {
                let is_asked = erasures::is_asked(tx, &user).await?;
                let revoked = shut_out::revoked_before(tx, &user).await?.unwrap_or(NEVER_REVOKED);
                let mut lines = Lines::default();
                let mut next = None;
                if let Some(room) = parts.get(part) {
                    next = Some(after(room.as_ref(), part, tx, &user, &from, &mut lines).await?);
                } else {
                    lines.add("end", &EndLine { lines: before })?;
                }
                Ok((is_asked, revoked, lines, next))
            };
            let (is_asked, revoked, lines, next) = self.db.read(unit).await?;
            if is_asked || *self.began.get_or_insert(revoked) != revoked {
                return Err(Error::new(Code::Conflict, "The user is being erased."));
            }
            self.at = next;
            if lines.count() > 0 {
                self.lines += lines.count();
                return Ok(Some(lines.into_bytes()));
            }
        }
        Ok(None)
    }
}

/// Some of what a room keeps, and how far the walk is then.
async fn after(
    room: &dyn PersonalData,
    part: usize,
    tx: &mut Tx<'_>,
    user: &Id,
    from: &Cursor,
    lines: &mut Lines,
) -> Result<(usize, Cursor)> {
    let next = room.export(tx, user, from, lines).await?;
    Ok(next.map_or((part + 1, Cursor::default()), |cursor| (part, cursor)))
}
