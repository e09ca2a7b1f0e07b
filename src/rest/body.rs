//! Extractors for what a request carries: its JSON body, its query and its path, all refused in the
//! same words (docs/contract/rest.md#conventions).

use std::{
    borrow::Cow,
    fmt,
    future::{pending, ready},
    sync::Arc,
    time::Duration,
};

use axum::extract::{
    self, FromRequest, FromRequestParts, OptionalFromRequest, Request,
    path::ErrorKind,
    rejection::{BytesRejection, PathRejection},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use garde::Validate;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::interval;
use tower_http::timeout::TimeoutError;

use super::{json, read, words};
use crate::error::{Code, Error, Result};

/// How often who is answered for long is looked at: nobody who is revoked hears anything a second later.
const RECHECK: Duration = Duration::from_millis(500);

/// A JSON body. 415 when it is something else, 400 when it is no JSON, 422 when it is no `T`, 413
/// over the limit, 408 when it does not arrive in time.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

/// A [`Body`] whose fields also keep the rules of `T`. As an `Option` it may be missing altogether.
#[derive(Clone, Copy, Debug)]
pub struct ValidBody<T>(pub T);

/// The body as it came, within the same limits, for what is signed.
#[derive(Clone, Debug)]
pub struct RawBody(pub Bytes);

/// Asked once more when a body is here, and again and again while an answer goes on, since either may take
/// long: whether who sent the request may still be heard. An extension of the request.
#[derive(Clone)]
pub struct Recheck(Arc<dyn Fn() -> Result<()> + Send + Sync>);

impl Recheck {
    /// Asks this.
    #[must_use]
    pub fn new(ask: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// That of a request; who sent it is heard where it has none.
    pub(super) fn of(request: &Request) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// An answer that goes on, as long as this says that its caller may be heard: asked before each part, and
    /// from time to time while there is none.
    pub fn guard<S: Stream>(this: Option<Self>, parts: S) -> impl Stream<Item = S::Item> {
        let (before_each, meanwhile) = (this.clone(), this);
        let refused = async move {
            let Some(recheck) = meanwhile else { return pending().await };
            let mut ticks = interval(RECHECK);
            while Self::ask(Some(&recheck)).is_ok() {
                ticks.tick().await;
            }
        };
        parts
            .take_while(move |_| ready(Self::ask(before_each.as_ref()).is_ok()))
            .take_until(refused)
    }

    /// What it says now.
    pub(super) fn ask(this: Option<&Self>) -> Result<()> {
        this.map_or(Ok(()), |Self(ask)| ask())
    }
}

impl fmt::Debug for Recheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recheck").finish_non_exhaustive()
    }
}

/// The query. 422 with a pointer to what is not of its type; unknown names are refused before
/// (`super::parameters`).
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

/// The parameters of the path. 422 with a pointer to what is not of its type.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        json::decode(&said_to_be_json(request, state).await?).map(Self)
    }
}

/// The bytes of a body that says that it is JSON.
async fn said_to_be_json<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    if !is_json(request.headers()) {
        return Err(not_json(request.body()));
    }
    RawBody::from_request(request, state).await.map(|RawBody(bytes)| bytes)
}

impl<S, T> FromRequest<S> for ValidBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        json::decode_valid(&said_to_be_json(request, state).await?, |_| Ok(())).map(Self)
    }
}

impl<S, T> OptionalFromRequest<S> for ValidBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let recheck = Recheck::of(&request);
        let bytes = Bytes::from_request(request, state).await.map_err(|e| unread(&e))?;
        Recheck::ask(recheck.as_ref())?;
        Ok(Self(bytes))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let read = extract::Query::try_from_uri(&parts.uri);
        read.map(|extract::Query(value)| Self(value)).map_err(|rejection| {
            match cause::<serde_path_to_error::Error<serde::de::value::Error>>(&rejection) {
                Some(error) => {
                    read::invalid(read::pointer(error.path()), &error.inner().to_string())
                }
                None => Error::new(Code::Malformed, "The query can't be read."),
            }
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let read = extract::Path::from_request_parts(parts, state).await;
        match read {
            Ok(extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(wrong)) => {
                Err(misread(wrong.into_kind(), only_param(parts, state).await))
            }
            Err(other) => Err(Error::internal(other)),
        }
    }
}

/// `application/json`, or a type made of it such as `application/problem+json`.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence.starts_with("application/") && essence.ends_with("+json")
}

/// Refuses a body that does not say that it is JSON.
pub(super) fn not_json(body: &axum::body::Body) -> Error {
    let detail = if body.is_end_stream() {
        "There is no body; it takes JSON, with Content-Type: application/json."
    } else {
        "The body must be JSON, and say so: Content-Type: application/json."
    };
    Error::new(Code::UnsupportedMediaType, detail)
}

/// Why a body did not arrive whole.
fn unread(rejection: &BytesRejection) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Error::new(Code::TooLarge, "The body is larger than this server takes.")
    } else if cause::<TimeoutError>(rejection).is_some() {
        Error::new(Code::Timeout, "The body took too long to arrive.")
    } else {
        Error::new(Code::Malformed, "The body did not arrive whole.")
    }
}

/// The pointer to the parameter of a path that has one; the path itself where it has more.
async fn only_param<S: Send + Sync>(parts: &mut Parts, state: &S) -> String {
    let params = extract::RawPathParams::from_request_parts(parts, state).await;
    let mut pointers = params.iter().flatten().map(|(name, _)| format!("/{name}"));
    pointers.next().filter(|_| pointers.next().is_none()).unwrap_or_default()
}

/// Which parameter of the path is not of its type; one alone is refused without its name, so `only`
/// points to it.
fn misread(kind: ErrorKind, only: String) -> Error {
    let named = |key: &str, detail: String| Error::invalid(format!("/{key}"), detail);
    match kind {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            named(&key, of_type(expected_type))
        }
        ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => {
            named(&index.to_string(), of_type(expected_type))
        }
        ErrorKind::DeserializeError { key, message, .. } => named(&key, message),
        ErrorKind::ParseError { expected_type, .. } => Error::invalid(only, of_type(expected_type)),
        ErrorKind::Message(message) => Error::invalid(only, message),
        ErrorKind::InvalidUtf8InPathParam { .. } => {
            Error::new(Code::Malformed, "The path is not UTF-8.")
        }
        // The route and its handler disagree.
        other => Error::internal(other.to_string()),
    }
}

/// What is said of what is not of one of Rust's types.
fn of_type(kind: &str) -> String {
    format!("must be {}", words::wanted(kind).unwrap_or(Cow::Borrowed("of another type")))
}

/// The first error of type `E` among the causes of an error.
pub(super) fn cause<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}
