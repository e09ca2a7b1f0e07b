//! The rules of this room.

mod erasure;
mod export;
mod people;
mod redaction;
mod shut_out;
mod tokens;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, Notify};

pub use self::{
    export::everything_of,
    people::{Introduction, introduce},
    shut_out::{Change, Revocation},
};
use super::store::shut_out as kept;
use crate::{
    auth::{Minter, Revocations},
    clock::{Clock, Timestamp},
    config::{Config, UsersConfig},
    db::{Db, Tx},
    error::Result,
    personal::PersonalData,
    realtime::Realtime,
};

/// How often it is looked for what has ended.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// A moment that does not come.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Users. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    db: Db,
    realtime: Realtime,
    revocations: Revocations,
    /// None where there is no secret to sign with.
    minter: Option<Minter>,
    clock: Clock,
    config: UsersConfig,
    /// For how long a token is still valid after its end.
    leeway: Duration,
    /// Blocks begin and end one after the other, in memory as in the store.
    blocking: Arc<Mutex<()>>,
    /// What each room keeps of people, what they sign in with first.
    personal: Arc<[Box<dyn PersonalData>]>,
    /// Told when somebody is to be erased.
    erasing: Arc<Notify>,
    /// Whether backends want to know of those who are.
    tells_of_erasures: bool,
}

impl Users {
    /// Users in this store; who is shut out there is from now on. Tokens are made where there is who
    /// signs them; of each room comes what it keeps of people.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(
        db: Db,
        realtime: Realtime,
        revocations: Revocations,
        minter: Option<Minter>,
        clock: Clock,
        config: &Config,
        personal: Vec<Box<dyn PersonalData>>,
    ) -> Result<Self> {
        let users = Self {
            db,
            realtime,
            revocations,
            minter,
            clock,
            config: config.users.clone(),
            leeway: config.auth.leeway,
            blocking: Arc::default(),
            personal: personal.into(),
            erasing: Arc::default(),
            tells_of_erasures: !config.webhooks.all().is_empty(),
        };
        users.load().await?;
        Ok(users)
    }

    /// Reads who is shut out.
    async fn load(&self) -> Result<()> {
        let mut cursor = Some(kept::Cursor::default());
        while let Some(from) = cursor {
            let unit = async move |tx: &mut Tx<'_>| kept::revocations(tx, &from).await;
            let (revocations, next) = self.db.read(unit).await?;
            for (revoked, until) in revocations {
                self.revocations.revoke(revoked, until);
            }
            cursor = next;
        }
        let mut after = Some(String::new());
        while let Some(from) = after {
            let unit = async move |tx: &mut Tx<'_>| kept::blocks(tx, &from).await;
            let blocks = self.db.read(unit).await?;
            after = blocks.last().map(|(user, _)| user.to_string());
            for (user, until) in blocks {
                self.revocations.block(user, until.unwrap_or(NEVER));
            }
        }
        self.revocations.forget_ended();
        self.load_leaving().await
    }

    /// Forgets what has ended, now and then, for ever.
    pub async fn prune(self) {
        loop {
            self.revocations.forget_ended();
            match self.db.write(async |tx: &mut Tx<'_>| kept::prune(tx).await).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(?error, "old revocations could not be removed"),
            }
            tokio::time::sleep(PRUNE_INTERVAL).await;
        }
    }
}
