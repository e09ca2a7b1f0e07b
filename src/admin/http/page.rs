//! The console's page and its files, built into the binary; nothing is loaded from elsewhere.

use axum::{
    Router,
    extract::{FromRef, Request, State},
    response::{IntoResponse, Redirect},
    routing::get,
};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::admin::service::Admin;

/// The page loads its own files and asks its own server. It draws with text, never with markup.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const PAGE: &str = include_str!("../console/index.html");

/// Stands in the page where a developer is offered the login.
const DEVELOPER_HERE: &str = "<!-- developer -->";

const DEVELOPER: &str = include_str!("../console/developer.html");

pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, content type and content of each file.
pub(in crate::admin) const FILES: [(&str, &str, &str); 12] = [
    ("console.css", "text/css; charset=utf-8", include_str!("../console/console.css")),
    ("panels.css", "text/css; charset=utf-8", include_str!("../console/panels.css")),
    ("icon.svg", "image/svg+xml", include_str!("../console/icon.svg")),
    ("main.js", SCRIPT, include_str!("../console/main.js")),
    ("session.js", SCRIPT, include_str!("../console/session.js")),
    ("api.js", SCRIPT, include_str!("../console/api.js")),
    ("element.js", SCRIPT, include_str!("../console/element.js")),
    ("metrics.js", SCRIPT, include_str!("../console/metrics.js")),
    ("figures.js", SCRIPT, include_str!("../console/figures.js")),
    ("rooms.js", SCRIPT, include_str!("../console/rooms.js")),
    ("presence.js", SCRIPT, include_str!("../console/presence.js")),
    ("emit.js", SCRIPT, include_str!("../console/emit.js")),
];

pub(super) fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Admin: FromRef<S>,
{
    let files = files("/console", &FILES);
    // Relative: a proxy may have put the server below a path of its own.
    let away = get(async || Redirect::permanent("../console"));
    files.route("/console", get(page)).route("/console/", away)
}

/// Files below a path.
pub(super) fn files<S>(below: &str, files: &[(&str, &'static str, &'static str)]) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    files.iter().fold(Router::new(), |router, (name, kind, content)| {
        let file = ([(CONTENT_TYPE, *kind)], *content);
        router.route(&format!("{below}/{name}"), get(async move || file))
    })
}

async fn page(State(admin): State<Admin>, request: Request) -> impl IntoResponse {
    let login = admin.login_for(request.extensions(), request.headers());
    let page = PAGE.replace(DEVELOPER_HERE, if login.is_some() { DEVELOPER } else { "" });
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, page)
}
