//! The operator's room, beside the roof: `/console`, a page for whoever looks after this server,
//! and what that page asks for that no room below answers.

mod developer;
mod page;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{Router, extract::FromRef};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::developer::DeveloperLogin;
use crate::{
    auth::{Authenticator, SetupError},
    clock::{Clock, Timestamp},
    config::{Config, Environment},
    http::openapi,
    metrics,
};

/// What the operator's room knows of this node. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    clock: Clock,
    started: Timestamp,
    environment: Environment,
    metrics: metrics::Handle,
    developer: Option<DeveloperLogin>,
}

impl Admin {
    /// Of a node that starts now.
    ///
    /// # Errors
    /// When the secret that would sign a developer's token can't be used.
    pub fn new(
        config: &Config,
        metrics: metrics::Handle,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Inner {
            developer: DeveloperLogin::new(config)?,
            started: clock.now(),
            environment: config.environment,
            clock,
            metrics,
        })))
    }

    /// The code that lets a developer into the console, once; none where nobody is a developer.
    #[must_use]
    pub fn login_code(&self) -> Option<&str> {
        self.0.developer.as_ref().map(DeveloperLogin::code)
    }
}

/// The operations that stand in the API's description.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Admin: FromRef<S>,
{
    openapi::under("Operations", "How this node does, for its operators.")
        .routes(routes!(status::status))
        .routes(routes!(status::metrics))
        .routes(routes!(developer::login))
}

/// The page and its files.
pub fn console<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Admin: FromRef<S>,
{
    page::router()
}
