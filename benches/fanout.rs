//! `cargo bench --bench fanout`: Stoa and its peers under the same work. See benches/README.md.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]

mod load;
mod peers;
mod run;

use std::process::ExitCode;

use clap::ValueEnum;
use run::Shape;

/// All but those of messages.
const FAN_OUT: [Shape; 10] = [
    Shape::One,
    Shape::Sixteen,
    Shape::Rooms,
    Shape::Polling,
    Shape::PollingKept,
    Shape::Connect,
    Shape::ConnectQuiet,
    Shape::Memory,
    Shape::Storm,
    Shape::StormLarge,
];

fn main() -> ExitCode {
    run::main(&run::Defaults {
        name: "fanout",
        peers: peers::Peer::value_variants(),
        shapes: &FAN_OUT,
        rounds: 3,
    })
}
