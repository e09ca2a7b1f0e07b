//! Register, log in, refresh.

use std::net::IpAddr;

use secrecy::ExposeSecret;

use super::{Accounts, Begun, apply, end_tokens};
use crate::{
    accounts::{
        documents::SignedIn,
        passwords::Verdict,
        requests::{Login, Refresh, Register},
        store::{self, Account, Family},
        tokens::RefreshToken,
    },
    auth::{Identity, Role, Roles},
    db::Tx,
    error::{Code, Error, Result},
    id::{Id, Ids},
    metrics,
    text::PersonName,
    users::{Introduction, introduce},
};

/// What became of a refresh token that was shown.
#[derive(Clone)]
enum Refreshed {
    /// It served, and there is another.
    Next(Box<Begun>),
    /// It had served before, so its family has ended.
    Reused(Id),
    /// It is none, or too old.
    Unknown,
}

impl Accounts {
    /// Makes an account and signs its owner in. That an address is taken is told: who registers
    /// again by mistake has to know.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`] for a role that nobody gives themselves, [`Code::Conflict`] for an
    /// address that somebody has, [`Code::Unavailable`] when many register.
    pub(in crate::accounts) async fn register(&self, register: Register) -> Result<SignedIn> {
        let roles = self.roles(register.role.as_deref())?;
        let email = register.email.clone();
        // Before the password is hashed, which costs more.
        if self.db.read(async move |tx| store::by_email(tx, &email).await).await?.is_some() {
            return Err(taken());
        }
        let account = Account {
            user_id: Ids.next().into(),
            email: register.email.as_str().to_owned(),
            password_hash: self.passwords.hash(register.password).await?,
            first_name: register.first_name.into(),
            last_name: register.last_name.into(),
            roles,
            password_number: 1,
        };
        let refresh = RefreshToken::first();
        let family = self.beginning(&refresh);
        let (points, code) = (self.points.clone(), register.referral_code);
        let begun = self
            .db
            .write(async move |tx| {
                if !store::insert(tx, &account, tx.now()).await? {
                    return Err(taken());
                }
                if let Some(code) = code {
                    let name = format!("{} {}", account.first_name, account.last_name);
                    let name = PersonName::from_lossy(&name);
                    let name = name.ok_or_else(|| Error::internal("a name of nothing"))?;
                    points.sign_up(tx, &code, account.user_id.clone(), name).await?;
                }
                let who = Introduction {
                    first_name: account.first_name.clone(),
                    last_name: account.last_name.clone(),
                    email: account.email.clone(),
                    roles: account.roles,
                };
                introduce(tx, &account.user_id, who).await?;
                family.begin(tx, account).await
            })
            .await?;
        self.signed_in(begun, &refresh)
    }

    /// Makes sure that a role is one that people give themselves.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`].
    pub(in crate::accounts) fn check_role(&self, register: &Register) -> Result<()> {
        self.roles(register.role.as_deref()).map(drop)
    }

    /// The roles of who gives themselves one, or none.
    fn roles(&self, role: Option<&str>) -> Result<Roles> {
        let Some(name) = role else { return Ok(self.default_roles) };
        let role = Role::from_name(&name.to_ascii_lowercase())
            .filter(|role| self.self_roles.contains(*role));
        role.map(Roles::of).ok_or_else(|| {
            let names: Vec<_> = self.self_roles.iter().map(Role::as_str).collect();
            Error::invalid("/role", format!("is one of {}", names.join(", ")))
        })
    }

