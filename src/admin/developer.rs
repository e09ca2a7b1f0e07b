//! The console's development login: on their own machine a developer need not bring a token, but
//! the code that the start of the server printed.

use std::time::Duration;

use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use super::documents::Login;
use crate::{
    auth::{Minter, NewToken, Role, Roles, SetupError},
    clock::Timestamp,
    config::{Config, Environment},
    error::{Error, Result},
    id::Id,
};

/// How long a developer's token is valid.
const TTL: Duration = Duration::from_hours(1);

/// Who the token speaks for.
const DEVELOPER: &str = "developer";

/// Random bytes of the code.
const CODE_BYTES: usize = 8;

/// Wrong codes until nobody is let in any more.
const TRIES: u32 = 5;

/// Makes a token for a developer, once. Exists in development only, where the server made its own
/// secret, so that its tokens are good nowhere else, and listens to its own machine only.
pub(super) struct DeveloperLogin {
    minter: Minter,
    code: String,
    tries: Mutex<u32>,
}

impl DeveloperLogin {
    /// None where nobody is a developer.
    ///
    /// # Errors
    /// When the secret can't be used.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, SetupError> {
        let auth = &config.auth;
        let alone = config.environment == Environment::Development
            && config.development_secret.is_some()
            && config.server.host.is_loopback();
        let Some(secret) = auth.jwt_secret.as_ref().filter(|_| alone) else { return Ok(None) };
        let (issuer, audience) = (auth.jwt_issuer.as_deref(), auth.jwt_audience.as_deref());
        Ok(Some(Self {
            minter: Minter::new(secret, issuer, audience)?,
            code: hex::encode(rand::random::<[u8; CODE_BYTES]>()),
            tries: Mutex::new(TRIES),
        }))
    }

    /// What lets a developer in, to be shown where nobody else looks.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    pub(super) fn is_open(&self) -> bool {
        *self.tries.lock() > 0
    }

    /// Whether this is the code. The right one is good once, and of wrong ones there are few.
    pub(super) fn spend(&self, code: &str) -> bool {
        let mut tries = self.tries.lock();
        let right = *tries > 0 && bool::from(code.as_bytes().ct_eq(self.code.as_bytes()));
        *tries = if right { 0 } else { tries.saturating_sub(1) };
        right
    }

    pub(super) fn mint(&self, now: Timestamp) -> Result<Login> {
        let user_id = Id::new(DEVELOPER).map_err(Error::internal)?;
        // Admin to see everything, service to send events.
        let roles = Roles::of(Role::Admin).with(Role::Service);
        let token = self.minter.mint(&NewToken::new(user_id, roles, TTL), now)?;
        Ok(Login { token, expires_at: now + TTL })
    }
}
