//! An answer as it is kept, and what it shows.

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};

use crate::{
    error::{Error, Result},
    id::Id,
};

/// Bytes of the largest answer that is kept. Who repeats a request with a larger one is told that
/// it was done.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

/// What an answer shows that can change later, such as a message: an extension of the response, by
/// which the answer that is kept can be [written anew](super::rewrite).
#[derive(Clone, Debug)]
pub struct Subject(pub Id);

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    /// None is kept of an answer that is too large.
    pub(super) body: Option<Bytes>,
    /// What it shows that can change later.
    pub(super) subject: Option<Id>,
}

/// A response with its body read, and what is kept of it.
pub(super) async fn whole(response: Response) -> Result<(Response, Answer)> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(Error::internal)?;
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let answer = Answer {
        status: parts.status,
        content_type: content_type.map(str::to_owned),
        body: Some(body.clone()).filter(|body| body.len() <= MAX_ANSWER),
        subject: parts.extensions.get().map(|Subject(id)| id.clone()),
    };
    Ok((Response::from_parts(parts, Body::from(body)), answer))
}
