//! What is asked about the token that a caller shows, whoever made it: who they are, and its end.

use super::{AccountService, apply, end_tokens, shown};
use crate::{
    accounts::{documents::AccountUser, store},
    auth::{CredentialKind, Identity, Role},
    db::{Tx, to_the_end},
    error::{Code, Error, Result},
};

impl AccountService {
    /// Who a caller is: by their account, else by their token.
    pub(in crate::accounts) async fn me(&self, caller: &Identity) -> Result<AccountUser> {
        let (user, points) = (caller.user_id.clone(), self.points.clone());
        let read = async move |tx: &mut Tx<'_>| {
            let code = points.known_referral_code(tx, &user).await?;
            Ok((store::by_user(tx, &user).await?, code))
        };
        let (account, code) = self.db.read(read).await?;
        // A backend brings nobody.
        let code = match code {
            None if !caller.has(Role::Service) => {
                let (user, points) = (caller.user_id.clone(), self.points.clone());
                let make = async move |tx: &mut Tx<'_>| points.referral_code(tx, &user).await;
                Some(self.db.write(make).await?)
            }
            known => known,
        };
        Ok(match account {
            Some(account) => shown(account, code),
            None => of_token(caller, code),
        })
    }

    /// Ends a caller's token, and the sign-in that it belongs to.
    ///
    /// # Errors
    /// [`Code::Conflict`] when the caller showed no token, or one that can't be ended alone.
    pub(in crate::accounts) async fn log_out(
        &self,
        caller: &Identity,
        kind: CredentialKind,
    ) -> Result<()> {
        if kind != CredentialKind::Token {
            let sentence = "An API key is no sign-in; take it out of API_KEYS.";
            return Err(Error::new(Code::Conflict, sentence));
        }
        let (db, users, caller) = (self.db.clone(), self.users.clone(), caller.clone());
        to_the_end(async move {
            let keeper = users.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                if let Some(session) = caller.session()
                    && let Some(family) = store::end_family(tx, &caller.user_id, session).await?
                {
                    return end_tokens(tx, &keeper, [family]).await;
                }
                let jti = caller.jti.as_deref().ok_or_else(no_id)?;
                let (user, ends) = (caller.user_id.clone(), caller.expires_at);
                let revocation = keeper.revocation_of_token(jti, Some(user), ends);
                keeper.keep(tx, &revocation).await?;
                Ok(vec![revocation])
            };
            apply(&users, db.write(unit).await?).await;
            Ok(())
        })
        .await
    }
}

fn of_token(caller: &Identity, referral_code: Option<String>) -> AccountUser {
    AccountUser {
        id: caller.user_id.clone(),
        underscore_id: caller.user_id.clone(),
        email: caller.email().map(str::to_owned),
        first_name: caller.first_name().map(str::to_owned),
        last_name: caller.last_name().map(str::to_owned),
        roles: caller.roles,
        referral_code,
    }
}

fn no_id() -> Error {
    let sentence = "This token has no id (jti), so it can't be ended alone; a backend can end all \
                    tokens of its user (POST /api/auth/revocations).";
    Error::new(Code::Conflict, sentence).with_reason("token_without_id")
}
