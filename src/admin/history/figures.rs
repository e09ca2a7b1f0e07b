//! The figures that are kept, and which metrics they are read from.

use std::time::Duration;

/// The time between two readings.
pub(super) const STEP: Duration = Duration::from_secs(10);

/// The time until the first of them.
pub(super) const FIRST_STEP: Duration = Duration::from_secs(1);

/// What is kept of each line: an hour. (docs/limits.md)
pub(super) const STEPS: usize = 360;

/// One of them: what a chart shows.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    pub(super) sources: &'static [Source],
}

/// What is kept of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A gauge as it is.
    Level,
    /// What a counter gained in a second.
    Rate,
    /// What a counter gained.
    Gain,
    /// The median and the 99th percentile of what a histogram was given.
    Quantiles,
}

/// A metric, of which samples it is read, and the line that each belongs to.
pub(super) struct Source {
    pub(super) metric: &'static str,
    /// Only those with this label.
    pub(super) only: Option<(&'static str, &'static str)>,
    pub(super) line: Line,
}

/// What a line is called.
#[derive(Clone, Copy)]
pub(super) enum Line {
    /// So.
    Named(&'static str),
    /// As the label of the sample.
    Label(&'static str),
    /// `ok`, or `refused` for what else became of it.
    Outcome,
    /// `2xx` and so on, as the label `status` begins.
    StatusClass,
}

const fn source(metric: &'static str, line: Line) -> Source {
    Source { metric, only: None, line }
}

const fn only(
    metric: &'static str,
    label: &'static str,
    value: &'static str,
    line: Line,
) -> Source {
    Source { metric, only: Some((label, value)), line }
}

const fn figure(
    name: &'static str,
    unit: &'static str,
    kind: Kind,
    sources: &'static [Source],
) -> Figure {
    Figure { name, unit, kind, sources }
}

use Kind::{Gain, Level, Quantiles, Rate};
use Line::{Label, Named, Outcome, StatusClass};

/// All of them, in the order in which they are shown.
pub(super) const FIGURES: &[Figure] = &[
    figure("connections", "", Level, &[source("stoa_connections", Label("namespace"))]),
    // Who is connected is in the room of their own.
    figure("users", "", Level, &[only("stoa_rooms", "kind", "user", Named("users"))]),
    figure("eventsIn", "/s", Rate, &[source("stoa_events_received_total", Outcome)]),
    figure(
        "eventsOut",
        "/s",
        Rate,
        &[
            source("stoa_events_delivered_total", Named("delivered")),
            source("stoa_volatile_events_dropped_total", Named("dropped")),
        ],
    ),
    figure(
        "broadcasts",
        "s",
        Quantiles,
        &[source("stoa_broadcast_duration_seconds", Named("broadcast"))],
    ),
    figure(
        "handlers",
        "s",
        Quantiles,
        &[source("stoa_http_request_duration_seconds", Named("REST"))],
    ),
    figure("http", "/s", Rate, &[source("stoa_http_requests_total", StatusClass)]),
    figure("store", "s", Quantiles, &[source("stoa_store_unit_duration_seconds", Label("work"))]),
    figure("storeSize", "B", Level, &[source("stoa_store_size_bytes", Label("part"))]),
    figure("tail", "s", Quantiles, &[source("stoa_tail_lag_seconds", Named("lag"))]),
    figure(
        "closes",
        "",
        Gain,
        &[
            source("stoa_slow_consumers_closed_total", Named("slow")),
            source("stoa_revoked_closed_total", Named("revoked")),
            source("stoa_rate_limited_closed_total", Named("too fast")),
        ],
    ),
    figure(
        "refusals",
        "",
        Gain,
        &[
            source("stoa_handshakes_refused_total", Label("reason")),
            source("stoa_http_requests_limited_total", Named("rest_too_fast")),
            source("stoa_http_credentials_refused_total", Named("rest_credentials")),
            source("stoa_http_connections_refused_total", Named("connections")),
        ],
    ),
    figure("memory", "B", Level, &[source("process_resident_memory_bytes", Named("resident"))]),
    figure("cpu", "cores", Rate, &[source("process_cpu_seconds_total", Named("used"))]),
    figure("storeErrors", "", Gain, &[source("stoa_store_errors_total", Label("reason"))]),
    figure("panics", "", Gain, &[source("stoa_task_panics_total", Label("task"))]),
    figure("overflows", "", Gain, &[source("stoa_queue_overflows_total", Named("queue"))]),
    figure("webhooksBehind", "", Level, &[source("stoa_webhook_behind_events", Label("webhook"))]),
    figure(
        "webhooksRetried",
        "",
        Level,
        &[source("stoa_webhook_retried_events", Label("webhook"))],
    ),
    figure(
        "webhooksPutAside",
        "",
        Gain,
        &[
            only("stoa_webhook_deliveries_total", "outcome", "put_aside", Label("webhook")),
            only("stoa_webhook_deliveries_total", "outcome", "gone", Label("webhook")),
        ],
    ),
    figure("payouts", "", Level, &[source("stoa_payouts_pending", Label("status"))]),
    figure(
        "oldestPayout",
        "s",
        Level,
        &[source("stoa_payouts_oldest_pending_seconds", Named("oldest"))],
    ),
    figure("nodes", "", Level, &[source("stoa_cluster_nodes", Named("nodes"))]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::NAMES;

    #[test]
    fn every_figure_is_read_from_metrics_that_there_are() {
        for source in FIGURES.iter().flat_map(|figure| figure.sources) {
            let is_there = NAMES.contains(&source.metric) || source.metric.starts_with("process_");
            assert!(is_there, "{}", source.metric);
        }
    }
}
