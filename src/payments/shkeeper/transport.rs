//! One call and its answer: what is sent, how much is read, and what an answer that is no success
//! says of the money.

use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ProviderError, Shkeeper, signature::API_KEY};
use crate::{error::with_causes, rest::json};

/// An answer is not read above this size; a traceback fits.
const MAX_ANSWER_BYTES: usize = 1_000_000;
/// Of a reason that SHKeeper gives, characters that are kept.
const MAX_REASON: usize = 300;

/// What came back, whatever it is.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// The body, where it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Shkeeper {
    /// The URL of a path, each part of it escaped.
    pub(super) fn url(&self, parts: &[&str]) -> Result<Url, ProviderError> {
        let mut url = self.0.api.clone();
        // These would walk up the path or vanish from it.
        if parts.iter().any(|part| ["", ".", ".."].contains(part)) {
            return Err(ProviderError::Refused("there is nothing of that name".to_owned()));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        Ok(url)
    }

    /// A call with the API key.
    pub(super) fn keyed(&self, method: Method, url: Url) -> RequestBuilder {
        self.0.http.request(method, url).header(API_KEY, self.0.key_header.clone())
    }

    /// A call as the user who may pay out.
    pub(super) fn paying(&self, method: Method, url: Url) -> Result<RequestBuilder, ProviderError> {
        let Some((user, password)) = &self.0.payer else {
            let reason = "payouts need SHKEEPER_USER and SHKEEPER_PASSWORD";
            return Err(ProviderError::Refused(reason.to_owned()));
        };
        let request = self.0.http.request(method, url);
        Ok(request.basic_auth(user, Some(password.expose_secret())))
    }

    /// Sends it, and reads the answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        let mut response = request.send().await.map_err(failed)?;
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(unfinished)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(ProviderError::Unclear(format!("{status} with more than 1 MB")));
            }
        }
        Ok(Answer { status, body })
    }

    /// The content of a success. Errors mostly come as 200 with `{"status":"error"}`.
    pub(super) fn success<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ProviderError> {
        let (status, json) = (answer.status, answer.json());
        let said_no = json.as_ref().is_some_and(|json| json["status"] == "error");
        let reason = json.as_ref().and_then(|json| self.reason(json));
        let reason = reason.as_deref().unwrap_or("without a reason");
        if status.is_success() && said_no {
            return Err(ProviderError::Refused(reason.to_owned()));
        }
        if status.is_redirection() {
            // As it does with who is not logged in.
            return Err(ProviderError::Refused(format!("{status}, as to its login page")));
        }
        if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT {
            return Err(ProviderError::Refused(format!("{status}, {reason}")));
        }
        if !status.is_success() {
            // Also when a payout's wallet did not answer in time.
            return Err(ProviderError::Unclear(format!("{status}, {reason}")));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            let error = json::without_quotes(&error.to_string());
            ProviderError::Unclear(self.quote(&format!("{status}, unreadable: {error}")))
        })
    }

    /// What a JSON text gives as its reason, wherever it stands.
    pub(super) fn reason(&self, json: &Value) -> Option<String> {
        if let Some(text) = json.as_str() {
            return Some(self.quote(text));
        }
        let named = ["message", "msg", "error"].iter().map(|name| &json[*name]);
        named.filter(|value| !value.is_null()).find_map(|value| self.reason(value))
    }

    /// A text of theirs, short, on one line, and without what is ours to keep secret.
    fn quote(&self, text: &str) -> String {
        let password = self.0.payer.as_ref().map(|(_, password)| password);
        let secrets = [Some(&self.0.key), password].into_iter().flatten();
        let text = secrets
            .map(ExposeSecret::expose_secret)
            .filter(|secret| !secret.is_empty())
            .fold(without_tokens(text), |text, secret| text.replace(secret, "***"));
        let line = |c: char| if c.is_control() { ' ' } else { c };
        text.chars().map(line).take(MAX_REASON).collect()
    }
}

/// A text without the secret part of callbacks' URLs, which an error may repeat.
fn without_tokens(text: &str) -> String {
    const BEFORE: &str = "/webhooks/shkeeper/";
    let mut parts = text.split(BEFORE);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c));
        told = format!("{told}{BEFORE}***{rest}");
    }
    told
}

/// Before any part of an answer.
fn failed(error: reqwest::Error) -> ProviderError {
    if error.is_connect() {
        return ProviderError::Unreachable(told(error));
    }
    if error.is_builder() {
        return ProviderError::Refused(told(error));
    }
    ProviderError::Unclear(told(error))
}

/// In the midst of an answer.
fn unfinished(error: reqwest::Error) -> ProviderError {
    ProviderError::Unclear(told(error))
}

/// An error with its causes.
fn told(error: reqwest::Error) -> String {
    with_causes(&error.without_url())
}

#[cfg(test)]
mod tests;
