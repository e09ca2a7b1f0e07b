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

const STYLE: &str = "text/css; charset=utf-8";

pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, content type and content of each file.
pub(in crate::admin) const FILES: &[(&str, &str, &str)] = &[
    ("console.css", STYLE, include_str!("../console/console.css")),
    ("panels.css", STYLE, include_str!("../console/panels.css")),
    ("charts.css", STYLE, include_str!("../console/charts.css")),
    ("icon.svg", "image/svg+xml", include_str!("../console/icon.svg")),
    ("main.js", SCRIPT, include_str!("../console/main.js")),
    ("pages.js", SCRIPT, include_str!("../console/pages.js")),
    ("router.js", SCRIPT, include_str!("../console/router.js")),
    ("address.js", SCRIPT, include_str!("../console/address.js")),
    ("session.js", SCRIPT, include_str!("../console/session.js")),
    ("api.js", SCRIPT, include_str!("../console/api.js")),
    ("element.js", SCRIPT, include_str!("../console/element.js")),
    ("words.js", SCRIPT, include_str!("../console/words.js")),
    ("history.js", SCRIPT, include_str!("../console/history.js")),
    ("chart.js", SCRIPT, include_str!("../console/chart.js")),
    ("overview.js", SCRIPT, include_str!("../console/overview.js")),
    ("people.js", SCRIPT, include_str!("../console/people.js")),
    ("rooms.js", SCRIPT, include_str!("../console/rooms.js")),
    ("events.js", SCRIPT, include_str!("../console/events.js")),
    ("why.js", SCRIPT, include_str!("../console/why.js")),
    ("money.js", SCRIPT, include_str!("../console/money.js")),
    ("sale.js", SCRIPT, include_str!("../console/sale.js")),
    ("dialog.js", SCRIPT, include_str!("../console/dialog.js")),
    ("store.js", SCRIPT, include_str!("../console/store.js")),
    ("system.js", SCRIPT, include_str!("../console/system.js")),
    ("catalogue.js", SCRIPT, include_str!("../console/catalogue.js")),
    ("playground.js", SCRIPT, include_str!("../console/playground.js")),
    ("send.js", SCRIPT, include_str!("../console/send.js")),
    ("client.js", SCRIPT, include_str!("../console/client.js")),
    ("frames.js", SCRIPT, include_str!("../console/frames.js")),
];

pub(super) fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Admin: FromRef<S>,
{
    let files = files("/console", FILES);
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
