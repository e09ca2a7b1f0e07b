//! The rules of accounts: who may try how often, and what a user is given.

mod passwords;
mod sign_in;
mod token;

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{
    documents::{AccountUser, SignedIn},
    passwords::Passwords,
    store::{self, Account, Family},
    tokens::RefreshToken,
};
use crate::{
    auth::{Minter, NewToken, Role, Roles},
    clock::Timestamp,
    config::{AccountsConfig, Config},
    db::{Db, Tx},
    error::{Code, Error, Result},
    id::{Id, Ids},
    limits::{CallerClass, CallerRates, network},
    metrics,
    points::PointsService,
    users::{Change, Revocation, Users},
};

/// How often what has ended is removed.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Accounts. Cheap to clone.
#[derive(Clone)]
pub struct AccountService {
    db: Db,
    points: PointsService,
    users: Users,
    /// None where accounts are off.
    on: Option<Arc<Accounts>>,
}

/// Accounts where they are on.
pub(super) struct Accounts {
    db: Db,
    points: PointsService,
    users: Users,
    minter: Minter,
    passwords: Passwords,
    rates: CallerRates,
    self_roles: Roles,
    default_roles: Roles,
    config: AccountsConfig,
}

/// A user who has signed in, as the store has it.
#[derive(Clone)]
struct Begun {
    account: Account,
    referral_code: String,
    family: Family,
    at: Timestamp,
    /// What ended by it: one may be signed in so often.
    ended: Vec<Revocation>,
}

/// A family before its account is made sure of.
struct Beginning {
    id: Id,
    key_hash: Vec<u8>,
    secret_hash: Vec<u8>,
    ttl: Duration,
    access_ttl: Duration,
    most: u32,
    points: PointsService,
    users: Users,
}

impl Beginning {
    /// Begins it in the unit that makes sure of the account.
    async fn begin(self, tx: &mut Tx<'_>, account: Account) -> Result<Begun> {
        let Self { id, key_hash, secret_hash, ttl, access_ttl, most, points, users } = self;
        let at = tx.now();
        let family = Family {
            id,
            user_id: account.user_id.clone(),
            created_at: at,
            used_at: at,
            expires_at: at + ttl,
            access_ends_at: at + access_ttl,
        };
        let ended = store::begin_family(tx, &family, key_hash, secret_hash, most).await?;
        let ended = end_tokens(tx, &users, ended).await?;
        let referral_code = points.referral_code(tx, &account.user_id).await?;
        Ok(Begun { account, referral_code, family, at, ended })
    }
}

impl AccountService {
    /// Accounts over this store, on or off as configured. Rates are shared with the rest of REST.
    ///
    /// # Errors
    /// When they are on and there is no secret to sign tokens with, or a hash can't cost that.
    pub fn new(
        db: &Db,
        rates: &CallerRates,
        points: &PointsService,
        users: &Users,
        config: &Config,
    ) -> Result<Self> {
        let on = config.has_accounts();
        if on {
            tracing::info!("accounts are on (ACCOUNTS)");
        }
        let (db, points, users) = (db.clone(), points.clone(), users.clone());
        let without = Self { db, points, users, on: None };
        let on = on.then(|| Accounts::new(&without, rates.clone(), config)).transpose()?;
        Ok(Self { on: on.map(Arc::new), ..without })
    }

    /// Accounts, where they are on.
    ///
    /// # Errors
    /// [`Code::NotFound`] where they are off, to anyone and before anything is read.
    pub(super) fn on(&self) -> Result<&Accounts> {
        self.on.as_deref().ok_or_else(|| {
            let sentence = "Accounts are off on this server (ACCOUNTS): the app has its own login.";
            Error::new(Code::NotFound, sentence).with_reason("accounts_off")
        })
    }

    /// Removes what has ended, now and then, for ever.
    pub async fn prune(self) {
        loop {
            match store::prune(&self.db).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(?error, "ended sign-ins could not be removed"),
            }
            tokio::time::sleep(PRUNE_INTERVAL).await;
        }
    }
}

