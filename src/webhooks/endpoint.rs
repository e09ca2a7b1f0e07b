//! The backend that a webhook calls, and what its answers mean.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use reqwest::{Client, Response};
use url::Url;

use crate::{
    clock::{Clock, Timestamp},
    error::with_causes,
    outgoing,
    signature::SigningKeys,
    traces::Cause,
};

/// Bytes of an answer that are read so that its connection can be kept; beyond, it is given up.
const MOST_READ: usize = 64 * 1024;

/// How long somebody may ask to wait, at most.
const MOST_WAIT: Duration = Duration::from_hours(24);

/// A backend.
pub(super) struct Endpoint {
    pub(super) http: Client,
    pub(super) url: Url,
    pub(super) keys: SigningKeys,
    pub(super) clock: Clock,
}

/// What became of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The backend has it.
    Delivered,
    /// It wants no more of them (410).
    Gone,
    /// It does not have it.
    Failed(Failure),
}

/// Why a backend does not have what it was sent.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// As one word that stays the same.
    pub(super) kind: &'static str,
    /// In a sentence, without a word of its answer.
    pub(super) reason: String,
    /// When it wants to be called again.
    pub(super) retry_after: Option<Duration>,
    /// Whether it wants to be left alone until then (429, 503).
    pub(super) is_busy: bool,
}

impl Failure {
    fn new(kind: &'static str, reason: String) -> Self {
        Self { kind, reason, retry_after: None, is_busy: false }
    }
}

impl Endpoint {
    /// Calls it.
    pub(super) async fn call(&self, id: &str, body: Vec<u8>) -> Outcome {
        let stamp = (id, self.clock.now().seconds());
        let request = outgoing::signed(&self.http, &self.url, &self.keys, stamp, body);
        let request = match Cause::current() {
            Some(cause) => request.headers(cause.headers()),
            None => request,
        };
        match request.send().await {
            Ok(response) => {
                let outcome = self.judge(response.status(), response.headers());
                finish(response).await;
                outcome
            }
            Err(error) if error.is_timeout() => {
                Outcome::Failed(Failure::new("timeout", "It did not answer in time.".to_owned()))
            }
            Err(error) => {
                let why = with_causes(&error.without_url());
                Outcome::Failed(Failure::new("unreachable", format!("It can't be reached: {why}.")))
            }
        }
    }

    fn judge(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        if status.is_success() {
            return Outcome::Delivered;
        }
        if status == StatusCode::GONE {
            return Outcome::Gone;
        }
        let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = wait.and_then(|wait| wait_of(wait, self.clock.now()));
        let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        let is_busy = retry_after.is_some() && busy.contains(&status);
        let reason = format!("It answered with {}.", status.as_u16());
        Outcome::Failed(Failure { retry_after, is_busy, ..Failure::new("status", reason) })
    }
}

/// Reads what is left of a short answer.
async fn finish(response: Response) {
    // What it says is nobody's business.
    let _ = outgoing::read(response, MOST_READ).await;
}

/// How long to wait: seconds, or until a time (RFC 9110, section 10.2.3).
fn wait_of(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let then = httpdate::parse_http_date(text).ok()?;
        let then = then.duration_since(std::time::UNIX_EPOCH).ok()?;
        now.until(Timestamp::from_millis(i64::try_from(then.as_millis()).ok()?))
    };
    Some(wait.min(MOST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_time() {
        let now = Timestamp::from_millis(784_111_767_000);
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999", Some(24 * 3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(wait_of(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
