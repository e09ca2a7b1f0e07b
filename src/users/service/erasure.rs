//! Erasing somebody: beside the server, in many small units, so that nobody who writes waits for it. Who
//! is to be erased is written down until it is done; what was begun is done again after a restart, where
//! it finds less to do.

use std::time::Duration;

use serde_json::{Value, value::to_raw_value};
use tokio::time::{sleep, timeout};

use super::{Change, Users};
use crate::{
    auth::Identity,
    db::{self, KeptAt, KeptWire, Tx, to_the_end},
    error::{Error, Result},
    id::Id,
    idempotency,
    personal::{Place, ROWS},
    stream::{Rendering, Stream},
    users::store::erasures::{self, Erasure},
};

/// How long those who write have the store to themselves between two units.
const PAUSE: Duration = Duration::from_millis(5);

/// When it is tried again what failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Events that are looked through at once, beside those who write.
const EVENTS: i64 = 200;

/// Answers that are looked through at once: each may be large.
const ANSWERS: i64 = 20;

impl Users {
    /// Has a user erased. Their tokens are revoked and their sockets closed before this returns; the
    /// rest is done beside.
    pub(in crate::users) async fn erase(&self, by: &Identity, user: Id) -> Result<()> {
        tracing::info!(by = %by.user_id, %user, "a user is to be erased");
        let users = self.clone();
        to_the_end(async move {
            let (this, whose) = (users.clone(), user.clone());
            let unit = async move |tx: &mut Tx<'_>| {
                erasures::ask(tx, &whose).await?;
                let revocation = this.revocation_of_user(whose, tx.now());
                this.keep(tx, &revocation).await?;
                Ok(revocation)
            };
            let revocation = users.db.write(unit).await?;
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
            let from = after.clone();
            let unit = async move |tx: &mut Tx<'_>| erasures::next(tx, &from).await;
            let Some(erasure) = self.db.read(unit).await? else { return Ok(()) };
            after = erasure.user.to_string();
            let user = erasure.user.clone();
            match self.erase_one(erasure).await {
                Ok(()) => tracing::info!(%user, "a user is erased"),
                Err(error) => tracing::warn!(%user, ?error, "a user is not erased yet"),
            }
        }
    }

