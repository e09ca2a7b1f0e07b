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

/// What others said, as a part of one line: white space is a space, and what moves what stands around it
/// on a terminal is its number.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if letter.is_control() || turns(letter) {
                line.extend(letter.escape_unicode());
            } else {
                line.push(letter);
            }
        }
    }
    line
}

/// Whether a letter changes the direction of those around it (Unicode, UAX #9).
fn turns(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_said_is_one_line_that_moves_nothing() {
        for (text, line) in [
            ("as it is: \u{fc}, \u{1f600}", "as it is: \u{fc}, \u{1f600}"),
            (" a\n\t b\r\nc\u{2028}d\u{85}e ", "a b c d e"),
            ("\u{1b}[2Ja\u{7}", "\\u{1b}[2Ja\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
        ] {
            assert_eq!(one_line(text), line);
        }
    }
}
