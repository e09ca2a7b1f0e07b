//! `Idempotency-Key`: a POST that is sent again is answered again and not done again
//! (docs/contract/rest.md#conventions).
//!
//! A request with a key claims that in the store before it is carried out, and leaves its answer
//! there, where the handler says how ([`answer`]) in the unit that does the work: either both are
//! kept or neither. It is carried out to its end even when its caller hangs up, since that caller is
//! the one who will ask again. Left alone are requests without valid credentials, which get their
//! 401, webhooks, whose senders know no keys, and `/api/auth/`, whose answers hold tokens.
//!
//! What an answer shows may be changed or taken back later. Such an answer names its [`Subject`], and
//! the unit that changes that has the answer [written anew](rewrite): what was taken back does not
//! come back.
//!
//! A claim without an answer, whose request does not run in this process, may be taken over:
//! nothing was done for it, and what another process still does for it is undone, since each unit
//! first looks whether the claim is still its own.

mod attempt;
mod kept;
mod key;
mod store;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use dashmap::{DashMap, Entry};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE, request::Parts,
};
use sha2::{Digest, Sha256};

use self::{
    attempt::Attempt,
    kept::{Answer, whole},
    store::{Claim, Claimed},
};
pub use self::{
    attempt::answer,
    kept::Subject,
    store::{KEPT_FOR, answer_at, answers_after, forget, rewrite, set_answer_at},
};
use crate::{
    auth::{Authenticated, Authenticator, CredentialKind, Credentials},
    db::{Db, accompanied},
    error::{Code, Error, Result},
    id::Id,
    rest::body::RawBody,
};

/// When to ask again for what still runs.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often old answers are given up.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Says of an answer that it was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Paths whose POSTs take no key.
const LEFT_ALONE: [&str; 2] = ["/api/webhooks/", "/api/auth/"];

/// Keeps answers by key. Cheap to clone.
#[derive(Clone)]
pub struct Idempotency {
    db: Db,
    authenticator: Authenticator,
    running: Running,
}

/// The requests, by their hashes, that this process carries out, each with the hash of its body.
type Running = Arc<DashMap<Vec<u8>, Vec<u8>>>;

/// Notes that a request is carried out, until it is dropped.
struct Run {
    request_hash: Vec<u8>,
    running: Running,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.running.remove(&self.request_hash);
    }
}

impl Idempotency {
    /// Keeps answers in this store. In a file of our own, what an earlier process left running
    /// is free again.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(db: Db, authenticator: Authenticator) -> Result<Self> {
        if db.is_own_file() {
            store::release_all(&db).await?;
        }
        Ok(Self { db, authenticator, running: Running::default() })
    }

    /// Gives up old answers, now and then, for ever.
    pub async fn prune(self) {
        loop {
            match store::prune(&self.db).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(?error, "old answers could not be given up"),
            }
            tokio::time::sleep(PRUNE_INTERVAL).await;
        }
    }
}

/// Whether a request may carry an `Idempotency-Key` that counts.
#[must_use]
pub fn takes_key(method: &Method, path: &str) -> bool {
    *method == Method::POST
        && path.starts_with("/api/")
        && !LEFT_ALONE.iter().any(|prefix| path.starts_with(prefix))
}

