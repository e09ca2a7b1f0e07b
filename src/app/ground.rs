//! What all else is built on: the settings, and what is made of them alone.

use std::sync::Arc;

use super::catalogue::events;
use crate::{
    auth::{Authenticator, Minter},
    clock::Clock,
    cluster::Cluster,
    config::Config,
    limits::CallerRates,
    metrics,
    origin::OriginPolicy,
    realtime::{Catalogue, Realtime},
    rest::{Layers, health::Readiness},
    tasks::Tasks,
};

/// What a server has before it has a store or a port. Its tasks end with it.
pub(super) struct Ground {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) metrics: metrics::Handle,
    pub(super) origins: OriginPolicy,
    pub(super) layers: Layers,
    pub(super) authenticator: Authenticator,
    pub(super) minter: Option<Minter>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) callers: CallerRates,
    pub(super) readiness: Readiness,
    /// The other nodes, where there are some.
    pub(super) cluster: Option<Cluster>,
    pub(super) tasks: Tasks,
}

impl Ground {
    /// Reads the keys, and gets ready what is the same for every request.
    ///
    /// # Errors
    /// When a key, an origin or what is said of Redis can't be used.
    pub(super) fn lay(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let metrics = metrics::install()?;
        let origins = config.origin_policy()?;
        Ok(Self {
            layers: Layers::new(&config.server, config.log.slow_request, origins.clone()),
            authenticator: Authenticator::new(&config.auth, origins.clone(), clock.clone())?,
            minter: Minter::configured(&config.auth)?,
            catalogue: Arc::new(counted(events())),
            callers: CallerRates::new(&config.limits),
            readiness: Readiness::new(config.auth.handshake),
            cluster: Cluster::configured(&config.cluster, &clock)?,
            tasks: Tasks::default(),
            config,
            clock,
            metrics,
            origins,
        })
    }

    /// The hub and the engine, which let nobody in yet.
    pub(super) fn realtime(&self) -> Realtime {
        Realtime::start(
            &self.config,
            self.catalogue.clone(),
            self.authenticator.verifier().clone(),
            self.origins.clone(),
            self.clock.clone(),
            self.callers.clone(),
            &self.tasks,
        )
        .among(self.cluster.clone())
    }
}

/// Has its events there where they are counted, with 0.
fn counted(catalogue: Catalogue) -> Catalogue {
    for event in catalogue.iter().map(|event| event.name) {
        if catalogue.heard(event).is_some() {
            let _ = metrics::events_in(event, "ok");
        }
        if catalogue.sent(event).is_some() {
            let _ = (metrics::events_out(event), metrics::broadcast_duration(event));
        }
    }
    catalogue
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
