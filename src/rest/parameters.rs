//! The parameters of queries: an operation has those that its description names, and others are refused
//! as fields of a body are (docs/contract/rest.md#conventions). Whoever misspells one is told, and not
//! answered as if they had asked for everything.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::extract::{MatchedPath, Request};
use http::Method;
use url::form_urlencoded;
use utoipa::openapi::{OpenApi as Document, RefOr, path::ParameterIn};

use super::{
    failures::is_open,
    read::{many_invalid, push},
};
use crate::error::{FieldError, Result};

/// The longest name that is told back.
const MAX_NAME: usize = 100;

/// The parameters of each operation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parameters(Arc<HashMap<(Method, String), Known>>);

#[derive(Debug)]
struct Known {
    names: BTreeSet<String>,
    /// Whether it needs no credentials.
    is_open: bool,
}

impl Parameters {
    /// Those that a description names.
    #[must_use]
    pub fn of(description: &Document) -> Self {
        let mut operations = HashMap::new();
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
                let known = Known { names: of_query.collect(), is_open: is_open(operation) };
                operations.insert((method, path.clone()), known);
            }
        }
        Self(Arc::new(operations))
    }

    /// Refuses a request with another parameter. Without credentials it is left to the operation, where
    /// that takes some: its refusal comes first.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload) with each of them.
    pub fn check(&self, request: &Request, has_credentials: bool) -> Result<()> {
        let Some(query) = request.uri().query() else { return Ok(()) };
        let Some(path) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
        let method = match *request.method() {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        // What is answered otherwise is no operation.
        let Some(known) = self.0.get(&(method, path.as_str().to_owned())) else { return Ok(()) };
        let given = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
        let unknown: BTreeSet<_> = given.filter(|name| !known.names.contains(name)).collect();
        if unknown.is_empty() || !(known.is_open || has_credentials) {
            Ok(())
        } else {
            Err(many_invalid(refused(unknown)))
        }
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
