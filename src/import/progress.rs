//! How far it is, told while it goes on; and what is wrong, told at the end in the order of the lines.

use std::{
    io::{IsTerminal, Write, stderr},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    files::{At, Input},
    sort::Sorter,
};

/// How often it is told, on a terminal and elsewhere.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(5);

/// How many problems are told, at most.
const MAX_TOLD: usize = 100;

/// How many are kept to be told in their order.
const MAX_KEPT: usize = 10_000;

/// Tells how far something is, to who watches.
pub(super) struct Progress {
    what: &'static str,
    told: Instant,
    is_terminal: bool,
    has_told: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        let is_terminal = stderr().is_terminal();
        Self { what, told: Instant::now(), is_terminal, has_told: false }
    }

    /// So much is done, of so much.
    pub(super) fn tell(&mut self, done: u64, of: Option<u64>) {
        let every = if self.is_terminal { OFTEN } else { SELDOM };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        self.has_told = true;
        let of = of.map(|all| format!(" of {}", grouped(all))).unwrap_or_default();
        let (begin, end) = if self.is_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        // Who can't be told is not.
        let _ = write!(stderr(), "{begin}{} {}{of} lines{end}", self.what, grouped(done));
    }

    /// Leaves the line to what comes then.
    pub(super) fn end(&self) {
        if self.is_terminal && self.has_told {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// A number as people read it.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is wrong with lines, of which one may have several things.
pub(super) struct Problems {
    count: u64,
    kept: Vec<(u16, u64, String)>,
    /// The file and the line of each.
    lines: Sorter<8>,
}

impl Problems {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { count: 0, kept: Vec::new(), lines: Sorter::new(folder) }
    }

    pub(super) fn add(&mut self, at: At, sentence: impl Into<String>) -> Result<()> {
        self.count += 1;
        if self.kept.len() < MAX_KEPT {
            self.kept.push((at.file, at.line, sentence.into()));
        }
        let line = u64::from(at.file) << 48 | at.line;
        self.lines.add(line.to_be_bytes()).context("sorting what is wrong")
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many lines have one.
    pub(super) fn lines(&mut self) -> Result<u64> {
        let folder = self.lines.folder().to_owned();
        let lines = std::mem::replace(&mut self.lines, Sorter::new(folder)).sorted()?;
        let (mut count, mut last) = (0, None);
        for line in lines {
            let line = Some(line.context("sorting what is wrong")?);
            count += u64::from(line != last);
            last = line;
        }
        Ok(count)
    }

    /// The first of them, each with its file and line.
    pub(super) fn told(mut self, inputs: &[Input]) -> Vec<String> {
        self.kept.sort();
        let shown = self.kept.iter().take(MAX_TOLD).map(|(file, line, sentence)| {
            format!("{}:{line}: {sentence}", inputs[usize::from(*file)].name)
        });
        let mut told: Vec<String> = shown.collect();
        let more = self.count - told.len() as u64;
        if more > 0 {
            told.push(format!("and {} more", grouped(more)));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
