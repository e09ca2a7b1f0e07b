//! `cargo bench --bench messages`: messages stored with full durability and acknowledged, Stoa and
//! Node with better-sqlite3. See benches/README.md.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]

mod load;
mod peers;
mod run;

use std::process::ExitCode;

use peers::Peer;

fn main() -> ExitCode {
    run::main(&run::Defaults {
        name: "messages",
        peers: &[Peer::Stoa, Peer::Node],
        shapes: run::Shape::MESSAGES,
        rounds: 3,
    })
}
