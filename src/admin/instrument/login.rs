//! Who is let into `/admin`: whoever knows the password whose bcrypt hash is configured, and then, for a day,
//! whoever shows what was given out for that. Nothing is kept of it: a session says until when it holds,
//! under a MAC whose key is the hash, so that every node knows it and another password ends all.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    clock::{Clock, Timestamp},
    config::AdminUiConfig,
    limits::{CallerClass, CallerRates, network},
    log_limit, metrics,
};

/// What a client is told that shows nothing that holds: by these words alone the Admin UI asks for the
/// password again.
pub(super) const INVALID: &str = "invalid credentials";

/// What is told where too many were tried.
pub(super) const TOO_MANY: &str = "Too many passwords were tried; try again in a minute.";

/// What is told while others are checked.
const BUSY: &str = "Many passwords are checked just now; try again.";

/// How long a session holds.
const SESSION: Duration = Duration::from_hours(24);

/// Passwords that are checked or wait for it: each takes a core for a while, one after the other.
const CHECKED_AT_ONCE: usize = 8;

/// Hex digits of a session's end, and of its MAC.
const END_DIGITS: usize = 16;
const MAC_BYTES: usize = 16;

/// Names the one account in the counts of passwords that are tried.
const ACCOUNT: &str = "admin ui";

/// Who is let in. Cheap to clone.
#[derive(Clone)]
pub(super) struct Login(Arc<Inner>);

struct Inner {
    user: String,
    hash: SecretString,
    rates: CallerRates,
    clock: Clock,
    asked: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
}

/// What a client shows. The UI sends empty texts, and null.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shown {
    session_id: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
}

/// How somebody was let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// By a session that was given out before.
    BySession,
    /// By the password; this session is good from now on.
    ByPassword(String),
}

impl Login {
    /// As configured; none where nobody is let in.
    pub(super) fn new(config: &AdminUiConfig, rates: CallerRates, clock: Clock) -> Option<Self> {
        let (user, hash) = config.operator()?;
        Some(Self(Arc::new(Inner {
            user: user.to_owned(),
            hash: hash.clone(),
            rates,
            clock,
            asked: Arc::new(Semaphore::new(CHECKED_AT_ONCE)),
            at_once: Arc::new(Semaphore::new(1)),
        })))
    }

    /// The operator's name.
    pub(super) fn user(&self) -> &str {
        &self.0.user
    }

    /// Lets somebody in who shows this, as JSON.
    ///
    /// # Errors
    /// The words by which the client is refused.
    pub(super) async fn admit(
        &self,
        address: IpAddr,
        auth: Option<&str>,
    ) -> Result<Admitted, &'static str> {
        let shown = auth.and_then(|auth| serde_json::from_str::<Shown>(auth).ok());
        let Shown { session_id, username, password } = shown.unwrap_or_default();
        if session_id.is_some_and(|session| self.0.holds(&session)) {
            return Ok(Admitted::BySession);
        }
        let (Some(username), Some(password)) = (username, password) else { return Err(INVALID) };
        let network = network(address);
        let taken = self.take(CallerClass::Login, &(ACCOUNT, network));
        taken.and_then(|()| self.take(CallerClass::AccountLogin, &ACCOUNT))?;
        let is_known = bool::from(username.as_bytes().ct_eq(self.0.user.as_bytes()));
        // Also where the name is another: how long it takes tells nothing.
        let is_right = self.check(password).await? && is_known;
        metrics::logins(if is_right { "right" } else { "wrong" }).increment(1);
        if !is_right {
            if let Some(left_out) = log_limit::admit("admin ui", Some(address), INVALID) {
                tracing::warn!(%address, left_out, "a sign-in to the Admin UI was refused");
            }
            return Err(INVALID);
        }
        tracing::info!(%address, operator = self.user(), "an operator signed in to the Admin UI");
        Ok(Admitted::ByPassword(self.0.session(self.0.clock.now() + SESSION)))
    }

    fn take(&self, class: CallerClass, caller: &impl std::hash::Hash) -> Result<(), &'static str> {
        self.0.rates.take(class, caller).map_err(|_| {
            metrics::requests_limited(class.as_str()).increment(1);
            TOO_MANY
        })
    }

    /// Whether it is the password. Off the reactor, and what has begun keeps its place to its end.
    async fn check(&self, password: SecretString) -> Result<bool, &'static str> {
        let inner = self.0.clone();
        let asked = inner.asked.clone().try_acquire_owned().map_err(|_| BUSY)?;
        // Never closed.
        let permit = inner.at_once.clone().acquire_owned().await.map_err(|_| BUSY)?;
        let checked = spawn_blocking(move || {
            let _permits = (asked, permit);
            // The hash was looked at when the server started.
            bcrypt::verify(password.expose_secret(), inner.hash.expose_secret()).unwrap_or(false)
        });
        checked.await.map_err(|_| BUSY)
    }
}

