//! What went between a client and its server, to be seen whole: `>` is what the client sent, `<` what
//! it received. What is made at random stands as what it is, ids by their numbers.

use std::{fmt::Write, sync::Arc};

use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

/// How long a line gets before it goes on in the next one.
const WIDTH: usize = 92;

/// What went over one connection so far, in the order in which the test saw it.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    /// Notes what the client sent.
    pub fn sent(&self, text: &str) {
        self.note('>', text);
    }

    /// Notes what it received.
    pub fn received(&self, text: &str) {
        self.note('<', text);
    }

    fn note(&self, way: char, text: &str) {
        self.0.lock().push(format!("{way} {text}"));
    }

    /// What was noted since this was asked for, without what `passes` leaves out.
    pub fn take(&self, passes: impl Fn(&str) -> bool) -> String {
        let mut names = Names::default();
        let mut shown = String::new();
        for line in self.0.lock().drain(..).filter(|line| passes(line)) {
            wrap(&names.line(&line), &mut shown);
        }
        shown
    }
}

/// The ids of a transcript, by their numbers.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// A line with what is the same in each run.
    fn line(&mut self, line: &str) -> String {
        let json = line.find(['[', '{']).unwrap_or(line.len());
        let (head, json) = line.split_at(json);
        let json = match serde_json::from_str(json) {
            Ok(json) => self.value("", json).to_string(),
            Err(_) => self.text(json),
        };
        self.text(head) + &json
    }

    fn value(&mut self, field: &str, value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let shown = fields.into_iter().map(|(name, value)| {
                    let value = self.value(&name, value);
                    (name, value)
                });
                shown.collect()
            }
            Value::Array(items) => items.into_iter().map(|item| self.value("", item)).collect(),
            Value::String(text) => match field {
                "sid" | "token" | "epoch" | "referralCode" => format!("[{field}]"),
                _ if is_time(&text) => "[time]".to_owned(),
                _ => self.text(&text),
            }
            .into(),
            other => other,
        }
    }

    /// A text with numbers in the place of ids.
    fn text(&mut self, text: &str) -> String {
        const LENGTH: usize = 36;
        let (mut shown, mut rest) = (String::new(), text);
        while let Some(next) = rest.chars().next() {
            if let Some(id) = rest.get(..LENGTH).filter(|id| Uuid::try_parse(id).is_ok()) {
                let known = self.0.iter().position(|known| known == id);
                let at = known.unwrap_or_else(|| {
                    self.0.push(id.to_owned());
                    self.0.len() - 1
                });
                let _ = write!(shown, "[{}]", at + 1);
                rest = &rest[LENGTH..];
            } else {
                shown.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        shown
    }
}

/// ISO 8601 in UTC, with milliseconds.
fn is_time(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

/// Adds a line, in several where it is long: broken behind commas.
fn wrap(line: &str, shown: &mut String) {
    let mut width = 0;
    for part in line.split_inclusive(',') {
        if width > 0 && width + part.len() > WIDTH {
            shown.push_str("\n    ");
            width = 4;
        }
        shown.push_str(part);
        width += part.len();
    }
    shown.push('\n');
}
