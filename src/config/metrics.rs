//! `[metrics]`: where metrics are served.

use serde::{Deserialize, Serialize};

use super::notation;

/// `[metrics]`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsConfig {
    /// `METRICS_PORT`: serves `/metrics` there instead of on the public port.
    #[serde(default, deserialize_with = "notation::port")]
    pub port: Option<u16>,
}
