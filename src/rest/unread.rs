//! The body of a request without credentials, left unread until its handler knows whom it is for:
//! who may not be heard costs a look-up, and nobody makes this server gather bytes or wait.

use std::time::Duration;

use axum::{
    body,
    extract::{FromRef, FromRequest, Request},
};
use bytes::Bytes;
use garde::Validate;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{
    body::{Recheck, cause, is_json, not_json},
    json,
};
use crate::{
    config::ServerConfig,
    error::{Code, Error, Result},
};

/// How large a body without credentials may be, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct OpenBodies {
    max_bytes: usize,
    within: Duration,
}

impl OpenBodies {
    /// As configured.
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        Self { max_bytes: config.open_body_bytes, within: config.open_body_timeout }
    }
}

/// A body that has not been read. Every open route that takes one takes this, looks first whether
/// the request is for anybody, and reads then.
#[derive(Debug)]
pub struct UnreadBody {
    body: body::Body,
    is_json: bool,
    limits: OpenBodies,
    recheck: Option<Recheck>,
}

impl<S: Send + Sync> FromRequest<S> for UnreadBody
where
    OpenBodies: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let (is_json, recheck) = (is_json(request.headers()), Recheck::of(&request));
        let limits = OpenBodies::from_ref(state);
        Ok(Self { body: request.into_body(), is_json, limits, recheck })
    }
}

impl UnreadBody {
    /// Reads it.
    ///
    /// # Errors
    /// [`Code::TooLarge`], before any of it is read where its length is said; [`Code::Timeout`];
    /// [`Code::Malformed`] when it does not arrive whole; what is said of who was shut out meanwhile.
    pub async fn read(self) -> Result<Bytes> {
        let Self { body, limits, recheck, .. } = self;
        let max_bytes = limits.max_bytes;
        if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let read = timeout(limits.within, Limited::new(body, max_bytes).collect());
        match read.await {
            Ok(Ok(whole)) => Recheck::ask(recheck.as_ref()).map(|()| whole.to_bytes()),
            Ok(Err(error)) if cause::<LengthLimitError>(&*error).is_some() => Err(too_large()),
            Ok(Err(_)) => Err(Error::new(Code::Malformed, "The body did not arrive whole.")),
            Err(_) => Err(Error::new(Code::Timeout, "The body took too long to arrive.")),
        }
    }
}

impl UnreadBody {
    /// Reads it as JSON whose fields keep the rules of `T`, as a [`ValidBody`](super::body::ValidBody).
    ///
    /// # Errors
    /// Those of [`UnreadBody::read`], [`Code::UnsupportedMediaType`], [`Code::Malformed`] and
    /// [`Code::InvalidPayload`].
    pub async fn json<T: DeserializeOwned + Validate<Context = ()>>(self) -> Result<T> {
        self.json_with(|_| Ok(())).await
    }

    /// The same, where a field has a rule that needs more than the body.
    ///
    /// # Errors
    /// Those of [`UnreadBody::json`]; what that rule says is told with what is wrong with the others.
    pub async fn json_with<T>(self, further: impl FnOnce(&T) -> Result<()>) -> Result<T>
    where
        T: DeserializeOwned + Validate<Context = ()>,
    {
        if !self.is_json {
            return Err(not_json(&self.body));
        }
        json::decode_valid(&self.read().await?, further)
    }
}

fn too_large() -> Error {
    Error::new(Code::TooLarge, "The body is larger than this server takes here.")
}
