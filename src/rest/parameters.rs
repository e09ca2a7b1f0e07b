//! The parameters of queries: an operation has those that its description names, and others are refused
//! as fields of a body are (docs/contract/rest.md#conventions). Whoever misspells one is told, and not
//! answered as if they had asked for everything.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Method;
use url::form_urlencoded;
use utoipa::openapi::{OpenApi as Document, RefOr, path::ParameterIn};

use super::read::{many_invalid, push};
use crate::error::{FieldError, Result};

/// The longest name that is told back.
const MAX_NAME: usize = 100;

/// The parameters of each operation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parameters(Arc<HashMap<(Method, String), BTreeSet<String>>>);

impl Parameters {
    /// Those that a description names.
    #[must_use]
    pub fn of(description: &Document) -> Self {
        let mut names = HashMap::new();
        for (path, item) in &description.paths.paths {
            for (method, operation) in [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                let Some(operation) = operation else { continue };
                let of_query = operation.parameters.iter().flatten().filter_map(|one| match one {
                    RefOr::T(one) if one.parameter_in == ParameterIn::Query => {
                        Some(one.name.clone())
                    }
                    _ => None,
                });
                names.insert((method, path.clone()), of_query.collect());
            }
        }
        Self(Arc::new(names))
    }

    fn check(&self, request: &Request) -> Result<()> {
        let Some(query) = request.uri().query() else { return Ok(()) };
        let Some(path) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
        let method = match *request.method() {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        // What is answered otherwise is no operation.
        let Some(known) = self.0.get(&(method, path.as_str().to_owned())) else { return Ok(()) };
        let given = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
        let unknown: BTreeSet<_> = given.filter(|name| !known.contains(name)).collect();
        if unknown.is_empty() { Ok(()) } else { Err(many_invalid(refused(unknown))) }
    }
}

fn refused(unknown: BTreeSet<String>) -> Vec<FieldError> {
    let field = |name: String| {
        let mut pointer = String::new();
        if name.len() <= MAX_NAME {
            push(&mut pointer, &name);
        }
        FieldError { pointer, detail: "is not a known parameter".to_owned() }
    };
    unknown.into_iter().map(field).collect()
}

/// Middleware around the routes of a description.
pub async fn layer(State(parameters): State<Parameters>, request: Request, next: Next) -> Response {
    match parameters.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
