//! The client that pages load from the server, as Node's hands it out: `/socket.io/socket.io.js` and its
//! like (docs/contract/events.md#the-client). From a folder with the files of `socket.io-client`, or
//! from where its makers have them.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{any_service, get},
};
use http::{
    HeaderValue, Method, StatusCode, Uri,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, LOCATION, ORIGIN, RANGE, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use tower_http::services::ServeFile;

use crate::{config::RealtimeConfig, origin::OriginPolicy};

/// The client's builds, each of which has a map beside it.
const BUILDS: [&str; 4] =
    ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"];

/// Where its makers have each version.
const CDN: &str = "https://cdn.socket.io";

/// A folder that is to have the client and has not.
#[derive(Debug, thiserror::Error)]
#[error("realtime.client_dir: there is no {} in {}", BUILDS[0], .0.display())]
pub struct NoClient(PathBuf);

/// Where the client is.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    folder: Option<PathBuf>,
    version: Arc<str>,
}

impl ClientFiles {
    /// As configured.
    ///
    /// # Errors
    /// [`NoClient`]
    pub fn new(config: &RealtimeConfig) -> Result<Self, NoClient> {
        let folder = config.client_dir.clone();
        match folder {
            Some(folder) if !folder.join(BUILDS[0]).is_file() => Err(NoClient(folder)),
            folder => Ok(Self { folder, version: config.client_version.as_str().into() }),
        }
    }

    /// The routes; pages of these origins may read what they load.
    pub fn router(self, origins: OriginPolicy) -> Router {
        let names = BUILDS.iter().flat_map(|build| [(*build).to_owned(), format!("{build}.map")]);
        let router = names.fold(Router::new(), |router, name| {
            let path = format!("/socket.io/{name}");
            if let Some(folder) = &self.folder {
                let file = folder.join(name);
                if file.is_dir() {
                    return router;
                }
                let file = ServeFile::new(file);
                let file = file.precompressed_br().precompressed_gzip();
                router.route(&path, any_service(file))
            } else {
                let there = format!("{CDN}/{}/{name}", self.version);
                let answer = async move || (StatusCode::FOUND, [(LOCATION, there)]);
                router.route(&path, get(answer))
            }
        });
        router.layer(from_fn_with_state(origins, layer))
    }
}

/// Middleware: what Node says of these files, and who may read them.
async fn layer(State(origins): State<OriginPolicy>, mut request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return origins.preflight(request.headers(), None);
    }
    let kind = kind(request.uri());
    let origin = request.headers().get(ORIGIN).cloned();
    let origin = origin.filter(|_| origins.allows(request.headers()));
    // A file is given whole, as any server may (RFC 9110, section 14.2): what is no range is no fault.
    request.headers_mut().remove(RANGE);
    let mut response = next.run(request).await;
    let is_file = response.status().is_success();
    let headers = response.headers_mut();
    headers.remove(ACCEPT_RANGES);
    if is_file {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    // Asked for again each time, and answered with a 304: the server's next version may bring another.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    OriginPolicy::apply(origin.as_ref(), headers);
    response
}

fn kind(uri: &Uri) -> &'static str {
    let is_map = uri.path().rsplit('.').next() == Some("map");
    if is_map { "application/json" } else { "text/javascript; charset=utf-8" }
}
