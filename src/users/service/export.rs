//! Telling somebody all that is kept of them, as JSON Lines: read a few rows at a time, as fast as it is
//! taken.

use axum::body::Body;
use futures_util::stream::try_unfold;

use super::Users;
use crate::{
    auth::Identity,
    db::Tx,
    error::{Error, Result},
    id::Id,
    personal::{Lines, Place},
};

impl Users {
    /// Everything that is kept of a user, for themselves and for operators.
    pub(in crate::users) fn export(&self, caller: &Identity, user: Id) -> Result<Body> {
        if caller.user_id != user && !caller.operates() {
            return Err(Error::needs("the user themselves, or the role admin or service"));
        }
        let begin = Some((self.clone(), user, 0_usize, Place::default()));
        let lines = try_unfold(begin, |mut at| async move {
            while let Some((users, user, part, from)) = at.take() {
                if part == users.personal.len() {
                    break;
                }
                let (parts, whose) = (users.personal.clone(), user.clone());
                let unit = async move |tx: &mut Tx<'_>| {
                    let mut lines = Lines::default();
                    let next = parts[part].export(tx, &whose, &from, &mut lines).await?;
                    Ok((lines.into_bytes(), next))
                };
                let (bytes, next) = users.db.read(unit).await?;
                at = Some(match next {
                    Some(next) => (users, user, part, next),
                    None => (users, user, part + 1, Place::default()),
                });
                if !bytes.is_empty() {
                    return Ok(Some((bytes, at)));
                }
            }
            Ok::<_, Error>(None)
        });
        Ok(Body::from_stream(lines))
    }
}
