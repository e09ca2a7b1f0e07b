//! Revocations, blocks, and sockets that are closed for the time being.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{NEVER, Users};
use crate::{
    auth::{Identity, Older, Revoked, TokenError, TokenKey},
    clock::{Timestamp, millis},
    control::Control,
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    users::{
        documents::BlockView,
        requests::{BlockUser, DisconnectUser, Revoke},
        store::shut_out as kept,
    },
};

/// Tokens that are to be good no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revocation {
    revoked: Revoked,
    /// Whose they are, where that is known: others need not be looked through.
    user: Option<Id>,
    /// Until when one of them could be valid.
    #[serde(with = "millis")]
    until: Timestamp,
}

impl Revocation {
    /// Until when one of its tokens could be valid.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// What has become of users and their tokens, kept in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Tokens were revoked.
    Revoked(Revocation),
    /// A user was blocked, until then.
    Blocked(Id, #[serde(with = "millis")] Timestamp),
    /// A user's block was ended.
    Unblocked(Id),
    /// A user is being erased, which was asked for then.
    Leaving(Id, #[serde(with = "millis")] Timestamp),
    /// A user is erased as was asked then.
    Left(Id, #[serde(with = "millis")] Timestamp),
}

impl From<&Change> for Control {
    fn from(change: &Change) -> Self {
        let change = to_raw_value(change).unwrap_or_else(|error| {
            tracing::error!(%error, "who is shut out could not be written");
            RawValue::NULL.to_owned()
        });
        Self::ShutOut { change }
    }
}

impl Users {
    /// The token that somebody came with, and no other; none where they came without.
    #[must_use]
    pub fn revocation_of_shown(&self, shown: &Identity) -> Option<Revocation> {
        let until = self.remembered(shown.expires_at);
        let revoked = Revoked::Token(shown.token_key()?);
        Some(Revocation { revoked, user: Some(shown.user_id.clone()), until })
    }

    /// A token by its id, with when it ends, where that is known: a user's, or whosever it is.
    fn revocation_of_id(
        &self,
        jti: &str,
        user: Option<Id>,
        expires_at: Option<Timestamp>,
    ) -> Revocation {
        let key = user.as_ref().map(|user| TokenKey::of_users(user, jti));
        let revoked = Revoked::Token(key.unwrap_or_else(|| TokenKey::of(jti)));
        Revocation { revoked, user, until: self.remembered(expires_at) }
    }

    /// Until when a token that ends then could be valid.
    fn remembered(&self, expires_at: Option<Timestamp>) -> Timestamp {
        let until = expires_at.map(|at| at + self.leeway);
        until.unwrap_or_else(|| self.clock.now() + self.config.revocation_life)
    }

    /// All tokens of one sign-in of a user (`sid`), the last of which ends then.
    #[must_use]
    pub fn revocation_of_session(
        &self,
        session: &str,
        user: Id,
        expires_at: Timestamp,
    ) -> Revocation {
        let revoked = Revoked::Token(TokenKey::of_session(session));
        Revocation { revoked, user: Some(user), until: expires_at + self.leeway }
    }

    /// A user's tokens that were there by a moment, and those that do not say when they were issued.
    /// Another maker's may say that they were issued up to the leeway later, for its clock may be ahead;
    /// this server's own tell the millisecond.
    #[must_use]
    pub fn revocation_of_user(&self, user: Id, moment: Timestamp) -> Revocation {
        let until = moment + self.leeway + self.config.revocation_life;
        let revoked = Revoked::User(user.clone(), Older::than(moment));
        Revocation { revoked, user: Some(user), until }
    }

    /// A user's tokens, or everyone's, that say that they were issued before a moment, and those that do
    /// not say when they were.
    fn revocation_of_said(&self, user: Option<Id>, issued_before: Timestamp) -> Revocation {
        let until = issued_before + self.config.revocation_life;
        let older = Older::said(issued_before);
        let revoked = match user.clone() {
            Some(user) => Revoked::User(user, older),
            None => Revoked::Everyone(older),
        };
        Revocation { revoked, user, until }
    }

    /// Keeps a revocation in a unit of work. It holds once that is committed and
    /// [`Users::apply`] has been told.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when as many are kept as may be; the store's.
    pub async fn keep(&self, tx: &mut Tx<'_>, revocation: &Revocation) -> Result<()> {
        self.ensure_room()?;
        tx.instruct((&Change::Revoked(revocation.clone())).into());
        kept::revoke(tx, &revocation.revoked, revocation.until).await
    }

    /// Revokes tokens: who comes with one is refused, the sockets that came with one are closed. Done
    /// to its end even when the caller has hung up.
    ///
    /// # Errors
    /// Those of [`Users::keep`].
    pub async fn revoke(&self, revocation: Revocation) -> Result<()> {
        let users = self.clone();
        self.db
            .run_to_completion(async move {
                let (this, kept) = (users.clone(), revocation.clone());
                let unit = async move |tx: &mut Tx<'_>| this.keep(tx, &kept).await;
                users.db.write(unit).await?;
                users.apply(Change::Revoked(revocation)).await;
                Ok(())
            })
            .await
    }

    /// Makes sure that somebody is not shut out.
    ///
    /// # Errors
    /// [`Code::Forbidden`] where they are blocked, [`Code::Unauthorized`] where what they show is
    /// revoked.
    pub fn ensure_let_in(&self, identity: &Identity) -> Result<()> {
        Ok(self.revocations.check(identity)?)
    }

    /// Makes sure that a user is not blocked.
    ///
    /// # Errors
    /// [`Code::Forbidden`] where they are.
    pub fn ensure_not_blocked(&self, user: &Id) -> Result<()> {
        if self.revocations.is_blocked(user) { Err(TokenError::Blocked.into()) } else { Ok(()) }
    }

    /// Closes a user's sockets that are of another sign-in than this, or of none, on this node. Who is
    /// not shut out may come back.
    pub async fn disconnect_others(&self, user: &Id, session: Option<&str>) {
        self.realtime.disconnect_others(user, session).await;
    }

    /// Does on this node what was committed, here or on another: from now on whoever is shut out is
    /// refused, and their sockets are closed.
    pub async fn apply(&self, change: Change) {
        let user = match change {
            Change::Revoked(Revocation { revoked, user, until }) => {
                self.revocations.revoke(revoked, until);
                user
            }
            Change::Blocked(user, until) => {
                self.revocations.block(user.clone(), until);
                Some(user)
            }
            Change::Unblocked(user) => return self.revocations.unblock(&user),
            Change::Leaving(user, asked_at) => {
                return self.revocations.begin_leaving(user, asked_at);
            }
            Change::Left(user, asked_at) => return self.revocations.end_leaving(&user, asked_at),
        };
        // What is refused from now on, first; then whoever came in before.
        self.realtime.close_revoked(user.as_ref()).await;
    }

    /// Does on this node what another has committed.
    pub async fn apply_others(&self, change: &RawValue) {
        match serde_json::from_str(change.get()) {
            Ok(change) => self.apply(change).await,
            Err(error) => {
                tracing::warn!(%error, "another process shuts somebody out as is not known here");
            }
        }
    }

    /// Revokes what an operator names.
    pub(in crate::users) async fn revoke_named(&self, by: &Identity, named: Revoke) -> Result<()> {
        let Revoke { user_id, issued_before, jti, expires_at } = named;
        let now = self.clock.now();
        if issued_before.is_some_and(|before| before > now + self.leeway) {
            return Err(Error::invalid("/issuedBefore", "lies in the future"));
        }
        if expires_at.is_some() && jti.is_none() {
            return Err(Error::invalid("/expiresAt", "goes with jti alone"));
        }
        let revocation = match (user_id, issued_before, jti) {
            (user, None, Some(jti)) => self.revocation_of_id(&jti, user, expires_at),
            (Some(user), None, None) => self.revocation_of_user(user, now),
            (user, Some(before), None) => self.revocation_of_said(user, before),
            _ => {
                let rule = "takes userId, or jti with or without userId, or issuedBefore alone";
                return Err(Error::invalid("", rule));
            }
        };
        let of = revocation.user.as_ref().map(Id::as_str);
        tracing::info!(by = %by.user_id, of, "tokens are revoked");
        self.revoke(revocation).await
    }

    /// Shuts a user out.
    pub(in crate::users) async fn block(
        &self,
        by: &Identity,
        user: Id,
        asked: BlockUser,
    ) -> Result<()> {
        let BlockUser { until, reason } = asked;
        if until.is_some_and(|until| until <= self.clock.now()) {
            return Err(Error::invalid("/until", "lies in the past"));
        }
        self.ensure_room()?;
        tracing::info!(by = %by.user_id, %user, "a user is blocked");
        let (users, blocked_by) = (self.clone(), by.user_id.clone());
        self.db
            .run_to_completion(async move {
                let _guard = users.blocking.lock().await;
                let change = Change::Blocked(user.clone(), until.unwrap_or(NEVER));
                let others = (&change).into();
                let unit = async move |tx: &mut Tx<'_>| {
                    let block = BlockView { since: tx.now(), until, reason, blocked_by };
                    tx.instruct(others);
                    kept::block(tx, &user, &block).await
                };
                users.db.write(unit).await?;
                users.apply(change).await;
                Ok(())
            })
            .await
    }

    /// Lets a user in again. Tokens that were revoked stay so.
    pub(in crate::users) async fn unblock(&self, by: &Identity, user: Id) -> Result<()> {
        tracing::info!(by = %by.user_id, %user, "a user's block is ended");
        let users = self.clone();
        self.db
            .run_to_completion(async move {
                let _guard = users.blocking.lock().await;
                let change = Change::Unblocked(user.clone());
                let others = (&change).into();
                let unit = async move |tx: &mut Tx<'_>| {
                    tx.instruct(others);
                    kept::unblock(tx, &user).await
                };
                users.db.write(unit).await?;
                users.apply(change).await;
                Ok(())
            })
            .await
    }

    /// Closes a user's sockets, who may come back; how many there were on this node.
    pub(in crate::users) async fn disconnect(
        &self,
        by: &Identity,
        user: &Id,
        asked: DisconnectUser,
    ) -> Result<usize> {
        let (theirs, except_session) = (user.clone(), None);
        let others = Control::Disconnect { user: theirs, except_session };
        self.db.instruct(others).await?;
        let disconnected = self.realtime.disconnect(user).await;
        let reason = asked.reason.as_deref();
        tracing::info!(by = %by.user_id, %user, reason, disconnected, "a user was disconnected");
        Ok(disconnected)
    }

    fn ensure_room(&self) -> Result<()> {
        if self.revocations.len() < self.config.max_revocations {
            return Ok(());
        }
        let sentence = "As many revocations and blocks are kept as may be (users.max_revocations).";
        Err(Error::new(Code::Unavailable, sentence))
    }
}
