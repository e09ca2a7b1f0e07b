//! `cargo bench --bench memory`: memory per idle connection, Stoa and Node. See benches/README.md.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]

mod load;
mod peers;
mod run;

use std::process::ExitCode;

use peers::Peer;

fn main() -> ExitCode {
    run::main(&run::Defaults {
        name: "memory",
        peers: &[Peer::Stoa, Peer::Node],
        shapes: &[run::Shape::Memory, run::Shape::MemoryLarge],
        rounds: 1,
    })
}
