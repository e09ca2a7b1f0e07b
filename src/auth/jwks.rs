//! A JWK set from a file or a URL, kept in memory. It is loaded again as tokens ask for it: when it
//! is old, and when a token names a key that is not in it. One load at a time, whose end everyone
//! waits for who has to; while the source is away or hangs, the keys last loaded stay.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};
use reqwest::{Client, redirect};
use tokio::{io::AsyncReadExt, sync::watch, time::timeout};

use super::{
    SetupError, TokenError,
    keys::{KeySet, Signed},
};
use crate::{
    clock::{Clock, Timestamp},
    config::ShortSecret,
    tasks::Tasks,
};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The setting of the source.
const SETTING: &str = "JWT_JWKS";
/// A JWK set is refused above this size.
const MAX_BYTES: usize = 1_000_000;
/// Until a source has answered in full.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long who finds the keys old waits for new ones, which may lack one of the old.
const REFRESH_WAIT: Duration = Duration::from_secs(2);
/// From the end of a load from a URL to the next one, so that made-up key names can't flood it.
const URL_PAUSE: Duration = Duration::from_secs(30);
/// The same for a file, or while there are no keys at all.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// The set, and where it comes from.
pub(super) struct Jwks(Arc<Inner>);

struct Inner {
    source: Source,
    refresh: Duration,
    /// Whether secrets may be short.
    short: ShortSecret,
    clock: Clock,
    loaded: ArcSwapOption<Loaded>,
    loading: Mutex<Loading>,
    tasks: Tasks,
}

enum Source {
    File(PathBuf),
    Url { client: Client, url: reqwest::Url },
}

struct Loaded {
    keys: KeySet,
    at: Timestamp,
}

/// The load that is under way, and the last one.
#[derive(Default)]
struct Loading {
    /// Closed when the load has ended.
    running: Option<watch::Receiver<()>>,
    ended: Option<Timestamp>,
    failing: bool,
}

/// A load to wait for.
struct Load {
    /// Whether it began for who holds this.
    own: bool,
    running: watch::Receiver<()>,
}

impl Load {
    async fn ended(mut self) {
        // Nothing is ever sent: it ends with the sender.
        let _ = self.running.changed().await;
    }
}

impl Jwks {
    /// Takes a file, which must be there, or a URL, which is asked when the first token comes.
    pub(super) fn new(
        source: &str,
        refresh: Duration,
        short: ShortSecret,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let mut loaded = None;
        let source = if source.starts_with("https://") || source.starts_with("http://") {
            Source::url(source)?
        } else {
            let text = std::fs::read(source).map_err(|error| {
                SetupError::new(SETTING, format!("neither URL nor file: {error}"))
            })?;
            let (keys, unusable) = KeySet::parse(&text, short)
                .map_err(|error| SetupError::new(SETTING, format!("not a JWK set: {error}")))?;
            if !unusable.is_empty() {
                return Err(SetupError::new(SETTING, unusable.join("; ")));
            }
            loaded = Some(Arc::new(Loaded { keys, at: clock.now() }));
            Source::File(source.into())
        };
        Ok(Self(Arc::new(Inner {
            source,
            refresh,
            short,
            clock,
            loaded: ArcSwapOption::new(loaded),
            loading: Mutex::default(),
            tasks: Tasks::default(),
        })))
    }

    /// Checks a signature with the set's keys, after loading them again if need be.
    pub(super) async fn check(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        let loaded = self.current().await?;
        match loaded.keys.check(signed) {
            Err(_) if !loaded.keys.has(signed.kid.as_deref()) => {
                self.reload().await?.keys.check(signed)
            }
            checked => checked,
        }
    }

    /// The keys, loaded again when they are old. Only who begins that waits for it, and not for
    /// long; the others take the old ones meanwhile.
    async fn current(&self) -> Result<Arc<Loaded>, TokenError> {
        let Some(loaded) = self.0.loaded.load_full() else {
            return self.reload().await;
        };
        if loaded.at.until(self.0.clock.now()) < self.0.max_age() {
            return Ok(loaded);
        }
        match self.begin() {
            Some(load) if load.own => {
                let _ = timeout(REFRESH_WAIT, load.ended()).await;
                Ok(self.0.loaded.load_full().unwrap_or(loaded))
            }
            _ => Ok(loaded),
        }
    }

