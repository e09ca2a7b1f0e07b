//! What is sent to a backend, and what is read of its answer.

use http::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response};
use url::Url;

use crate::signature::{self, SigningKeys};

/// A POST of JSON, signed as Standard Webhooks has it, with its id and its time in seconds.
pub fn signed(
    http: &Client,
    url: &Url,
    keys: &SigningKeys,
    (id, seconds): (&str, i64),
    body: Vec<u8>,
) -> RequestBuilder {
    let timestamp = seconds.to_string();
    let signature = keys.sign(id, &timestamp, &body);
    http.post(url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(signature::ID, id)
        .header(signature::TIMESTAMP, timestamp)
        .header(signature::SIGNATURE, signature)
        .body(body)
}

/// Why an answer could not be read.
#[derive(Debug)]
pub enum Unread {
    /// It is longer than it may be.
    TooLarge,
    /// The connection failed.
    Lost(reqwest::Error),
}

/// The body of an answer, as far as it may be.
///
/// # Errors
/// [`Unread`]
pub async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, Unread> {
    let is_too_long = |bytes: usize| bytes > most;
    let length =
        response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if length.is_some_and(is_too_long) {
        return Err(Unread::TooLarge);
    }
    let mut body = Vec::with_capacity(length.unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(Unread::Lost)? {
        if is_too_long(body.len() + chunk.len()) {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
