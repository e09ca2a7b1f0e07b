//! What was measured, and whether it is what is claimed.

use std::time::Duration;

/// One figure.
pub struct Row {
    what: String,
    figure: String,
    claim: String,
    is_met: bool,
}

impl Row {
    /// One that may be as it is.
    pub fn told(what: &str, took: Duration) -> Self {
        Self::said(what, &millis(took))
    }

    /// The same, in words.
    pub fn said(what: &str, figure: &str) -> Self {
        let (what, figure, claim) = (what.to_owned(), figure.to_owned(), String::new());
        Self { what, figure, claim, is_met: true }
    }

    /// One that is to be this at most.
    pub fn claimed(what: &str, took: Duration, most: Duration) -> Self {
        let is_met = took <= most;
        let claim = format!("{}: {}", millis(most), if is_met { "met" } else { "MISSED" });
        Self { claim, is_met, ..Self::told(what, took) }
    }

    /// Prints it; whether it is as claimed.
    pub fn print(&self) -> bool {
        let Self { what, figure, claim, is_met } = self;
        println!("| {what} | {figure} | {claim} |");
        *is_met
    }
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}