    /// First what they can come back with, and what is shown of them; then what was kept of that.
    async fn erase_one(&self, erasure: Erasure) -> Result<()> {
        let user = &erasure.user;
        for part in 0..self.personal.len() {
            let mut place = Some(Place::default());
            while let Some(from) = place {
                let (parts, user) = (self.personal.clone(), user.clone());
                let unit = async move |tx: &mut Tx<'_>| parts[part].erase(tx, &user, &from).await;
                place = self.db.write(unit).await?;
                sleep(PAUSE).await;
            }
        }
        self.empty_stream(user).await?;
        self.redact_events(user).await?;
        self.redact_answers(user).await?;
        let this = self.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            erasures::end(tx, &erasure).await?;
            // Who signed in while it was done has nothing to come back to.
            let revocation = this.revocation_of_user(erasure.user, tx.now());
            this.keep(tx, &revocation).await?;
            // With this the log goes, which still has all of it.
            tx.take_back();
            Ok(revocation)
        };
        let revocation = self.db.write(unit).await?;
        self.apply(Change::Revoked(revocation)).await;
        Ok(())
    }

    /// What was sent to nobody but them shows nothing any more.
    async fn empty_stream(&self, user: &Id) -> Result<()> {
        let stream = Stream::User(user.clone());
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

    /// Takes them out of what was sent to others. Most events do not show them: those that do are found
    /// by units that only read.
    async fn redact_events(&self, user: &Id) -> Result<()> {
        let mut place: Option<KeptAt> = None;
        loop {
            let (this, whose, after) = (self.clone(), user.clone(), place.take());
            let unit = async move |tx: &mut Tx<'_>| {
                let kept = db::kept_after(tx, after.as_ref(), EVENTS).await?;
                let last = kept.last().map(|last| last.at.clone());
                let mut shown = Vec::new();
                for mut wire in kept {
                    if this.redact_wire(&mut wire, &whose)? {
                        shown.push(wire.at);
                    }
                }
                Ok((shown, last))
            };
            let (shown, last) = self.db.read(unit).await?;
            let Some(last) = last else { return Ok(()) };
            place = Some(last);
            for some in shown.chunks(usize::try_from(ROWS).map_err(Error::internal)?) {
                let (this, user, some) = (self.clone(), user.clone(), some.to_vec());
                let unit = async move |tx: &mut Tx<'_>| {
                    for at in &some {
                        if let Some(mut wire) = db::kept_at(tx, at).await?
                            && this.redact_wire(&mut wire, &user)?
                        {
                            db::set_kept(tx, at, &wire.renderings).await?;
                        }
                    }
                    Ok(())
                };
                self.db.write(unit).await?;
                sleep(PAUSE).await;
            }
        }
    }

    /// Takes them out of what is answered to who repeats a request.
    async fn redact_answers(&self, user: &Id) -> Result<()> {
        let mut place = Vec::new();
        loop {
            let (this, whose, after) = (self.clone(), user.clone(), place);
            let unit = async move |tx: &mut Tx<'_>| {
                let answers = idempotency::answers_after(tx, &after, ANSWERS).await?;
                let last = answers.last().map(|(place, _)| place.clone());
                let mut shown = Vec::new();
                for (place, answer) in answers {
                    if answer.and_then(|answer| this.redacted_answer(&answer, &whose)).is_some() {
                        shown.push(place);
                    }
                }
                Ok((shown, last))
            };
            let (shown, last) = self.db.read(unit).await?;
            let Some(last) = last else { return Ok(()) };
            place = last;
            for at in shown {
                let (this, user) = (self.clone(), user.clone());
                let unit = async move |tx: &mut Tx<'_>| {
                    let answer = idempotency::answer_at(tx, &at).await?;
                    if let Some(answer) = answer
                        && let Some(redacted) = this.redacted_answer(&answer, &user)
                    {
                        idempotency::set_answer_at(tx, &at, &redacted).await?;
                    }
                    Ok(())
                };
                self.db.write(unit).await?;
                sleep(PAUSE).await;
            }
        }
    }

    /// The answer without them; none when it does not show them.
    fn redacted_answer(&self, answer: &[u8], user: &Id) -> Option<Vec<u8>> {
        // Most do not, and reading them takes longer than this.
        if !str::from_utf8(answer).is_ok_and(|answer| answer.contains(&as_json(user))) {
            return None;
        }
        let mut answer: Value = serde_json::from_slice(answer).ok()?;
        self.redact(&mut answer, user).then(|| answer.to_string().into_bytes())
    }

    /// Takes them out of kept events; whether they were in.
    fn redact_wire(&self, wire: &mut KeptWire, user: &Id) -> Result<bool> {
        let mut changed = false;
        let id = as_json(user);
        for Rendering { data, .. } in &mut wire.renderings {
            if !data.get().contains(&id) {
                continue;
            }
            let mut payload: Value = serde_json::from_str(data.get()).map_err(Error::internal)?;
            if self.redact(&mut payload, user) {
                *data = to_raw_value(&payload).map_err(Error::internal)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    fn redact(&self, value: &mut Value, user: &Id) -> bool {
        match value {
            Value::Object(object) => {
                let mut changed = false;
                for part in &*self.personal {
                    changed |= part.redact(object, user);
                }
                for value in object.values_mut() {
                    changed |= self.redact(value, user);
                }
                changed
            }
            Value::Array(values) => {
                values.iter_mut().fold(false, |changed, value| self.redact(value, user) | changed)
            }
            _ => false,
        }
    }
}

/// An id as JSON has it.
fn as_json(user: &Id) -> String {
    Value::from(user.as_str()).to_string()
}
