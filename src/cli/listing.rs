//! Rows for people, or a JSON document a line for programs: each is said when it is known, so that a
//! list of whatever length takes no memory.

use std::io;

use anyhow::Result;
use serde_json::Value;

use super::output::{one_line, say};

/// How a list is written.
pub(super) struct Listing {
    as_json: bool,
    header: Option<String>,
}

impl Listing {
    /// With this line above the rows, where they are for people.
    pub(super) fn new(as_json: bool, header: impl Into<String>) -> Self {
        Self { as_json, header: Some(header.into()) }
    }

    /// Says one item. False when nobody reads any more, as `head` does after its lines.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn say(&mut self, item: &Value, row: impl FnOnce(&Value) -> String) -> Result<bool> {
        if self.as_json {
            return heard(say(item));
        }
        if let Some(header) = self.header.take()
            && !heard(say(header))?
        {
            return Ok(false);
        }
        heard(say(one_line(&row(item))))
    }
}

/// What a field of an item has, as people read it.
pub(super) fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item[field].as_str().unwrap_or("-")
}

/// A number of an item.
pub(super) fn number(item: &Value, field: &str) -> u64 {
    item[field].as_u64().unwrap_or_default()
}

fn heard(said: Result<()>) -> Result<bool> {
    let is_closed = |error: &anyhow::Error| {
        error.downcast_ref::<io::Error>().is_some_and(|why| why.kind() == io::ErrorKind::BrokenPipe)
    };
    match said {
        Err(error) if is_closed(&error) => Ok(false),
        said => said.map(|()| true),
    }
}
