//! Passwords and their hashes (Argon2id, as PHC strings). Hashing takes a core and memory for tens of
//! milliseconds, so it is done off the reactor, a few at once.

use std::{fmt, sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{
    config::{AccountsConfig, Argon2Config},
    error::{Code, Error, Result},
};

/// Bytes of a salt, and of a hash.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// When to try again what got no permit in time.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub(super) struct Passwords(Arc<Inner>);

struct Inner {
    argon2: Argon2<'static>,
    parameters: Argon2Config,
    /// What is checked where there is no account: no password has this hash.
    nobody: PasswordHash,
    /// Those that are hashed and those that wait.
    asked: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
    patience: Duration,
}

/// What a password is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not the one.
    Wrong,
    /// It is.
    Right,
    /// It is, and its hash was made with other parameters than those of today.
    RightButOutdated,
}

/// A hash that no password has.
fn of_nobody(memory_kib: u32, passes: u32, lanes: u32) -> String {
    let [salt, hash] = [
        STANDARD_NO_PAD.encode(rand::random::<[u8; SALT_BYTES]>()),
        STANDARD_NO_PAD.encode(rand::random::<[u8; HASH_BYTES]>()),
    ];
    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
}

/// The hash of an account that nobody signs in with until its password is set.
pub(super) fn nobodys() -> String {
    of_nobody(Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST)
}

/// Memory, passes and lanes of a hash that came from elsewhere, at most: whoever signs in by it costs
/// the server as much.
const MAX_COST: (u32, u32, u32) = (256 << 10, 16, 16);

/// Whether a text is a hash that passwords can be checked by, at a price that strangers may have.
pub(super) fn is_hash(text: &str) -> bool {
    let is_cheap = |hash: &PasswordHash| {
        Params::try_from(hash).is_ok_and(|params| {
            let (memory_kib, passes, lanes) = MAX_COST;
            params.m_cost() <= memory_kib && params.t_cost() <= passes && params.p_cost() <= lanes
        })
    };
    PasswordHash::new(text)
        .is_ok_and(|hash| Algorithm::try_from(hash.algorithm.as_str()).is_ok() && is_cheap(&hash))
}

impl Passwords {
    /// As configured.
    ///
    /// # Errors
    /// When the parameters are none of Argon2's.
    pub(super) fn new(config: &AccountsConfig) -> Result<Self> {
        let parameters = config.argon2;
        let Argon2Config { memory_kib, passes, lanes } = parameters;
        let params =
            Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).map_err(Error::internal)?;
        let at_once = match config.hashes_at_once {
            0 => std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            several => several,
        };
        let nobody = of_nobody(memory_kib, passes, lanes);
        let nobody = PasswordHash::new(&nobody).map_err(Error::internal)?;
        Ok(Self(Arc::new(Inner {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            parameters,
            nobody,
            asked: Arc::new(Semaphore::new(at_once.saturating_add(config.hashes_waiting))),
            at_once: Arc::new(Semaphore::new(at_once)),
            patience: config.hash_patience,
        })))
    }

    /// The hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when too many are hashed already.
    pub(super) async fn hash(&self, password: SecretString) -> Result<String> {
        self.with_permit(move |inner| {
            let salt = rand::random::<[u8; SALT_BYTES]>();
            let hash: PasswordHash = inner
                .argon2
                .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
                .map_err(Error::internal)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// What a password is worth by a hash. Without a hash it is wrong, after the same work.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when too many are hashed already.
    pub(super) async fn check(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<Verdict> {
        self.with_permit(move |inner| {
            let hash = match hash {
                Some(hash) => PasswordHash::new(&hash).map_err(Error::internal)?,
                None => inner.nobody.clone(),
            };
            let password = password.expose_secret().as_bytes();
            Ok(match inner.argon2.verify_password(password, &hash) {
                Ok(()) if inner.is_of_today(&hash) => Verdict::Right,
                Ok(()) => Verdict::RightButOutdated,
                Err(argon2::password_hash::Error::PasswordInvalid) => Verdict::Wrong,
                Err(error) => return Err(Error::internal(error)),
            })
        })
        .await
    }

    /// Does some hashing once there is a permit for it. What has begun keeps that to its end, also
    /// when nobody waits for it any more.
    async fn with_permit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.0.clone();
        let asked = inner.asked.clone().try_acquire_owned().map_err(|_| busy())?;
        let permit = timeout(inner.patience, inner.at_once.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(Error::internal)?;
        let done = spawn_blocking(move || {
            let _permits = (asked, permit);
            work(&inner)
        });
        done.await.map_err(Error::internal)?
    }
}

impl Inner {
    fn is_of_today(&self, hash: &PasswordHash) -> bool {
        let Argon2Config { memory_kib, passes, lanes } = self.parameters;
        Params::try_from(hash).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (memory_kib, passes, lanes)
        })
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

fn busy() -> Error {
    Error::new(Code::Unavailable, "Many passwords are checked just now; try again.")
        .with_retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn passwords(change: impl FnOnce(&mut AccountsConfig)) -> Passwords {
        let mut config = Config::for_tests().accounts;
        config.argon2 = Argon2Config { memory_kib: 64, passes: 1, lanes: 1 };
        change(&mut config);
        Passwords::new(&config).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_right_by_its_own_hash_alone() {
        let passwords = passwords(|_| {});
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_ne!(passwords.hash("correct horse".into()).await.unwrap(), hash, "a salt");
        for (password, hash, verdict) in [
            ("correct horse", Some(hash.clone()), Verdict::Right),
            ("correct horsf", Some(hash.clone()), Verdict::Wrong),
            ("", Some(hash), Verdict::Wrong),
            ("correct horse", None, Verdict::Wrong),
            ("", None, Verdict::Wrong),
        ] {
            assert_eq!(passwords.check(password.into(), hash).await.unwrap(), verdict);
        }
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_right_and_outdated() {
        let old = passwords(|_| {});
        let hash = old.hash("correct horse".into()).await.unwrap();
        let new = passwords(|config| config.argon2.passes = 2);
        let verdict = new.check("correct horse".into(), Some(hash)).await.unwrap();
        assert_eq!(verdict, Verdict::RightButOutdated);
        let nobody = new.0.nobody.to_string();
        assert!(nobody.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{nobody}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_many_wait_or_waits_too_long_is_told_to_try_again() {
        let passwords = passwords(|c| (c.hashes_at_once, c.hashes_waiting) = (1, 1));
        let permit = passwords.0.at_once.clone().acquire_owned().await.unwrap();
        let waiting = tokio::spawn({
            let passwords = passwords.clone();
            async move { passwords.hash("correct horse".into()).await }
        });
        let more = passwords.0.asked.clone().acquire_owned().await.unwrap();
        let refused = passwords.hash("correct horse".into()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.retry_after().is_some());
        assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::Unavailable, "too long");
        drop((permit, more));
        assert!(passwords.hash("correct horse".into()).await.is_ok());
    }
}
