//! What verbs say: a disk that is full or a pipe that is closed is no panic of theirs.

use std::{
    borrow::Cow,
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
    let what = what.to_string();
    writeln!(stdout, "{}", shown(&what)).and_then(|()| stdout.flush()).context("standard output")
}

/// Says something about it, on standard error. Who can't be told is not.
pub fn remark(what: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", shown(&what.to_string()));
}

/// A text as a terminal may be given it, whoever wrote it: what would steer that, or turn the order of what
/// is read, is escaped, as JSON takes it, too.
fn shown(text: &str) -> Cow<'_, str> {
    let steers = |c: char| match c {
        '\n' | '\t' => false,
        // What isolates, embeds or overrides a direction, and what ends a line or a paragraph.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        c => c.is_control(),
    };
    if !text.contains(steers) {
        return text.into();
    }
    let escape = |c: char| if steers(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
    text.chars().map(escape).collect::<String>().into()
}

/// The same as one line.
pub(super) fn one_line(text: &str) -> String {
    shown(&text.replace(['\n', '\t'], " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_steers_a_terminal() {
        let hostile = "a\u{9b}31m \u{1b}[2J \u{7f}\r\u{202e}txt\u{2028}";
        let said = shown(hostile);
        assert_eq!(said, r"a\u009b31m \u001b[2J \u007f\u000d\u202etxt\u2028");
        let json = serde_json::to_string(hostile).unwrap();
        let read: String = serde_json::from_str(&shown(&json)).unwrap();
        assert_eq!(read, hostile, "it is JSON as before");
        for text in ["ü 日本\n\t👩\u{200d}🚀", ""] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_others_said_is_one_line() {
        for (text, line) in
            [("  12  a\n\tb", "  12  a  b"), ("\u{1b}[2Ja\u{7}\n", r"\u001b[2Ja\u0007 ")]
        {
            assert_eq!(one_line(text), line);
        }
    }
}
