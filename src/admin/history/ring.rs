//! What was read, step by step: of each line as many values as there are steps, the oldest gives way.

use std::collections::{BTreeMap, VecDeque};

use super::{
    figures::{FIGURES, Figure, Kind, STEP, STEPS},
    reading::{Reading, Sample},
};
use crate::{
    admin::documents::{FigureHistory, History, LineHistory},
    clock::Timestamp,
};

/// The last hour, in steps.
#[derive(Default)]
pub(super) struct Ring {
    times: VecDeque<Timestamp>,
    /// The lines of each figure; one has as many values as there are times.
    figures: Vec<BTreeMap<String, VecDeque<f32>>>,
    /// The last reading, which what was gained is counted from.
    before: Option<(Timestamp, Reading)>,
}

impl Ring {
    /// A step. Of what is counted the first one only says where counting begins.
    pub(super) fn push(&mut self, now: Timestamp, reading: Reading) {
        if let Some((then, before)) = self.before.take() {
            let seconds = then.until(now).as_secs_f64();
            self.figures.resize_with(FIGURES.len(), BTreeMap::new);
            let known = self.times.len();
            for ((figure, lines), (before, reading)) in
                FIGURES.iter().zip(&mut self.figures).zip(before.iter().zip(&reading))
            {
                for (name, sample) in reading {
                    for (line, value) in values(figure, name, sample, before.get(name), seconds) {
                        let line = lines.entry(line).or_default();
                        line.resize(known, f32::NAN);
                        line.push_back(value);
                    }
                }
                for line in lines.values_mut() {
                    line.resize(known + 1, f32::NAN);
                }
            }
            self.times.push_back(now);
            if self.times.len() > STEPS {
                self.times.pop_front();
                self.figures.iter_mut().flat_map(BTreeMap::values_mut).for_each(|line| {
                    line.pop_front();
                });
            }
        }
        self.before = Some((now, reading));
    }

    /// What was read after that moment.
    pub(super) fn tell(&self, after: Option<Timestamp>) -> History {
        let from = after.map_or(0, |after| self.times.partition_point(|time| *time <= after));
        let line = |(name, values): (&String, &VecDeque<f32>)| LineHistory {
            name: name.clone(),
            values: values.range(from..).map(|it| it.is_finite().then(|| short(*it))).collect(),
        };
        let lines = self.figures.iter().map(|lines| lines.iter().map(line).collect());
        let figure = |(figure, lines): (&Figure, Vec<LineHistory>)| FigureHistory {
            name: figure.name,
            unit: figure.unit,
            lines,
        };
        History {
            step_ms: u64::try_from(STEP.as_millis()).unwrap_or(u64::MAX),
            times: self.times.range(from..).copied().collect(),
            figures: FIGURES.iter().zip(lines).map(figure).collect(),
        }
    }

    /// The values of the last steps of each line of a figure, the latest last.
    pub(super) fn last(&self, name: &str, steps: usize) -> Vec<(&str, Vec<f32>)> {
        let at = FIGURES.iter().position(|figure| figure.name == name);
        let lines = at.and_then(|at| self.figures.get(at)).into_iter().flatten();
        let last = |values: &VecDeque<f32>| {
            let from = values.len().saturating_sub(steps);
            values.range(from..).copied().filter(|value| value.is_finite()).collect()
        };
        lines.map(|(name, values)| (name.as_str(), last(values))).collect()
    }
}

/// What becomes of a sample in `seconds` after the one before it: by line.
fn values(
    figure: &Figure,
    name: &str,
    sample: &Sample,
    before: Option<&Sample>,
    seconds: f64,
) -> Vec<(String, f32)> {
    #[expect(clippy::cast_possible_truncation, reason = "enough for a chart")]
    let one = |name: &str, value: f64| vec![(name.to_owned(), value as f32)];
    match (sample, before) {
        (Sample::Value(value), before) => {
            let before = if let Some(Sample::Value(before)) = before { *before } else { 0.0 };
            match figure.kind {
                Kind::Level => one(name, *value),
                Kind::Gain => one(name, value - before),
                _ if seconds > 0.0 => one(name, (value - before) / seconds),
                _ => Vec::new(),
            }
        }
        (Sample::Buckets(buckets), before) => {
            let empty = Vec::new();
            let before = if let Some(Sample::Buckets(before)) = before { before } else { &empty };
            let gained = |(at, (bound, count)): (usize, &(f64, f64))| {
                (*bound, count - before.get(at).map_or(0.0, |(_, before)| *before))
            };
            let gained: Vec<_> = buckets.iter().enumerate().map(gained).collect();
            let shares = [("p50", 0.5), ("p99", 0.99)];
            let line = |(share, of): (&str, f64)| {
                Some((format!("{name} {share}"), quantile(&gained, of)?))
            };
            #[expect(clippy::cast_possible_truncation, reason = "enough for a chart")]
            shares.into_iter().filter_map(line).map(|(name, it)| (name, it as f32)).collect()
        }
    }
}

