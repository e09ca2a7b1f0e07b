//! A new password: by the old one, or by a token that a backend sends to the account's owner.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::{Accounts, apply, end_tokens};
use crate::{
    accounts::{
        documents::PasswordReset,
        email::EmailAddress,
        passwords::Verdict,
        store::{self, Family},
        tokens::ResetToken,
    },
    auth::Identity,
    control::Control,
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    limits::CallerClass,
};

impl Accounts {
    /// Gives a caller a new password for the old one. What they signed in with before ends, but for
    /// the sign-in of the token that they call with.
    ///
    /// # Errors
    /// [`Code::Conflict`] for who has no account here, or changes it twice at once,
    /// [`Code::InvalidPayload`] when the old one is wrong, [`Code::RateLimited`],
    /// [`Code::Unavailable`].
    pub(in crate::accounts) async fn change_password(
        &self,
        caller: &Identity,
        old: SecretString,
        new: SecretString,
        address: IpAddr,
    ) -> Result<()> {
        let user = caller.user_id.clone();
        let account = self.db.read(async move |tx| store::by_user(tx, &user).await).await?;
        let account = account.ok_or_else(no_account)?;
        self.admit_password(&account.email, address)?;
        let before = account.password_number;
        let verdict = self.passwords.check(old, Some(account.password_hash)).await?;
        if verdict == Verdict::Wrong {
            let wrong = Error::invalid("/oldPassword", "is not your password");
            return Err(wrong.with_reason("password_wrong"));
        }
        let hash = self.passwords.hash(new).await?;
        let (user, session) = (account.user_id, caller.session().map(str::to_owned));
        let (db, users) = (self.db.clone(), self.users.clone());
        self.db
            .run_to_completion(async move {
                let (keeper, whose, kept) = (users.clone(), user.clone(), session.clone());
                let unit = async move |tx: &mut Tx<'_>| {
                    let now =
                        store::by_user_for_update(tx, &whose).await?.ok_or_else(no_account)?;
                    if now.password_number != before {
                        return Err(changed());
                    }
                    let ended = set_password(tx, &whose, &hash, kept.as_deref()).await?;
                    let ended = end_tokens(tx, &keeper, ended).await?;
                    tx.instruct(Control::Disconnect { user: whose, except_session: kept });
                    Ok(ended)
                };
                apply(&users, db.write(unit).await?).await;
                // Those of tokens that came by no password: of older ones, but these still hold.
                users.disconnect_others(&user, session.as_deref()).await;
                Ok(())
            })
            .await
    }

    /// Gives the owner of a reset token a new password. Everything that they signed in with before
    /// ends.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`] when the token does not serve, [`Code::Unavailable`].
    pub(in crate::accounts) async fn reset_password(
        &self,
        token: SecretString,
        new: SecretString,
    ) -> Result<()> {
        let token = ResetToken::read(token.expose_secret()).ok_or_else(no_reset)?;
        let token = token.hash();
        let asked = token.clone();
        let user = self.db.read(async move |tx| store::of_reset(tx, &asked).await).await?;
        let user = user.ok_or_else(no_reset)?;
        let hash = self.passwords.hash(new).await?;
        let (db, users) = (self.db.clone(), self.users.clone());
        self.db
            .run_to_completion(async move {
                let keeper = users.clone();
                let unit = async move |tx: &mut Tx<'_>| {
                    store::by_user_for_update(tx, &user).await?.ok_or_else(no_reset)?;
                    // Of two that use it at once the second finds it gone.
                    if store::of_reset(tx, &token).await?.is_none() {
                        return Err(no_reset());
                    }
                    let ended = set_password(tx, &user, &hash, None).await?;
                    let mut revoked = end_tokens(tx, &keeper, ended).await?;
                    let older = keeper.revocation_of_user(user, tx.now());
                    keeper.keep(tx, &older).await?;
                    revoked.push(older);
                    Ok(revoked)
                };
                apply(&users, db.write(unit).await?).await;
                Ok(())
            })
            .await
    }

    /// A token that sets the password of an address's account. One is given for an address that
    /// nobody has, too: after the same work, and of no use.
    ///
    /// # Errors
    /// [`Code::RateLimited`] when it is asked for again and again.
    pub(in crate::accounts) async fn ask_reset(
        &self,
        email: EmailAddress,
    ) -> Result<PasswordReset> {
        self.take(CallerClass::PasswordReset, &email.as_str())?;
        let (token, ttl) = (ResetToken::new(), self.config.reset_ttl);
        let hash = token.hash();
        let expires_at = self
            .db
            .write(async move |tx| {
                let expires_at = tx.now() + ttl;
                let account = store::by_email(tx, &email).await?;
                let user = account.as_ref().map(|account| &account.user_id);
                store::insert_reset(tx, hash, user, expires_at).await?;
                Ok(expires_at)
            })
            .await?;
        Ok(PasswordReset { reset_token: token.to_text(), expires_at })
    }
}

/// Sets a new password, and ends what was begun with the one before, but for one family.
async fn set_password(
    tx: &mut Tx<'_>,
    user: &Id,
    hash: &str,
    kept: Option<&str>,
) -> Result<Vec<Family>> {
    store::set_password(tx, user, hash).await?;
    store::end_resets(tx, user).await?;
    store::end_others(tx, user, kept).await
}

fn no_account() -> Error {
    let sentence = "You have no account on this server: another app gave you your token.";
    Error::new(Code::Conflict, sentence).with_reason("no_account")
}

fn changed() -> Error {
    Error::new(Code::Conflict, "The password was changed meanwhile.")
}

fn no_reset() -> Error {
    Error::invalid("/resetToken", "does not serve, or not any more; ask for another")
        .with_reason("reset_token_invalid")
}