impl Inner {
    /// What lets its bearer in until then.
    fn session(&self, end: Timestamp) -> String {
        let end = format!("{:0width$x}", end.seconds().max(0), width = END_DIGITS);
        let mac = self.mac(&end).finalize().into_bytes();
        end + &hex::encode(&mac[..MAC_BYTES])
    }

    fn holds(&self, session: &str) -> bool {
        let Some((end, mac)) = session.split_at_checked(END_DIGITS) else { return false };
        let is_ours = hex::decode(mac).is_ok_and(|mac| {
            mac.len() == MAC_BYTES && self.mac(end).verify_truncated_left(&mac).is_ok()
        });
        is_ours && i64::from_str_radix(end, 16).is_ok_and(|end| end > self.clock.now().seconds())
    }

    fn mac(&self, end: &str) -> Hmac<Sha256> {
        // A key of any length is taken.
        let key = self.hash.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
        for part in ["session of the admin ui", "\0", &self.user, "\0", end] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::Config;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn login(password: &str, clock: Clock) -> Login {
        let mut config = Config::for_tests();
        config.admin_ui.user = Some("admin".to_owned());
        config.admin_ui.hash = Some(bcrypt::hash(password, 4).unwrap().into());
        Login::new(&config.admin_ui, CallerRates::new(&config.limits), clock).unwrap()
    }

    async fn shown(login: &Login, auth: &str) -> Result<Admitted, &'static str> {
        login.admit(ADDRESS, Some(auth)).await
    }

    #[tokio::test]
    async fn a_session_holds_for_a_day_and_by_its_own_password_alone() {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000_000));
        let ours = login("changeit", clock.clone());
        let right = r#"{"username":"admin","password":"changeit"}"#;
        let Ok(Admitted::ByPassword(session)) = shown(&ours, right).await else { panic!() };
        let again = format!(r#"{{"sessionId":"{session}"}}"#);
        assert_eq!(shown(&ours, &again).await, Ok(Admitted::BySession));
        assert_eq!(shown(&login("another", clock.clone()), &again).await, Err(INVALID));
        for at in 0..session.len() {
            let other = if session[at..].starts_with('0') { "1" } else { "0" };
            let mut forged = session.clone();
            forged.replace_range(at..=at, other);
            let forged = format!(r#"{{"sessionId":"{forged}"}}"#);
            assert_eq!(shown(&ours, &forged).await, Err(INVALID));
        }
        clock.advance(SESSION);
        assert_eq!(shown(&ours, &again).await, Err(INVALID));
    }

    #[tokio::test]
    async fn what_is_no_password_is_refused_and_few_are_tried() {
        let login = login("changeit", Clock::system());
        assert_eq!(login.admit(ADDRESS, None).await, Err(INVALID));
        for auth in [
            "not json",
            "[]",
            r#"{"token":"changeit"}"#,
            r#"{"sessionId":null}"#,
            r#"{"sessionId":""}"#,
            r#"{"sessionId":"é"}"#,
            r#"{"sessionId":7,"username":"admin","password":"changeit"}"#,
            r#"{"username":"admin"}"#,
        ] {
            assert_eq!(shown(&login, auth).await, Err(INVALID), "{auth}");
        }
        let most = Config::for_tests().limits.logins.burst;
        for number in 0..most {
            let (name, password) = if number % 2 == 0 { ("admin", "") } else { ("x", "changeit") };
            let auth = format!(r#"{{"username":"{name}","password":"{password}"}}"#);
            assert_eq!(shown(&login, &auth).await, Err(INVALID), "{auth}");
        }
        let right = r#"{"username":"admin","password":"changeit"}"#;
        assert_eq!(shown(&login, right).await, Err(TOO_MANY));
    }
}
