//! The names that people are shown by. The newest win: those of the token with which someone acts, or
//! those that a backend has told since it was issued.

use crate::{auth::Identity, clock::Timestamp, db::Row, error::Result};

/// What somebody is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The full name, as one.
    pub name: Option<String>,
}

impl Names {
    /// Those that a token tells.
    pub(super) fn of(identity: &Identity) -> Self {
        Self {
            first_name: identity.first_name().map(Into::into),
            last_name: identity.last_name().map(Into::into),
            name: identity.full_name().map(Into::into),
        }
    }

    /// All of it as one: the given and the family name, else the full name.
    #[must_use]
    pub fn in_full(&self) -> Option<String> {
        let parts: Vec<_> = [&self.first_name, &self.last_name].into_iter().flatten().collect();
        match parts[..] {
            [] => self.name.clone(),
            [one] => Some(one.clone()),
            [first, last, ..] => Some(format!("{first} {last}")),
        }
    }

    /// These, and the others where these say nothing. The given and the family name are one, and a full
    /// name is of no use beside others than its own.
    pub(super) fn over(self, others: &Self) -> Self {
        let others = others.clone();
        if self.first_name.is_none() && self.last_name.is_none() {
            Self { name: self.name.or(others.name), ..others }
        } else {
            self
        }
    }
}

/// Names as they are kept.
#[derive(Clone, Debug)]
pub struct KnownNames {
    /// The names.
    pub names: Names,
    /// Since when they hold.
    pub(super) named_at: Timestamp,
}

impl KnownNames {
    /// Reads a row with the columns `first_name`, `last_name`, `name` and `named_at` of a profile, which
    /// are null where there is none: stores of other rooms join them to their own.
    ///
    /// # Errors
    /// When it has not these columns.
    pub fn from_row(row: &Row) -> Result<Option<Self>> {
        let Some(named_at) = row.get("named_at")? else { return Ok(None) };
        let names = Names {
            first_name: row.get("first_name")?,
            last_name: row.get("last_name")?,
            name: row.get("name")?,
        };
        Ok(Some(Self { names, named_at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_does_not_tell_stays() {
        let names = |first: &str, last: &str, name: &str| {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Names { first_name: some(first), last_name: some(last), name: some(name) }
        };
        let known = names("Ada", "Lovelace", "Ada L.");
        for (told, shown) in [
            (names("", "", ""), known.clone()),
            (names("", "", "Countess"), names("Ada", "Lovelace", "Countess")),
            (names("Augusta", "", ""), names("Augusta", "", "")),
            (names("", "Byron", "A. Byron"), names("", "Byron", "A. Byron")),
        ] {
            assert_eq!(told.over(&known), shown);
        }
    }
}