    /// Signs somebody in. A wrong password and an address that nobody has are the same answer, after
    /// the same work.
    ///
    /// # Errors
    /// [`Code::Unauthorized`], [`Code::Forbidden`] for who is blocked, [`Code::RateLimited`],
    /// [`Code::Unavailable`] when many sign in.
    pub(in crate::accounts) async fn login(
        &self,
        login: Login,
        address: IpAddr,
    ) -> Result<SignedIn> {
        let Login { email, password } = login;
        self.admit_password(email.as_str(), address)?;
        let found = self.db.read(async move |tx| store::by_email(tx, &email).await).await?;
        let hash = found.as_ref().map(|account| account.password_hash.clone());
        let verdict = self.passwords.check(password.clone(), hash).await?;
        let account = found.filter(|_| verdict != Verdict::Wrong);
        let outcome = if account.is_some() { "right" } else { "wrong" };
        metrics::logins(outcome).increment(1);
        let account = account.ok_or_else(wrong)?;
        // Told to nobody but who knows the password.
        self.users.ensure_not_blocked(&account.user_id)?;
        let newer = match verdict {
            Verdict::RightButOutdated => Some(self.passwords.hash(password).await?),
            _ => None,
        };
        let refresh = RefreshToken::first();
        let family = self.beginning(&refresh);
        let (db, users) = (self.db.clone(), self.users.clone());
        let unit = async move |tx: &mut Tx<'_>| {
            // The password may have been changed since, and with it every sign-in ended.
            let now = store::by_user_for_update(tx, &account.user_id).await?;
            let now = now.filter(|now| now.password_number == account.password_number);
            let account = now.ok_or_else(wrong)?;
            if let Some(hash) = newer {
                store::set_hash(tx, &account.user_id, &hash).await?;
            }
            family.begin(tx, account).await
        };
        let begun = self
            .db
            .run_to_completion(async move {
                let mut begun = db.write(unit).await?;
                apply(&users, std::mem::take(&mut begun.ended)).await;
                Ok(begun)
            })
            .await?;
        self.signed_in(begun, &refresh)
    }

    /// Gives the next tokens for a refresh token. One that has served before ends its family: somebody
    /// else has it, and nobody can tell who.
    ///
    /// # Errors
    /// [`Code::Unauthorized`], [`Code::Forbidden`] for who is blocked.
    pub(in crate::accounts) async fn refresh(&self, refresh: Refresh) -> Result<SignedIn> {
        let shown = RefreshToken::read(refresh.refresh_token.expose_secret()).ok_or_else(ended)?;
        let key = shown.key_hash();
        // Guesses write nothing.
        let known = self.db.read(async move |tx| store::family(tx, key).await).await?;
        let Family { id, user_id, created_at, .. } = known.ok_or_else(ended)?;
        let family = Identity::believed(user_id, created_at).in_session(id.as_str());
        self.users.ensure_let_in(&family)?;
        let next = shown.next();
        match self.db.run_to_completion(self.rotate(&shown, &next)).await? {
            Refreshed::Next(begun) => self.signed_in(*begun, &next),
            Refreshed::Reused(user) => {
                metrics::refresh_reuses().increment(1);
                tracing::warn!(%user, "a refresh token was used again; its sign-in has ended");
                Err(reused())
            }
            Refreshed::Unknown => Err(ended()),
        }
    }

    /// Gives a family its next token, or ends it when the one that was shown is not its last.
    fn rotate(
        &self,
        shown: &RefreshToken,
        next: &RefreshToken,
    ) -> impl Future<Output = Result<Refreshed>> + Send + use<> {
        let (key, secret, then) = (shown.key_hash(), shown.secret_hash(), next.secret_hash());
        let (ttl, access_ttl) = (self.config.refresh_ttl, self.config.access_ttl);
        let (db, points, users) = (self.db.clone(), self.points.clone(), self.users.clone());
        async move {
            let keeper = users.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                let at = tx.now();
                let (ends, access_ends) = (at + ttl, at + access_ttl);
                if let Some(family) =
                    store::rotate(tx, key.clone(), secret, then, ends, access_ends).await?
                {
                    let account = store::by_user(tx, &family.user_id).await?.ok_or_else(ended)?;
                    let referral_code = points.referral_code(tx, &account.user_id).await?;
                    let begun = Begun { account, referral_code, family, at, ended: Vec::new() };
                    return Ok((Refreshed::Next(begun.into()), Vec::new()));
                }
                Ok(match store::end_by_key(tx, key).await? {
                    Some(family) if family.expires_at > at => {
                        let user = family.user_id.clone();
                        (Refreshed::Reused(user), end_tokens(tx, &keeper, [family]).await?)
                    }
                    _ => (Refreshed::Unknown, Vec::new()),
                })
            };
            let (refreshed, revoked) = db.write(unit).await?;
            apply(&users, revoked).await;
            Ok(refreshed)
        }
    }
}

fn taken() -> Error {
    Error::new(Code::Conflict, "Somebody has registered with this address; log in instead.")
        .with_reason("email_taken")
}

/// One answer, whether there is such an account or not.
fn wrong() -> Error {
    Error::new(Code::Unauthorized, "The address or the password is not right.")
        .with_reason("credentials_invalid")
}

fn ended() -> Error {
    Error::new(Code::Unauthorized, "This refresh token does not serve any more; log in again.")
        .with_reason("refresh_token_invalid")
}

fn reused() -> Error {
    let sentence = "This refresh token had served before, so its sign-in has ended; log in again.";
    Error::new(Code::Unauthorized, sentence).with_reason("refresh_token_reused")
}
