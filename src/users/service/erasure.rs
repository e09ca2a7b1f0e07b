//! Erasing somebody: beside the server, in many small units, so that nobody who writes waits for it. Who
//! is to be erased is written down until it is done; what was begun is done again after a restart, where
//! it finds less to do.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{Change, Users};
use crate::{
    auth::Identity,
    db::{self, Tx},
    error::{Error, Result},
    id::Id,
    notice::{Notice, What},
    personal::{Cursor, Gone, Lines, ROWS},
    stream::Stream,
    users::store::erasures::{self, Erasure},
};

/// How long those who write have the store to themselves between two units.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// When it is tried again what failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Users who are erased together, at most.
const TOGETHER: i64 = 1000;

impl Users {
    /// Has a user erased. Their tokens are revoked and their sockets closed before this returns; the
    /// rest is done beside.
    pub(in crate::users) async fn erase(&self, by: &Identity, user: Id) -> Result<()> {
        tracing::info!(by = %by.user_id, %user, "a user is to be erased");
        let users = self.clone();
        self.db
            .run_to_completion(async move {
                let (this, whose) = (users.clone(), user.clone());
                let unit = async move |tx: &mut Tx<'_>| {
                    let asked_at = erasures::ask(tx, &whose).await?;
                    tx.instruct((&Change::Leaving(whose.clone(), asked_at)).into());
                    let revocation = this.revocation_of_user(whose, tx.now());
                    this.keep(tx, &revocation).await?;
                    Ok((asked_at, revocation))
                };
                let (asked_at, revocation) = users.db.write(unit).await?;
                users.revocations.begin_leaving(user, asked_at);
                users.apply(Change::Revoked(revocation)).await;
                users.erasing.notify_one();
                Ok(())
            })
            .await
    }

    /// Erases who is to be erased, for ever.
    pub async fn carry_out_erasures(self) {
        loop {
            if let Err(error) = self.erase_all().await {
                tracing::warn!(?error, "it could not be found out who is to be erased");
            }
            // That the time is over says as much.
            let _ = timeout(RETRY_INTERVAL, self.erasing.notified()).await;
        }
    }

    async fn erase_all(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let from = after;
            let unit = async move |tx: &mut Tx<'_>| erasures::next(tx, &from, TOGETHER).await;
            let asked = self.db.read(unit).await?;
            let Some(last) = asked.last() else { return Ok(()) };
            after = last.user.to_string();
            let (mut erased, mut shown) = (Vec::new(), Vec::new());
            for erasure in asked {
                match self.erase_kept(&erasure.user).await {
                    Ok(true) => shown.push(erasure.user.clone()),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(user = %erasure.user, ?error, "a user is not erased yet");
                        continue;
                    }
                }
                erased.push(erasure);
            }
            if let Err(error) = self.erase_shown(erased, Gone::new(shown)).await {
                tracing::warn!(?error, "users are not erased yet");
            }
        }
    }

    /// Erases what they can come back with, and what is shown of them; whether there may be more, kept
    /// of what others were told. There is none of those of whom nothing is kept at all.
    async fn erase_kept(&self, user: &Id) -> Result<bool> {
        let is_known = self.is_known(user).await?;
        for part in 0..self.personal.len() {
            let mut cursor = Some(Cursor::default());
            while let Some(from) = cursor {
                let (parts, user) = (self.personal.clone(), user.clone());
                let unit = async move |tx: &mut Tx<'_>| {
                    let mut next = parts[part].erase(tx, &user, &from).await?;
                    while let Some(from) = next.take_if(|_| !is_known) {
                        next = parts[part].erase(tx, &user, &from).await?;
                    }
                    Ok(next)
                };
                cursor = self.db.write(unit).await?;
                if is_known {
                    sleep(PAUSE).await;
                }
            }
        }
        if is_known {
            for stream in [Stream::User(user.clone()), Stream::About(user.clone())] {
                self.empty_stream(stream).await?;
            }
        }
        Ok(is_known)
    }

    /// Whether anything is kept of a user, or they were ever told anything.
    async fn is_known(&self, user: &Id) -> Result<bool> {
        let (parts, user) = (self.personal.clone(), user.clone());
        let unit = async move |tx: &mut Tx<'_>| {
            if db::position(tx, &Stream::User(user.clone())).await?.is_some() {
                return Ok(true);
            }
            for part in &*parts {
                let mut cursor = Some(Cursor::default());
                while let Some(from) = cursor {
                    let mut lines = Lines::default();
                    cursor = part.export(tx, &user, &from, &mut lines).await?;
                    if lines.count() > 0 {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        };
        self.db.read(unit).await
    }

    /// Takes those of whom there may be more out of what was kept of what others were told: once for
    /// all of them. With that everybody is erased.
    async fn erase_shown(&self, erased: Vec<Erasure>, gone: Gone) -> Result<()> {
        if !gone.is_empty() {
            let gone = Arc::new(gone);
            self.redact_events(&gone).await?;
            self.redact_answers(&gone).await?;
        }
        for some in erased.chunks(usize::try_from(ROWS).map_err(Error::internal)?) {
            let (this, some) = (self.clone(), some.to_vec());
            let unit = async move |tx: &mut Tx<'_>| {
                let mut revocations = Vec::with_capacity(some.len());
                for erasure in some {
                    erasures::end(tx, &erasure).await?;
                    let left = Change::Left(erasure.user.clone(), erasure.asked_at);
                    tx.instruct((&left).into());
                    // Who signed in while it was done has nothing to come back to.
                    let revocation = this.revocation_of_user(erasure.user.clone(), tx.now());
                    this.keep(tx, &revocation).await?;
                    if this.tells_of_erasures {
                        tx.announce(Notice { user: erasure.user.clone(), what: What::Erased });
                    }
                    revocations.push((erasure, revocation));
                }
                // With this the log goes, which still has all of it.
                tx.take_back();
                Ok(revocations)
            };
            // Nothing of this may fail: it is committed for all of them.
            for (Erasure { user, asked_at }, revocation) in self.db.write(unit).await? {
                self.apply(Change::Revoked(revocation)).await;
                self.revocations.end_leaving(&user, asked_at);
                tracing::info!(%user, "a user is erased");
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Reads who is being erased.
    pub(super) async fn load_leaving(&self) -> Result<()> {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let unit = async move |tx: &mut Tx<'_>| erasures::next(tx, &from, TOGETHER).await;
            let asked = self.db.read(unit).await?;
            after = asked.last().map(|last| last.user.to_string());
            for erasure in asked {
                self.revocations.begin_leaving(erasure.user, erasure.asked_at);
            }
        }
        Ok(())
    }

    /// What was sent to nobody but them, or told of them alone, shows nothing any more.
    async fn empty_stream(&self, stream: Stream) -> Result<()> {
        let name = stream.clone();
        if self.db.read(async move |tx| Ok(db::last_seq(tx, &name).await?)).await? == 0 {
            return Ok(());
        }
        let mut last = Some(0);
        while let Some(after) = last {
            let stream = stream.clone();
            let unit =
                async move |tx: &mut Tx<'_>| Ok(db::empty_after(tx, &stream, after, ROWS).await?);
            last = self.db.write(unit).await?;
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
