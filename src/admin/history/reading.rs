//! Reads the figures from Prometheus' text, as this server writes it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use super::figures::{FIGURES, Kind, Line, Source};

/// Lines of a figure: what more labels there are is drawn together. (docs/limits.md)
const MOST_LINES: usize = 12;

/// The line of these.
const OTHERS: &str = "others";

/// The figures of a moment, each with its lines by name.
pub(super) type Reading = Vec<BTreeMap<String, Sample>>;

/// What a line has come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sample {
    /// A gauge or a counter.
    Value(f64),
    /// How many were at most this many seconds, for each bound; of the last one none is known.
    Buckets(Vec<(f64, f64)>),
}

/// The figures that a metric belongs to.
static READERS: LazyLock<HashMap<&'static str, Vec<(usize, &'static Source)>>> =
    LazyLock::new(|| {
        let mut readers: HashMap<_, Vec<_>> = HashMap::new();
        for (at, figure) in FIGURES.iter().enumerate() {
            for source in figure.sources {
                readers.entry(source.metric).or_default().push((at, source));
            }
        }
        readers
    });

/// The figures as a page of metrics has them. Of histograms the buckets are read.
pub(super) fn read(text: &str) -> Reading {
    let mut reading: Reading = FIGURES.iter().map(|_| BTreeMap::new()).collect();
    for line in text.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.trim_end_matches('}')),
            None => (series, ""),
        };
        let (name, bound) = match name.strip_suffix("_bucket") {
            Some(name) => (name, label(labels, "le")),
            None => (name, None),
        };
        let Some(readers) = READERS.get(name) else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        for (at, source) in readers {
            let wanted = source.only.is_none_or(|(key, value)| label(labels, key) == Some(value));
            let is_bucket = FIGURES[*at].kind == Kind::Quantiles;
            if !wanted || is_bucket != bound.is_some() {
                continue;
            }
            let lines = &mut reading[*at];
            let mut name = source.line.name(labels);
            if !lines.contains_key(name) && lines.len() >= MOST_LINES - 1 {
                name = OTHERS;
            }
            add(
                lines.entry(name.to_owned()).or_insert_with(|| Sample::empty(is_bucket)),
                bound,
                value,
            );
        }
    }
    reading
}

fn add(sample: &mut Sample, bound: Option<&str>, value: f64) {
    match sample {
        Sample::Value(total) => *total += value,
        Sample::Buckets(buckets) => {
            // `+Inf` is a number, too.
            let Some(bound) = bound.and_then(|bound| bound.parse::<f64>().ok()) else { return };
            match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, total)) => *total += value,
                None => buckets.push((bound, value)),
            }
        }
    }
}

impl Sample {
    const fn empty(is_bucket: bool) -> Self {
        if is_bucket { Self::Buckets(Vec::new()) } else { Self::Value(0.0) }
    }
}

impl Line {
    fn name(self, labels: &str) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Label(key) => label(labels, key).unwrap_or(OTHERS),
            Self::Outcome => match label(labels, "outcome") {
                Some("ok") => "ok",
                _ => "refused",
            },
            Self::StatusClass => match label(labels, "status").and_then(|it| it.chars().next()) {
                Some('1' | '2') => "2xx",
                Some('3') => "3xx",
                Some('4') => "4xx",
                _ => "5xx",
            },
        }
    }
}

/// The value of a label; none of ours has anything to unescape.
fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = labels
        .split(',')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(name, _)| *name == key)?;
    Some(rest.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<'a>(reading: &'a Reading, name: &str) -> &'a BTreeMap<String, Sample> {
        let at = FIGURES.iter().position(|figure| figure.name == name).unwrap();
        &reading[at]
    }

    #[test]
    fn samples_are_added_up_by_line() {
        let reading = read(
            "# HELP stoa_events_received_total Events received.\n\
             stoa_events_received_total{event=\"message:send\",outcome=\"ok\"} 5\n\
             stoa_events_received_total{event=\"typing\",outcome=\"ok\"} 2\n\
             stoa_events_received_total{event=\"unknown\",outcome=\"unknown_event\"} 1\n\
             stoa_rooms{kind=\"user\"} 3\n\
             stoa_rooms{kind=\"conversation\"} 8\n\
             process_resident_memory_bytes 1000\n\
             stoa_tail_lag_seconds_bucket{le=\"0.1\"} 4\n\
             stoa_tail_lag_seconds_bucket{le=\"+Inf\"} 6\n\
             stoa_tail_lag_seconds_sum 1\n\
             stoa_tail_lag_seconds_count 6\n\
             something_else 1\n\
             no number",
        );
        let received = lines(&reading, "eventsIn");
        assert_eq!(
            (&received["ok"], &received["refused"]),
            (&Sample::Value(7.0), &Sample::Value(1.0))
        );
        assert_eq!(lines(&reading, "users")["users"], Sample::Value(3.0));
        assert_eq!(lines(&reading, "memory")["resident"], Sample::Value(1000.0));
        let buckets = Sample::Buckets(vec![(0.1, 4.0), (f64::INFINITY, 6.0)]);
        assert_eq!(lines(&reading, "tail")["lag"], buckets);
    }

    #[test]
    fn however_many_labels_there_are_the_lines_are_few() {
        let each = (0..50).map(|at| format!("stoa_webhook_behind_events{{webhook=\"w{at}\"}} 1\n"));
        let reading = read(&each.collect::<Vec<_>>().concat());
        let behind = lines(&reading, "webhooksBehind");
        assert_eq!(behind.len(), MOST_LINES);
        assert_eq!(behind[OTHERS], Sample::Value(39.0));
    }
}
