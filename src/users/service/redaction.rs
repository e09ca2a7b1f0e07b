//! Taking people out of what is kept of what others were told: kept events, and answers to who repeats a
//! request.

use std::sync::Arc;

use serde_json::{Value, value::to_raw_value};
use tokio::time::sleep;

use super::{Users, erasure::PAUSE};
use crate::{
    db::{self, KeptAt, KeptWire, Tx},
    error::{Error, Result},
    idempotency,
    personal::{Gone, ROWS},
    stream::WireEvent,
};

/// Events that are looked through at once, beside those who write.
const EVENTS: i64 = 200;

/// Answers that are looked through at once: each may be large.
const ANSWERS: i64 = 20;

impl Users {
    /// Takes them out of what was sent to others. Most events do not show them: those that do are found
    /// by units that only read.
    pub(super) async fn redact_events(&self, gone: &Arc<Gone>) -> Result<()> {
        let mut cursor: Option<KeptAt> = None;
        loop {
            let (this, whose, after) = (self.clone(), gone.clone(), cursor.take());
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
            cursor = Some(last);
            for some in shown.chunks(usize::try_from(ROWS).map_err(Error::internal)?) {
                let (this, gone, some) = (self.clone(), gone.clone(), some.to_vec());
                let unit = async move |tx: &mut Tx<'_>| {
                    for at in &some {
                        if let Some(mut wire) = db::kept_at(tx, at).await?
                            && this.redact_wire(&mut wire, &gone)?
                        {
                            db::set_kept(tx, at, &wire.wire_events).await?;
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
    pub(super) async fn redact_answers(&self, gone: &Arc<Gone>) -> Result<()> {
        let mut cursor = Vec::new();
        loop {
            let (this, whose, after) = (self.clone(), gone.clone(), cursor);
            let unit = async move |tx: &mut Tx<'_>| {
                let answers = idempotency::answers_after(tx, &after, ANSWERS).await?;
                let last = answers.last().map(|(request_hash, _)| request_hash.clone());
                let mut shown = Vec::new();
                for (request_hash, answer) in answers {
                    if answer.and_then(|answer| this.redacted_answer(&answer, &whose)).is_some() {
                        shown.push(request_hash);
                    }
                }
                Ok((shown, last))
            };
            let (shown, last) = self.db.read(unit).await?;
            let Some(last) = last else { return Ok(()) };
            cursor = last;
            for at in shown {
                let (this, gone) = (self.clone(), gone.clone());
                let unit = async move |tx: &mut Tx<'_>| {
                    let answer = idempotency::answer_at(tx, &at).await?;
                    if let Some(answer) = answer
                        && let Some(redacted) = this.redacted_answer(&answer, &gone)
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
    fn redacted_answer(&self, answer: &[u8], gone: &Gone) -> Option<Vec<u8>> {
        if !str::from_utf8(answer).is_ok_and(|answer| gone.are_in(answer)) {
            return None;
        }
        let mut answer: Value = serde_json::from_slice(answer).ok()?;
        self.redact(&mut answer, gone).then(|| answer.to_string().into_bytes())
    }

    /// Takes them out of kept events; whether they were in.
    fn redact_wire(&self, wire: &mut KeptWire, gone: &Gone) -> Result<bool> {
        let mut changed = false;
        for WireEvent { data, .. } in &mut wire.wire_events {
            if !gone.are_in(data.get()) {
                continue;
            }
            let mut payload: Value = serde_json::from_str(data.get()).map_err(Error::internal)?;
            if self.redact(&mut payload, gone) {
                *data = to_raw_value(&payload).map_err(Error::internal)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    fn redact(&self, value: &mut Value, gone: &Gone) -> bool {
        match value {
            Value::Object(object) => {
                let mut changed = false;
                for part in &*self.personal {
                    changed |= part.redact(object, gone);
                }
                for value in object.values_mut() {
                    changed |= self.redact(value, gone);
                }
                changed
            }
            Value::Array(values) => {
                values.iter_mut().fold(false, |changed, value| self.redact(value, gone) | changed)
            }
            _ => false,
        }
    }
}
