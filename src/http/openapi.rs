//! The OpenAPI document and a page that shows it: `/api/openapi.json` and `/api/docs`.
//!
//! A room registers each route once, for axum and for the document, in its `http.rs`:
//!
//! ```
//! use stoa::{error::Result, http::{body::Path, openapi}, id::Id};
//! use utoipa_axum::{router::OpenApiRouter, routes};
//!
//! /// Archives a conversation.
//! #[utoipa::path(post, path = "/api/conversations/{id}/archive", tag = "chat",
//!     params(("id" = String, Path)), responses((status = NO_CONTENT)))]
//! async fn archive(Path(_id): Path<Id>) -> Result<http::StatusCode> {
//!     Ok(http::StatusCode::NO_CONTENT)
//! }
//!
//! fn router() -> OpenApiRouter {
//!     OpenApiRouter::new().routes(routes!(archive))
//! }
//!
//! // The roof merges the rooms:
//! let (router, api) =
//!     OpenApiRouter::with_openapi(openapi::base()).merge(router()).split_for_parts();
//! let router: axum::Router = router.merge(openapi::router(api)?);
//! # Ok::<(), serde_json::Error>(())
//! ```

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{
    HeaderName,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document, Ref, Response,
        content::Content,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::problem::Problem;

/// The page loads its own two files and the document; nothing else, nothing from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stoa",
        description = "JSON over HTTP on the same port as Socket.IO. Failures are RFC 9457 problems."
    ),
    components(schemas(Problem)),
    modifiers(&Credentials),
    security(("token" = []), ("apiKey" = []))
)]
struct Base;

/// How a caller says who it is. An open operation says `security(())`.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut Document) {
        let token = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let key = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        components.add_security_scheme("apiKey", SecurityScheme::ApiKey(key));
    }
}

/// The document without its operations, which the rooms bring.
#[must_use]
pub fn base() -> Document {
    Base::openapi()
}

/// Serves the merged document and its page. Every operation is given the failure answer.
///
/// # Errors
/// When the document can't be written as JSON.
pub fn router<S: Clone + Send + Sync + 'static>(
    mut api: Document,
) -> Result<Router<S>, serde_json::Error> {
    for item in api.paths.paths.values_mut() {
        let known =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        known.into_iter().flatten().for_each(add_failure);
    }
    let json = Bytes::from(api.to_json()?);
    let page = file("text/html; charset=utf-8", include_str!("docs/index.html"));
    Ok(Router::new()
        .route("/api/openapi.json", get(file("application/json", json)))
        .route("/api/docs", get(([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], page)))
        .route("/api/docs/docs.js", get(file("text/javascript", include_str!("docs/docs.js"))))
        .route("/api/docs/docs.css", get(file("text/css", include_str!("docs/docs.css")))))
}

/// An answer that is always the same.
const fn file<T>(kind: &'static str, content: T) -> ([(HeaderName, &'static str); 1], T) {
    ([(CONTENT_TYPE, kind)], content)
}

fn add_failure(operation: &mut Operation) {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let failure = Response::builder()
        .description("What went wrong, by its code.")
        .content("application/problem+json", problem);
    operation.responses.responses.entry("default".into()).or_insert(failure.build().into());
}
