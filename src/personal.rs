//! What the server keeps of somebody, to be told to them or erased: each room brings its own part,
//! and the roof puts them together (docs/contract/rest.md#users).

use std::{collections::HashSet, str::FromStr};

use futures_util::{FutureExt, future::LocalBoxFuture};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    db::Tx,
    error::{Error, Result},
    id::Id,
};

/// Rows that one unit reads or erases: few, so that others need not wait long.
pub const ROWS: i64 = 50;

/// A step of a walk through what a room keeps of somebody: where the next one begins, none when it is
/// through.
pub type Step<'a> = LocalBoxFuture<'a, Result<Option<Cursor>>>;

/// What a room keeps of people. A walk through it is many small units; a part says after each where the
/// next one begins, and nothing when it is through.
pub trait PersonalData: Send + Sync {
    /// Writes some of what is kept of a user, from a cursor on.
    ///
    /// # Errors
    /// The store's.
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Cursor,
        lines: &'a mut Lines,
    ) -> Step<'a>;

    /// Erases some of it, from a cursor on. Done again it changes nothing more.
    ///
    /// # Errors
    /// The store's.
    fn erase<'a>(&'a self, _tx: &'a mut Tx<'_>, _user: &'a Id, _from: &'a Cursor) -> Step<'a> {
        async { Ok(None) }.boxed_local()
    }

    /// Takes the names and words of users out of one object of a kept event or answer; whether there
    /// were any. What the object has in it is asked about by itself.
    fn redact(&self, _object: &mut Map<String, Value>, _gone: &Gone) -> bool {
        false
    }
}

/// Users who are erased together: what is kept of events and answers is looked through once for all of
/// them.
#[derive(Debug)]
pub struct Gone {
    ids: HashSet<Id>,
    /// The same as JSON has them.
    written: HashSet<String>,
}

impl Gone {
    /// These users.
    #[must_use]
    pub fn new(users: impl IntoIterator<Item = Id>) -> Self {
        let ids: HashSet<Id> = users.into_iter().collect();
        let written = ids.iter().map(|id| Value::from(id.as_str()).to_string()).collect();
        Self { ids, written }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether a value of an object is the id of one of them.
    #[must_use]
    pub fn has(&self, value: Option<&Value>) -> bool {
        value.and_then(Value::as_str).is_some_and(|id| self.ids.contains(id))
    }

    /// Whether one of them is somewhere in a JSON text, as a string. Most texts have nobody in them,
    /// and reading them takes longer than this.
    #[must_use]
    pub fn are_in(&self, json: &str) -> bool {
        let mut rest = json;
        while let Some(begin) = rest.find('"') {
            let string = &rest[begin..];
            let mut escaped = false;
            let end = string[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let Some(end) = end else { return false };
            if self.written.contains(&string[..end + 2]) {
                return true;
            }
            rest = &string[end + 2..];
        }
        false
    }
}

/// How far a walk through what a room keeps of somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Which of the room's tables, from 0.
    pub table: usize,
    /// The key of the last row there; empty before the first.
    pub after: String,
}

impl Cursor {
    /// Writes the rows that come from here on, and goes behind them.
    ///
    /// # Errors
    /// Those of [`Lines::add`].
    pub fn tell<T: Serialize>(
        &self,
        lines: &mut Lines,
        kind: &'static str,
        rows: &[T],
        id: impl Fn(&T) -> &Id,
    ) -> Result<Option<Self>> {
        rows.iter().try_for_each(|row| lines.add(kind, row))?;
        Ok(self.behind(rows, |row| id(row).to_string()))
    }

    /// Behind some rows of the table, as far as there may be more, else at the beginning of the next.
    #[must_use]
    pub fn behind<T>(&self, rows: &[T], key: impl Fn(&T) -> String) -> Option<Self> {
        let last = rows.last().filter(|_| is_full(rows.len()));
        Some(self.to(last.map(key)))
    }

    /// Behind a key of the same table, or at the beginning of the next.
    #[must_use]
    pub fn to(&self, after: Option<String>) -> Self {
        let table = self.table + usize::from(after.is_none());
        Self { table, after: after.unwrap_or_default() }
    }

    /// At the same table once more where so many rows were removed that there may be others, else at
    /// the beginning of the next.
    #[must_use]
    pub fn without(&self, removed: u64) -> Option<Self> {
        let table = usize::try_from(removed).is_ok_and(|removed| !is_full(removed));
        Some(Self { table: self.table + usize::from(table), after: String::new() })
    }

    /// The key of the last row; none before the first.
    ///
    /// # Errors
    /// When it is no key of this kind.
    pub fn key<T>(&self) -> Result<Option<T>>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let key = Some(self.after.as_str()).filter(|key| !key.is_empty());
        key.map(str::parse).transpose().map_err(Error::internal)
    }
}

fn is_full(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows >= ROWS)
}

/// JSON Lines: one object a line, with a `type`.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    lines: u64,
}

impl Lines {
    /// Adds an object, which has no `type` of its own.
    ///
    /// # Errors
    /// When it can't be written as one.
    pub fn add(&mut self, kind: &'static str, object: &impl Serialize) -> Result<()> {
        #[derive(Serialize)]
        struct Line<'a, T: Serialize> {
            #[serde(rename = "type")]
            line: &'static str,
            #[serde(flatten)]
            object: &'a T,
        }
        let line = Line { line: kind, object };
        serde_json::to_writer(&mut self.bytes, &line).map_err(Error::internal)?;
        self.bytes.push(b'\n');
        self.lines += 1;
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lines
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_in_a_text_where_they_are_a_string_of_it() {
        let ids = ["ann", "b\"o\\b", "é"].map(|id| Id::new(id).expect("an id"));
        let gone = Gone::new(ids);
        for (json, found) in [
            (r#"{"id":"ann"}"#, true),
            (r#"{"ann":1}"#, true),
            (r#"["b\"o\\b"]"#, true),
            (r#"[["é"]]"#, true),
            (r#"{"id":"anna","text":"ann says","more":"\"ann\"","and":"\\"}"#, false),
            (r#"{"id":"cut"#, false),
            ("", false),
        ] {
            assert_eq!(gone.are_in(json), found, "{json}");
        }
    }
}
