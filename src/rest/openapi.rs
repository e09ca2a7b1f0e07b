//! The OpenAPI document and a page that shows it: `/api/openapi.json` and `/api/docs`.
//!
//! A room registers each route once, for axum and for the document, in its `http.rs`:
//!
//! ```
//! use stoa::{error::Result, rest::{body::Path, openapi}, id::Id};
//! use utoipa_axum::{router::OpenApiRouter, routes};
//!
//! /// Archives a conversation.
//! ///
//! /// Archiving it again changes nothing.
//! #[utoipa::path(post, path = "/api/conversations/{id}/archive", tag = "Chat",
//!     params(("id" = String, Path)),
//!     responses((status = 204, description = "Archived."), NoConversation))]
//! async fn archive(Path(_id): Path<Id>) -> Result<http::StatusCode> {
//!     Ok(http::StatusCode::NO_CONTENT)
//! }
//!
//! stoa::failures! {
//!     /// The conversation does not exist, or the caller may not know of it.
//!     NoConversation = NotFound, "There is no such conversation.";
//! }
//!
//! fn router() -> OpenApiRouter {
//!     openapi::under("Chat", "Conversations.").routes(routes!(archive))
//! }
//!
//! // The roof merges the rooms:
//! let (router, api) =
//!     OpenApiRouter::with_openapi(openapi::base()).merge(router()).split_for_parts();
//! let takes = openapi::Takes {
//!     key: |_: &http::Method, _: &str| false,
//!     act_as: |_: &str| true,
//! };
//! let api = openapi::complete(api, &openapi::Examples::default(), &takes);
//! let router: axum::Router = router.merge(openapi::router(&api)?);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{
    HeaderName, Method,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, Object, OpenApi as Document, OpenApiBuilder, Ref, RefOr, Type,
        content::Content,
        path::{Operation, ParameterBuilder, ParameterIn},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    failures::{self, Called},
    problem::Problem,
};

/// A page of documents loads its own files and asks its own server; nothing from elsewhere, and no text
/// becomes markup.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// Name, content type and content of each file of the page.
const FILES: [(&str, &str, &str); 5] = [
    ("docs.js", SCRIPT, include_str!("docs/docs.js")),
    ("credentials.js", SCRIPT, include_str!("docs/credentials.js")),
    ("element.js", SCRIPT, include_str!("docs/element.js")),
    ("try.js", SCRIPT, include_str!("docs/try.js")),
    ("docs.css", "text/css", include_str!("docs/docs.css")),
];

const SCRIPT: &str = "text/javascript";

#[derive(OpenApi)]
#[openapi(
    info(title = "Stoa", description = include_str!("docs/about.md")),
    servers((url = "/", description = "This server.")),
    components(schemas(Problem)),
    modifiers(&Credentials),
    security(("token" = []), ("cookie" = []), ("query" = []), ("apiKey" = []))
)]
struct Base;

/// How a caller says who it is. An open operation says `security(())`.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut Document) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("A JWT of this server, or of another app with the same key."))
            .build();
        let cookie = ApiKeyValue::with_description(
            "token",
            "The JWT in a cookie; also `accessToken`, or those that `AUTH_COOKIES` names.",
        );
        let query = ApiKeyValue::with_description(
            "token",
            "The JWT in the query, where `AUTH_QUERY` names the parameter; nowhere by default.",
        );
        let key =
            ApiKeyValue::with_description("X-Api-Key", "One of `API_KEYS`, for a backend service.");
        let components = api.components.get_or_insert_default();
        for (name, scheme) in [
            ("token", SecurityScheme::Http(token)),
            ("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
            ("query", SecurityScheme::ApiKey(ApiKey::Query(query))),
            ("apiKey", SecurityScheme::ApiKey(ApiKey::Header(key))),
        ] {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// The document without its operations, which the rooms bring.
#[must_use]
pub fn base() -> Document {
    Base::openapi()
}

/// Where a room's routes go, under a heading of its own in the document: the `tag` of its operations,
/// and what they are about.
#[must_use]
pub fn under<S: Clone + Send + Sync + 'static>(
    tag: &str,
    about: impl Into<String>,
) -> OpenApiRouter<S> {
    let tag = TagBuilder::new().name(tag).description(Some(about)).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().tags(Some([tag])).build())
}

/// A request and its answers as they were seen, by the id of their operation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Examples(BTreeMap<String, Example>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// The body of the request, where it has one.
    request: Option<Value>,
    /// The bodies of the answers, by status.
    #[serde(default)]
    answers: BTreeMap<String, Value>,
}