/// What names a request that carries an `Idempotency-Key`: the same for the same caller, method, path
/// and key. For work that must not be done twice even where no answer could be kept, or the caller's
/// roles have changed since.
///
/// # Errors
/// [`Code::Malformed`] when the key is none.
pub fn name_of(
    (kind, caller): (CredentialKind, &Id),
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<Vec<u8>>> {
    let key = key::key_of(headers)?;
    let caller = [kind.as_str(), caller.as_str()];
    Ok(key.map(|key| key::request_hash(&caller, method, path, &key)))
}

/// Middleware around what takes POSTs. The answers that it sees must have their bodies already.
pub async fn layer(
    State(idempotency): State<Idempotency>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    match idempotency.keyed(&parts).await {
        Ok(Some(keyed)) => {
            // The caller may hang up.
            let db = idempotency.db.clone();
            let answer = db.run_to_completion(idempotency.answer(keyed, parts, body, next)).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        }
        Ok(None) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    }
}

impl Idempotency {
    /// The key of a request and who shows it, where its answer is kept.
    async fn keyed(&self, request: &Parts) -> Result<Option<(String, Credentials)>> {
        let (method, path) = (&request.method, request.uri.path());
        if !takes_key(method, path) {
            return Ok(None);
        }
        let key = key::key_of(&request.headers);
        if matches!(key, Ok(None)) {
            return Ok(None);
        }
        let authenticated = match request.extensions.get::<Authenticated>() {
            Some(authenticated) => authenticated.clone(),
            None => self.authenticator.authenticate(method, path, &request.headers).await,
        };
        let Some(credentials) = authenticated.valid() else { return Ok(None) };
        Ok(key?.map(|key| (key, credentials.clone())))
    }

    /// Where the answer to a request with this key is kept.
    fn request_hash(
        &self,
        (key, credentials): &(String, Credentials),
        request: &Parts,
        body: &[u8],
    ) -> Vec<u8> {
        let credentials = self.authenticator.for_body(credentials, body);
        // An answer may say what only these rights let one know.
        let ((kind, id), rights) = (credentials.caller(), credentials.rights());
        let caller = [kind.as_str(), id.as_str(), &rights];
        key::request_hash(&caller, &request.method, request.uri.path(), key)
    }

    /// The answer to a request with a key: the one that was given, or else a new one.
    async fn answer(
        self,
        keyed: (String, Credentials),
        parts: Parts,
        body: Body,
        next: Next,
    ) -> Result<Response> {
        let RawBody(body) = RawBody::from_request(Request::new(body), &()).await?;
        let request_hash = self.request_hash(&keyed, &parts, &body);
        let body_hash = Sha256::digest(&body).to_vec();
        let _run = match self.running.entry(request_hash.clone()) {
            Entry::Occupied(running) if *running.get() == body_hash => return Err(running_still()),
            Entry::Occupied(_) => return Err(other_body()),
            Entry::Vacant(free) => {
                free.insert(body_hash.clone());
                Run { request_hash: request_hash.clone(), running: self.running.clone() }
            }
        };
        match store::claim(&self.db, request_hash, body_hash).await? {
            Claim::Run(claimed) => {
                let request = Request::from_parts(parts, Body::from(body));
                self.run(claimed, request, next).await
            }
            Claim::Done(answer) => Ok(replay(answer)),
            Claim::DoneWithoutAnswer => Err(Error::new(
                Code::Conflict,
                "This request was carried out; its answer was not kept.",
            )),
            Claim::Running => Err(running_still()),
            Claim::OtherBody => Err(other_body()),
        }
    }

    /// Carries a request out and keeps its answer, or gives the claim back where that is not to be
    /// repeated.
    async fn run(self, claimed: Claimed, request: Request, next: Next) -> Result<Response> {
        let attempt = Arc::new(Attempt::new(claimed));
        let work = accompanied(Some(attempt.clone()), attempt.clone().render_in(next.run(request)));
        // In a task of its own, so that a panic does not keep the claim.
        let ran = match self.db.run_to_completion(work.map(Ok)).await {
            Ok(response) => whole(response).await,
            Err(error) => Err(error),
        };
        let kept = ran.as_ref().ok().filter(|(response, _)| is_kept(response.status()));
        let settled = match kept {
            Some((_, answer)) if attempt.has_kept(answer) => Ok(()),
            Some((_, answer)) => store::finish(&self.db, &attempt.claimed, answer.clone()).await,
            None => store::release(&self.db, &attempt.claimed).await,
        };
        if let Err(error) = settled {
            tracing::warn!(?error, "the answer to a request with a key was not kept");
        }
        ran.map(|(response, _)| response)
    }
}

fn running_still() -> Error {
    let sentence = "A request with this Idempotency-Key is still being carried out.";
    Error::new(Code::Conflict, sentence).with_retry_after(RETRY_AFTER)
}

fn other_body() -> Error {
    Error::new(Code::InvalidPayload, "This Idempotency-Key came with another body before.")
}

/// Whether an answer is given again. The others may be different the next time.
fn is_kept(status: StatusCode) -> bool {
    const PASSING: [StatusCode; 3] =
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !PASSING.contains(&status)
}

fn replay(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body.unwrap_or_default()));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    let content_type = answer.content_type.and_then(|value| HeaderValue::try_from(value).ok());
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
