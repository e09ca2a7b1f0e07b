//! The pages of `docs/contract/` say what is built: every event, every operation and every setting
//! stands in them, as it is, and nothing else.

mod environment;
mod events;
mod guarantees;
mod rest;
mod shape;

use std::{collections::BTreeSet, fmt::Display};

/// What is there and not on the page, and what is on the page and not there.
fn differences<T: Ord + Display>(
    what: &str,
    there: &BTreeSet<T>,
    told: &BTreeSet<T>,
) -> Vec<String> {
    let missing = there.difference(told).map(|one| format!("{what} {one}: not on the page"));
    let superfluous = told.difference(there).map(|one| format!("{what} {one}: there is none"));
    missing.chain(superfluous).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