impl Accounts {
    fn new(over: &AccountService, rates: CallerRates, config: &Config) -> Result<Self> {
        let minter = Minter::configured(&config.auth).map_err(Error::internal)?;
        let no_secret = || Error::internal("accounts need JWT_SECRET to sign tokens with");
        let config = &config.accounts;
        Ok(Self {
            db: over.db.clone(),
            points: over.points.clone(),
            users: over.users.clone(),
            minter: minter.ok_or_else(no_secret)?,
            passwords: Passwords::new(config)?,
            rates,
            self_roles: roles(&config.self_roles),
            default_roles: roles(config.default_role.as_slice()),
            config: config.clone(),
        })
    }

    /// Counts somebody who tries a password or a token for one, before their body is read.
    pub(super) fn admit_login(&self, address: IpAddr) -> Result<()> {
        self.take(CallerClass::AddressLogin, &network(address))
    }

    /// Counts somebody who makes an account, before their body is read.
    pub(super) fn admit_registration(&self, address: IpAddr) -> Result<()> {
        self.take(CallerClass::Registration, &network(address))
    }

    /// Counts a password that is tried for an account, whether there is one or not.
    fn admit_password(&self, email: &str, address: IpAddr) -> Result<()> {
        self.take(CallerClass::Login, &(email, network(address)))?;
        self.take(CallerClass::AccountLogin, &email)
    }

    fn take(&self, class: CallerClass, caller: &impl std::hash::Hash) -> Result<()> {
        self.rates.take(class, caller).inspect_err(|_| {
            metrics::requests_limited(class.as_str()).increment(1);
        })
    }

    /// A family that begins with this token.
    fn beginning(&self, first: &RefreshToken) -> Beginning {
        Beginning {
            id: Ids.next().into(),
            key_hash: first.key_hash(),
            secret_hash: first.secret_hash(),
            ttl: self.config.refresh_ttl,
            access_ttl: self.config.access_ttl,
            most: self.config.sign_ins,
            points: self.points.clone(),
            users: self.users.clone(),
        }
    }

    /// What a user is given who has signed in.
    fn signed_in(&self, begun: Begun, refresh: &RefreshToken) -> Result<SignedIn> {
        let Begun { account, referral_code, family, at, .. } = begun;
        let ttl = self.config.access_ttl;
        let token = NewToken {
            email: Some(account.email.clone()),
            first_name: Some(account.first_name.clone()),
            last_name: Some(account.last_name.clone()),
            session: Some((family.id, family.created_at)),
            ..NewToken::new(account.user_id.clone(), account.roles, ttl)
        };
        Ok(SignedIn {
            access_token: self.minter.mint(&token, at)?,
            refresh_token: refresh.to_text(),
            expires_at: token.expires_at(at),
            user: shown(account, Some(referral_code)),
        })
    }
}

/// Keeps in a unit of work that the tokens of families that have ended are revoked.
async fn end_tokens(
    tx: &mut Tx<'_>,
    users: &Users,
    families: impl IntoIterator<Item = Family>,
) -> Result<Vec<Revocation>> {
    let mut revoked = Vec::new();
    for Family { id, user_id, access_ends_at, .. } in families {
        let revocation = users.revocation_of_session(id.as_str(), user_id, access_ends_at);
        if revocation.until() > tx.now() {
            users.keep(tx, &revocation).await?;
            revoked.push(revocation);
        }
    }
    Ok(revoked)
}

/// Makes what was revoked in a unit of work hold: who comes with it is refused, and the sockets that
/// came with it are closed.
async fn apply(users: &Users, revoked: Vec<Revocation>) {
    for revocation in revoked {
        users.apply(Change::Revoked(revocation)).await;
    }
}

/// A user as they are shown to themselves.
fn shown(account: Account, referral_code: Option<String>) -> AccountUser {
    let Account { user_id, email, first_name, last_name, roles, .. } = account;
    AccountUser {
        underscore_id: user_id.clone(),
        id: user_id,
        email: Some(email),
        first_name: Some(first_name),
        last_name: Some(last_name),
        roles,
        referral_code,
    }
}

/// The roles of these names, which are known to be some.
fn roles(names: &[String]) -> Roles {
    names.iter().filter_map(|name| Role::from_name(name)).collect()
}
