//! What verbs say: a disk that is full or a pipe that is closed is no panic of theirs.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::{Context, Result};

/// Says what was asked for, on standard output.
///
/// # Errors
/// When nobody takes it.
pub(super) fn say(what: impl fmt::Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{what}").and_then(|()| stdout.flush()).context("standard output")
}

/// Says something about it, on standard error. Who can't be told is not.
pub(super) fn remark(what: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{what}");
}
