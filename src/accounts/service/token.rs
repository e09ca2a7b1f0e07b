//! What is asked about the token that a caller shows, whoever made it: who they are, and its end.

use super::{AccountService, apply, end_tokens, shown};
use crate::{
    accounts::{documents::AccountUser, store},
    auth::{CredentialKind, Identity, Role},
    db::Tx,
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
    /// [`Code::Conflict`] when the caller showed no token.
    pub(in crate::accounts) async fn log_out(
        &self,
        caller: &Identity,
        kind: CredentialKind,
    ) -> Result<()> {
        let shown = self.users.revocation_of_shown(caller);
        let shown = shown.filter(|_| kind == CredentialKind::Token).ok_or_else(|| {
            let sentence = "An API key is no sign-in; take it out of API_KEYS.";
            Error::new(Code::Conflict, sentence)
        })?;
        let (db, users, caller) = (self.db.clone(), self.users.clone(), caller.clone());
        self.db
            .run_to_completion(async move {
                let keeper = users.clone();
                let unit = async move |tx: &mut Tx<'_>| {
                    if let Some(session) = caller.session()
                        && let Some(family) =
                            store::end_family(tx, &caller.user_id, session).await?
                    {
                        return end_tokens(tx, &keeper, [family]).await;
                    }
                    keeper.keep(tx, &shown).await?;
                    Ok(vec![shown])
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