impl Examples {
    /// Reads them from the JSON of several files.
    ///
    /// # Errors
    /// When it is none, or has other members.
    pub fn read(files: &[&str]) -> Result<Self, serde_json::Error> {
        let mut all = BTreeMap::new();
        for file in files {
            let Self(some) = serde_json::from_str(file)?;
            all.extend(some);
        }
        Ok(Self(all))
    }
}

/// Which requests take the headers that many of them take.
#[derive(Clone, Copy, Debug)]
pub struct Takes<K, A> {
    /// Whether a request of this method to this path takes an `Idempotency-Key`.
    pub key: K,
    /// Whether one to this path takes `X-Act-As`.
    pub act_as: A,
}

/// A header that many operations take: its name among the document's parameters, how it is written, what
/// is shown as one, and what it says.
type Header = (&'static str, &'static str, &'static str, &'static str);

/// By which a POST is known again.
const IDEMPOTENCY_KEY: Header = (
    "IdempotencyKey",
    "Idempotency-Key",
    "7f9c2ba4-e88f-427d",
    "Of 1 to 255 visible ASCII characters. The same request with the same key is answered again for 24 \
     hours, with `Idempotency-Replayed: true`, and done once.",
);

/// By which a service acts for a user.
const ACT_AS: [Header; 2] = [
    (
        "ActAs",
        "X-Act-As",
        "ann",
        "The id of a user for whom the calling service acts: the call is answered as that user. An API \
         key needs the scope `act`.",
    ),
    (
        "ActAsRoles",
        "X-Act-As-Roles",
        "seller",
        "What that user is, with commas between; without it they have no role, as a token without one. \
         `admin` takes an API key.",
    ),
];

/// Declares them, once.
fn add_headers(components: &mut Components) {
    for (key, name, example, about) in [IDEMPOTENCY_KEY].into_iter().chain(ACT_AS) {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .description(Some(about))
            .schema(Some(Object::with_type(Type::String)))
            .example(Some(example.into()))
            .build();
        components.parameters.insert(key.to_owned(), parameter.into());
    }
}

/// The merged document, complete: every operation has the examples of it, the headers that many take,
/// and what it fails by.
#[must_use]
pub fn complete(
    mut api: Document,
    examples: &Examples,
    takes: &Takes<impl Fn(&Method, &str) -> bool, impl Fn(&str) -> bool>,
) -> Document {
    let components = api.components.get_or_insert_default();
    failures::add_shared(components);
    add_headers(components);
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ] {
            let Some(operation) = operation else { continue };
            let called = Called {
                changes: !method.is_safe(),
                takes_key: (takes.key)(&method, path),
                takes_act_as: (takes.act_as)(path),
            };
            failures::complete(operation, called);
            if !failures::is_open(operation) {
                let key = called.takes_key.then_some(IDEMPOTENCY_KEY);
                let act_as = called.takes_act_as.then_some(ACT_AS).into_iter().flatten();
                for (key, ..) in key.into_iter().chain(act_as) {
                    let named = Ref::new(format!("#/components/parameters/{key}"));
                    operation.parameters.get_or_insert_default().push(RefOr::Ref(named));
                }
            }
            show(operation, examples);
            for text in [&mut operation.summary, &mut operation.description] {
                *text = text.take().map(|text| one_line_a_paragraph(&text));
            }
        }
    }
    api
}

/// Puts the examples of an operation where its bodies are described.
fn show(operation: &mut Operation, examples: &Examples) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let Some(example) = examples.0.get(id) else { return };
    let put = |content: Option<&mut RefOr<Content>>, example: &Value| {
        if let Some(RefOr::T(content)) = content {
            content.example = Some(example.clone());
        }
    };
    if let (Some(RefOr::T(body)), Some(request)) = (&mut operation.request_body, &example.request) {
        put(body.content.values_mut().next(), request);
    }
    for (status, answer) in &example.answers {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
            put(response.content.values_mut().next(), answer);
        }
    }
}

/// Comments are broken into lines where the source is.
fn one_line_a_paragraph(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n");
    paragraphs.map(|lines| lines.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

/// Serves the document and its page.
///
/// # Errors
/// When the document can't be written as JSON.
pub fn router<S: Clone + Send + Sync + 'static>(
    api: &Document,
) -> Result<Router<S>, serde_json::Error> {
    let json = Bytes::from(api.to_json()?);
    let page = file("text/html; charset=utf-8", include_str!("docs/index.html"));
    let router = Router::new()
        .route("/api/openapi.json", get(file("application/json", json)))
        .route("/api/docs", get(([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], page)));
    Ok(FILES.into_iter().fold(router, |router, (name, kind, content)| {
        router.route(&format!("/api/docs/{name}"), get(file(kind, content)))
    }))
}

/// An answer that is always the same.
const fn file<T>(kind: &'static str, content: T) -> ([(HeaderName, &'static str); 1], T) {
    ([(CONTENT_TYPE, kind)], content)
}
