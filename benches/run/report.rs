//! Medians of a run as tables and JSON, and the ratios that Stoa claims, within that run.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::shape::{self, Metric, Reading, Shape};
use crate::peers::{self, Peer};

/// More says that the machine had other work to do.
const MOST_WAITING_PERCENT: f64 = 10.0;

/// One measurement.
pub struct Sample {
    /// What was done.
    pub shape: Shape,
    /// By which server.
    pub peer: Peer,
    /// What came of it.
    pub outcome: Result<Reading>,
}

/// All measurements of a run.
pub struct Report {
    machine: String,
    rounds: u32,
    samples: Vec<Sample>,
}

/// What Stoa shall reach, and what it reached.
struct Claim {
    text: &'static str,
    ratio: f64,
    met: bool,
}

impl Report {
    /// An empty one.
    pub fn new(machine: String, rounds: u32) -> Self {
        Self { machine, rounds, samples: Vec::new() }
    }

    /// Adds a measurement.
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Whether Stoa did all that it was asked.
    pub fn is_good(&self) -> bool {
        self.samples.iter().all(|sample| sample.outcome.is_ok() || !sample.peer.is_stoa())
    }

    /// The machine it ran on.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The shapes that were measured, in order.
    pub fn shapes(&self) -> Vec<Shape> {
        distinct(self.samples.iter().map(|sample| sample.shape))
    }

    /// The servers that were measured, in order.
    pub fn peers(&self) -> Vec<Peer> {
        distinct(self.samples.iter().map(|sample| sample.peer))
    }

    /// The median of a metric over the rounds.
    pub fn median(&self, shape: Shape, peer: Peer, metric: Metric) -> Option<f64> {
        let mut values: Vec<f64> = self
            .readings(shape, peer)
            .flatten()
            .filter_map(|&(m, value)| (m == metric).then_some(value))
            .collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }

    /// The tables, one a shape, and the claims.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        for shape in self.shapes() {
            let metrics = self.metrics(shape);
            let _ = write!(text, "\n{}\n{:<14}", shape.title(), "");
            for metric in &metrics {
                let _ = write!(text, "{:>17}", metric.title);
            }
            text.push('\n');
            for peer in self.peers() {
                let _ = write!(text, "{:<14}", peer.name());
                for &metric in &metrics {
                    let value = self.median(shape, peer, metric);
                    let value = value.map_or("–".into(), |value| number(value, metric.digits));
                    let _ = write!(text, "{value:>17}");
                }
                text.push('\n');
                if let Some(reason) = self.failure(shape, peer) {
                    let _ = writeln!(text, "{:<14}  FAILED: {reason:#}", "");
                }
            }
        }
        let claims = self.claims();
        if !claims.is_empty() {
            text.push_str("\nclaims, within this run\n");
            if self.is_disturbed() {
                text.push_str("DISTURBED: other work kept the servers waiting; measure again\n");
            }
        }
        for claim in claims {
            let verdict = if claim.met { "met   " } else { "MISSED" };
            let _ = writeln!(text, "{verdict} {:>6.2}  {}", claim.ratio, claim.text);
        }
        text
    }

    /// All of it for programs.
    pub fn json(&self) -> Value {
        let mut results = Vec::new();
        for shape in self.shapes() {
            let metrics = self.metrics(shape);
            for peer in self.peers() {
                let median: Value = metrics
                    .iter()
                    .map(|&metric| (metric.key.to_owned(), json!(self.median(shape, peer, metric))))
                    .collect();
                let rounds: Vec<Value> = self.readings(shape, peer).map(as_json).collect();
                let failure = self.failure(shape, peer).map(|reason| format!("{reason:#}"));
                results.push(json!({ "shape": shape.to_string(), "server": peer.name(),
                    "median": median, "rounds": rounds, "failure": failure }));
            }
        }
        let claims: Vec<Value> = self
            .claims()
            .iter()
            .map(|c| json!({ "claim": c.text, "ratio": c.ratio, "met": c.met }))
            .collect();
        json!({ "machine": self.machine, "rounds": self.rounds, "results": results,
            "disturbed": self.is_disturbed(), "claims": claims })
    }

    fn readings(&self, shape: Shape, peer: Peer) -> impl Iterator<Item = &Reading> {
        self.samples
            .iter()
            .filter(move |sample| sample.shape == shape && sample.peer == peer)
            .filter_map(|sample| sample.outcome.as_ref().ok())
    }

    fn failure(&self, shape: Shape, peer: Peer) -> Option<&anyhow::Error> {
        let mut of_it = self.samples.iter().filter(|s| s.shape == shape && s.peer == peer);
        of_it.find_map(|sample| sample.outcome.as_ref().err())
    }

    /// Whether a server of one thread often waited for its core: something else had it.
    fn is_disturbed(&self) -> bool {
        [Peer::Stoa, Peer::Ceiling].into_iter().any(|peer| {
            let shapes = self.shapes().into_iter();
            let mut waited = shapes.filter_map(|shape| self.median(shape, peer, shape::WAITED));
            waited.any(|per_cent| per_cent > MOST_WAITING_PERCENT)
        })
    }

    fn metrics(&self, shape: Shape) -> Vec<Metric> {
        let of_it = self.samples.iter().filter(|sample| sample.shape == shape);
        let readings = of_it.filter_map(|sample| sample.outcome.as_ref().ok());
        distinct(readings.flatten().map(|&(metric, _)| metric))
    }

    fn claims(&self) -> Vec<Claim> {
        let ratio = |shape, metric, other| {
            let stoa = self.median(shape, Peer::Stoa, metric)?;
            Some(stoa / self.median(shape, other, metric)?)
        };
        let below =
            |text, ratio: Option<f64>| ratio.map(|ratio| Claim { text, ratio, met: ratio < 1.0 });
        let memory = |text, of| at_most(text, 3.0, self.of_stoa(of, shape::MEMORY));
        // On two cores the second worker shares one with the load, so that says nothing.
        let two_workers = (peers::cores() > 2)
            .then(|| ratio(Shape::One, shape::RATE, Peer::Stoa2).map(f64::recip))
            .flatten();
        [
            at_most(
                "of the ceiling's CPU per delivery with one in flight: at most 1.15",
                1.15,
                ratio(Shape::One, shape::CPU, Peer::Ceiling),
            ),
            at_least(
                "times Node's deliveries/s with 16 in flight: at least 10",
                10.0,
                ratio(Shape::Sixteen, shape::RATE, Peer::Node),
            ),
            at_least(
                "times Bun's deliveries/s with 16 in flight: at least 10",
                10.0,
                ratio(Shape::Sixteen, shape::RATE, Peer::Bun),
            ),
            below(
                "of Bun's CPU per delivery in 100 rooms × 10: less than 1",
                ratio(Shape::Rooms, shape::CPU, Peer::Bun),
            ),
            at_least(
                "times Node's deliveries/s in bursts to those who poll: at least 1.5",
                1.5,
                ratio(Shape::Polling, shape::RATE, Peer::Node),
            ),
            at_least(
                "times Node's deliveries/s in such bursts where Stoa keeps them: at least 1.5",
                1.5,
                ratio(Shape::PollingKept, shape::RATE, Peer::Node),
            ),
            at_most(
                "of the ceiling's CPU per connect: at most 2",
                2.0,
                ratio(Shape::Connect, shape::CPU_CONNECT, Peer::Ceiling),
            ),
            memory("KB of memory per idle connection: at most 3", Shape::Memory),
            memory("KB of memory of ten times as many: at most 3", Shape::MemoryLarge),
            at_most(
                "KB left of each of those when they have ended: at most 1",
                1.0,
                self.of_stoa(Shape::MemoryLarge, shape::LEFT),
            ),
            below(
                "of Node's memory per idle connection: less than 1",
                ratio(Shape::Memory, shape::MEMORY, Peer::Node),
            ),
            at_least(
                "times one worker's deliveries/s with two workers: at least 1.7",
                1.7,
                two_workers,
            ),
            at_least(
                "times Node's acknowledged messages/s with one in flight: at least 5",
                5.0,
                ratio(Shape::Messages, shape::ACKS, Peer::Node),
            ),
            at_least(
                "times Node's acknowledged messages/s with 8 in flight: at least 5",
                5.0,
                ratio(Shape::Pipelined, shape::ACKS, Peer::Node),
            ),
        ]
        .into_iter()
        .chain(self.in_storms())
        .chain(self.watched())
        .flatten()
        .collect()
    }

    fn of_stoa(&self, shape: Shape, metric: Metric) -> Option<f64> {
        self.median(shape, Peer::Stoa, metric)
    }

    /// What storms leave whole, and how long and large they may be.
    fn in_storms(&self) -> [Option<Claim>; 4] {
        let whole = |text, of| {
            let all_told = self.of_stoa(of, shape::ALL_TOLD).is_some();
            let (lost, stale) = (self.of_stoa(of, shape::LOST)?, self.of_stoa(of, shape::STALE)?);
            let ratio = lost + stale + self.of_stoa(of, shape::MISCOUNTED)?;
            Some(Claim { text, ratio, met: ratio == 0.0 && all_told })
        };
        [
            whole(
                "connections lost, news stale, lost or doubled in Stoa's storm: none, and all told",
                Shape::Storm,
            ),
            whole(
                "connections lost, news stale, lost or doubled in one of four times as many: none, and all told",
                Shape::StormLarge,
            ),
            at_most(
                "s until all were told in that storm: at most 15",
                15.0,
                self.of_stoa(Shape::StormLarge, shape::ALL_TOLD),
            ),
            at_most(
                "MB of memory at the peak of the storm: at most 400",
                400.0,
                self.of_stoa(Shape::Storm, shape::PEAK),
            ),
        ]
    }

    /// What it may cost to be watched.
    fn watched(&self) -> [Option<Claim>; 4] {
        let of = |shape, metric| {
            let watched = self.median(shape, Peer::Watched, metric)?;
            Some((watched, self.median(shape, Peer::Stoa, metric)?))
        };
        let cpu = |text, shape| {
            let ratio = of(shape, shape::CPU).map(|(watched, stoa)| watched / stoa)?;
            Some(Claim { text, ratio, met: ratio <= 1.03 })
        };
        let memory = of(Shape::Memory, shape::MEMORY).map(|(watched, stoa)| watched - stoa);
        [
            cpu("of Stoa's CPU per delivery while it is watched: at most 1.03", Shape::One),
            cpu("of that with 16 in flight: at most 1.03", Shape::Sixteen),
            cpu("of that in 100 rooms × 10: at most 1.03", Shape::Rooms),
            memory.map(|ratio| Claim {
                text: "KB of memory per idle connection more while it is watched: at most 0.2",
                ratio,
                met: ratio <= 0.2,
            }),
        ]
    }
}

fn at_most(text: &'static str, most: f64, ratio: Option<f64>) -> Option<Claim> {
    ratio.map(|ratio| Claim { text, ratio, met: ratio <= most })
}

fn at_least(text: &'static str, least: f64, ratio: Option<f64>) -> Option<Claim> {
    ratio.map(|ratio| Claim { text, ratio, met: ratio >= least })
}

/// A number as people read it: thousands apart.
pub fn number(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_once('.').map_or((&*plain, None), |(w, f)| (w, Some(f)));
    let mut text = String::new();
    for (position, digit) in whole.chars().enumerate() {
        let left = whole.len() - position;
        if position > 0 && left % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

fn as_json(reading: &Reading) -> Value {
    reading.iter().map(|&(metric, value)| (metric.key.to_owned(), Value::from(value))).collect()
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut distinct, item| {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
        distinct
    })
}