/// The value below which this share lies, between the bounds of its bucket as far as its place there is;
/// none where there is nothing. Above the last bound it is that.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let rank = share * total;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank {
            let within = if *count > below { (rank - below) / (count - below) } else { 0.0 };
            return Some(if bound.is_finite() { low + (bound - low) * within } else { low });
        }
        (low, below) = (*bound, *count);
    }
    Some(low)
}

/// With four digits, which is more than a chart shows.
fn short(value: f32) -> f32 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::{super::reading::read, *};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + second * 1000)
    }

    fn line(history: &History, figure: &str, name: &str) -> Vec<Option<f32>> {
        let figure = history.figures.iter().find(|it| it.name == figure).unwrap();
        figure.lines.iter().find(|it| it.name == name).unwrap().values.clone()
    }

    #[test]
    fn counters_are_rates_and_gauges_what_they_are() {
        let mut ring = Ring::default();
        for (second, received, memory) in [(0, 100, 5000), (10, 150, 6000), (30, 160, 7000)] {
            let text = format!(
                "stoa_events_received_total{{event=\"a\",outcome=\"ok\"}} {received}\n\
                 process_resident_memory_bytes {memory}"
            );
            ring.push(at(second), read(&text));
        }
        let told = ring.tell(None);
        assert_eq!(told.times, [at(10), at(30)]);
        assert_eq!(line(&told, "eventsIn", "ok"), [Some(5.0), Some(0.5)]);
        assert_eq!(line(&told, "memory", "resident"), [Some(6000.0), Some(7000.0)]);
        let later = ring.tell(Some(at(10)));
        assert_eq!((later.times.len(), line(&later, "eventsIn", "ok")), (1, vec![Some(0.5)]));
    }

    #[test]
    fn a_line_that_comes_later_was_nothing_before() {
        let mut ring = Ring::default();
        for (second, text) in [
            (0, ""),
            (10, ""),
            (20, "stoa_store_errors_total{work=\"read\",reason=\"busy\"} 2"),
            (30, "stoa_store_errors_total{work=\"read\",reason=\"busy\"} 2"),
        ] {
            ring.push(at(second), read(text));
        }
        let told = ring.tell(None);
        assert_eq!(line(&told, "storeErrors", "busy"), [None, Some(2.0), Some(0.0)]);
    }

    #[test]
    fn quantiles_are_of_what_came_within_the_step() {
        let mut ring = Ring::default();
        for (second, fast, all) in [(0, 1000, 1000), (10, 1050, 1100), (20, 1050, 1100)] {
            let text = format!(
                "stoa_tail_lag_seconds_bucket{{le=\"0.1\"}} {fast}\n\
                 stoa_tail_lag_seconds_bucket{{le=\"0.5\"}} {all}\n\
                 stoa_tail_lag_seconds_bucket{{le=\"+Inf\"}} {all}"
            );
            ring.push(at(second), read(&text));
        }
        let told = ring.tell(None);
        assert_eq!(line(&told, "tail", "lag p50"), [Some(0.1), None]);
        assert_eq!(line(&told, "tail", "lag p99"), [Some(0.492), None]);
    }

    #[test]
    fn it_keeps_an_hour_and_no_more() {
        let mut ring = Ring::default();
        for step in 0..1000 {
            ring.push(at(step * 10), read("process_resident_memory_bytes 1"));
        }
        let told = ring.tell(None);
        assert_eq!((told.times.len(), line(&told, "memory", "resident").len()), (STEPS, STEPS));
        assert_eq!(told.times.last(), Some(&at(9990)));
    }
}
