//! `[traces]`: where traces are sent.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use garde::Validate;
use serde::{Deserialize, Serialize};
use url::Url;

use super::rules::require;

/// `[traces]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
pub struct TracesConfig {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: a collector that takes OTLP over HTTP; unset makes no traces.
    #[garde(inner(custom(collector)))]
    pub endpoint: Option<String>,
}

fn collector(url: &str, (): &()) -> garde::Result {
    let is_one = Url::parse(url).is_ok_and(|url| {
        let is_plain =
            url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        is_plain && url.has_host() && matches!(url.scheme(), "http" | "https")
    });
    require(
        is_one,
        "has to be like http://host:4318, without a password; /v1/traces is added to it",
    )
}