    /// The keys as of the load that is under way, or of a new one if the last is long enough ago.
    async fn reload(&self) -> Result<Arc<Loaded>, TokenError> {
        if let Some(load) = self.begin() {
            load.ended().await;
        }
        self.0.loaded.load_full().ok_or(TokenError::KeysUnavailable)
    }

    /// The load that is under way, or a new one; none soon after the last.
    fn begin(&self) -> Option<Load> {
        let mut loading = self.0.loading();
        // One that was interrupted is closed as well.
        if let Some(running) = loading.running.as_ref().filter(|it| it.has_changed().is_ok()) {
            return Some(Load { own: false, running: running.clone() });
        }
        let since = loading.ended.map(|ended| ended.until(self.0.clock.now()));
        if since.is_some_and(|since| since < self.0.pause()) {
            return None;
        }
        let (ending, running) = watch::channel(());
        loading.running = Some(running.clone());
        let inner = Arc::clone(&self.0);
        // In a task of its own: a caller that goes away does not end the load for the others.
        self.0.tasks.spawn_until_stopped("keys", async move {
            inner.load().await;
            drop(ending);
        });
        Some(Load { own: true, running })
    }
}

impl Inner {
    fn loading(&self) -> MutexGuard<'_, Loading> {
        self.loading.lock()
    }

    fn max_age(&self) -> Duration {
        match self.source {
            Source::File(_) => SHORT_PAUSE.min(self.refresh),
            Source::Url { .. } => self.refresh,
        }
    }

    fn pause(&self) -> Duration {
        let pause = match self.source {
            Source::Url { .. } if self.loaded.load().is_some() => URL_PAUSE,
            _ => SHORT_PAUSE,
        };
        pause.min(self.refresh)
    }

    /// Loads the set; logs the first failure of a row, and its end.
    async fn load(&self) {
        let read = timeout(TIMEOUT, self.source.read()).await;
        let read = read.unwrap_or_else(|_| Err("it took too long".into()));
        let now = self.clock.now();
        let mut loading = self.loading();
        loading.ended = Some(now);
        match read.and_then(|text| KeySet::parse(&text, self.short).map_err(Cause::from)) {
            Ok((keys, unusable)) => {
                for problem in unusable {
                    tracing::warn!("{SETTING}: {problem}");
                }
                if loading.failing {
                    tracing::info!("{SETTING}: loaded again");
                }
                if keys.is_empty() {
                    tracing::warn!("{SETTING}: no usable key in it");
                }
                loading.failing = false;
                self.loaded.store(Some(Arc::new(Loaded { keys, at: now })));
            }
            Err(error) if !loading.failing => {
                loading.failing = true;
                tracing::warn!(error, "{SETTING}: not loaded, the keys from before stay");
            }
            Err(_) => {}
        }
    }
}

impl Source {
    fn url(url: &str) -> Result<Self, SetupError> {
        let url: reqwest::Url =
            url.parse().map_err(|error| SetupError::new(SETTING, format!("{error}")))?;
        let secure = url.scheme() == "https";
        if !secure {
            tracing::warn!("{SETTING}: over plain http, anyone on the way can make tokens");
        }
        // Fails where the process has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .https_only(secure)
            .redirect(redirect::Policy::limited(3))
            .build()
            .map_err(|error| SetupError::new(SETTING, format!("{error}")))?;
        Ok(Self::Url { client, url })
    }

    async fn read(&self) -> Result<Vec<u8>, Cause> {
        let mut text = Vec::new();
        match self {
            Self::File(path) => {
                let limit = MAX_BYTES as u64 + 1;
                tokio::fs::File::open(path).await?.take(limit).read_to_end(&mut text).await?;
            }
            Self::Url { client, url } => {
                // Without the URL, which may hold credentials.
                let public = reqwest::Error::without_url;
                let response = client.get(url.clone()).send().await.map_err(public)?;
                let mut response = response.error_for_status().map_err(public)?;
                while text.len() <= MAX_BYTES
                    && let Some(chunk) = response.chunk().await.map_err(public)?
                {
                    text.extend_from_slice(&chunk);
                }
            }
        }
        if text.len() > MAX_BYTES { Err("it is larger than 1 MB".into()) } else { Ok(text) }
    }
}
