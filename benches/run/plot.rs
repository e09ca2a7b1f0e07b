//! The plot: a panel a number, a bar a server, written as SVG by hand.

use std::fmt::Write;

use super::{
    report::{Report, number},
    shape::{self, Metric, Shape},
};
use crate::peers::Peer;

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 430;
const BAR: usize = 22;
const HEAD: usize = 34;
const MARGIN: usize = 24;
const LABELS: usize = 96;
const VALUES: usize = 76;

/// What is drawn, when it was measured: shape, number, what is better.
const PANELS: [(Shape, Metric, &str); 11] = [
    (Shape::One, shape::CPU, "less is better"),
    (Shape::One, shape::RATE, "more is better"),
    (Shape::Sixteen, shape::CPU, "less is better"),
    (Shape::Sixteen, shape::RATE, "more is better"),
    (Shape::Rooms, shape::CPU, "less is better"),
    (Shape::Rooms, shape::RATE, "more is better"),
    (Shape::Connect, shape::CONNECTS, "more is better"),
    (Shape::Memory, shape::MEMORY, "less is better"),
    (Shape::Storm, shape::ALL_TOLD, "less is better"),
    (Shape::Messages, shape::ACKS, "more is better"),
    (Shape::Pipelined, shape::ACKS, "more is better"),
];

/// Draws a run.
pub fn svg(report: &Report) -> String {
    let (shapes, peers) = (report.shapes(), report.peers());
    let panels: Vec<_> = PANELS.iter().filter(|(shape, ..)| shapes.contains(shape)).collect();
    let panel_height = HEAD + peers.len() * BAR + MARGIN;
    let width = MARGIN + COLUMNS * (PANEL_WIDTH + MARGIN);
    let height = 2 * MARGIN + 20 + panels.len().div_ceil(COLUMNS) * panel_height;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2933">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{MARGIN}" y="{MARGIN}" fill="#616e7c">{}</text>
"##,
        escape(report.machine())
    );
    for (index, (shape, metric, better)) in panels.into_iter().enumerate() {
        let x = MARGIN + index % COLUMNS * (PANEL_WIDTH + MARGIN);
        let y = MARGIN + 20 + index / COLUMNS * panel_height;
        let _ = writeln!(svg, r#"<g transform="translate({x} {y})">"#);
        let _ = writeln!(
            svg,
            r##"<text y="16"><tspan font-weight="600">{}</tspan><tspan fill="#616e7c"> · {} · {better}</tspan></text>"##,
            metric.title,
            shape.title()
        );
        panel(&mut svg, report, &peers, *shape, *metric);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, report: &Report, peers: &[Peer], shape: Shape, metric: Metric) {
    let values: Vec<_> = peers.iter().map(|&peer| report.median(shape, peer, metric)).collect();
    let most = values.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let length = (PANEL_WIDTH - LABELS - VALUES) as f64;
    for (row, (peer, value)) in peers.iter().zip(values).enumerate() {
        let y = HEAD + row * BAR;
        let text_y = y + 13;
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{text_y}" text-anchor="end">{}</text>"#,
            LABELS - 8,
            peer.name()
        );
        let bar = (value.unwrap_or(0.0).max(0.0) / most * length).max(1.0);
        let _ = writeln!(
            svg,
            r#"<rect x="{LABELS}" y="{y}" width="{bar:.1}" height="{}" rx="2" fill="{}"/>"#,
            BAR - 5,
            colour(*peer)
        );
        let text = value.map_or("–".into(), |value| number(value, metric.digits));
        let text_x = LABELS as f64 + bar + 6.0;
        let _ = writeln!(svg, r#"<text x="{text_x:.1}" y="{text_y}">{text}</text>"#);
    }
}

fn colour(peer: Peer) -> &'static str {
    match peer {
        Peer::Stoa => "#0b7285",
        Peer::Stoa2 => "#3bc9db",
        Peer::Watched => "#15aabf",
        Peer::Ceiling => "#adb5bd",
        Peer::Socketioxide => "#e8590c",
        Peer::Bun => "#f59f00",
        Peer::Node => "#66a80f",
        Peer::Python => "#5c7cfa",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
