//! `/` in development: what runs, and a playground where events are heard. In production there is
//! nothing there.

use std::fmt::Write;

use axum::{
    Json, Router,
    extract::{FromRef, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use super::page::{POLICY, SCRIPT, files};
use crate::{
    admin::{documents::Playground, service::Admin},
    error::{Code, Error, Result},
};

const PAGE: &str = include_str!("../welcome/index.html");

/// Stands in the page where it says what runs; a list of words follows.
const ABOUT_HERE: &str = "<!-- about -->";

/// Stands in the page where the playground is, or why there is none.
const PLAYGROUND_HERE: &str = "<!-- playground -->";

const PLAYGROUND: &str = include_str!("../welcome/playground.html");

const NO_PLAYGROUND: &str = include_str!("../welcome/elsewhere.html");

/// Name, content type and content of each file.
pub(in crate::admin) const FILES: [(&str, &str, &str); 3] = [
    ("welcome.css", "text/css; charset=utf-8", include_str!("../welcome/welcome.css")),
    ("welcome.js", SCRIPT, include_str!("../welcome/welcome.js")),
    ("socket.js", SCRIPT, include_str!("../welcome/socket.js")),
];

pub(super) fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Admin: FromRef<S>,
{
    files("/welcome", &FILES).route("/", get(page)).route("/welcome/playground", post(playground))
}

async fn page(State(admin): State<Admin>, request: Request) -> Response {
    let Some(about) = admin.about() else { return StatusCode::NOT_FOUND.into_response() };
    let may_play = admin.may_play(request.extensions(), request.headers());
    // Our own words, which have nothing to escape.
    let words = about.iter().fold(String::new(), |mut words, (name, value)| {
        let _ = write!(words, "<dt>{name}</dt><dd>{value}</dd>");
        words
    });
    let page = PAGE
        .replace(ABOUT_HERE, &words)
        .replace(PLAYGROUND_HERE, if may_play { PLAYGROUND } else { NO_PLAYGROUND });
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, page).into_response()
}

/// Tokens for the players, for the page alone.
async fn playground(State(admin): State<Admin>, request: Request) -> Result<Json<Playground>> {
    if !admin.may_play(request.extensions(), request.headers()) {
        return Err(Error::new(Code::NotFound, "There is nothing here."));
    }
    admin.playground().map(Json)
}
