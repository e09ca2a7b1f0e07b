//! What a store has, as lines that another takes in: each room brings its own, and import and export put
//! them together (docs/moving.md).

use std::{
    borrow::Cow,
    fmt,
    future::ready,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use garde::Validate;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, IgnoredAny},
};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    personal::Lines,
    rest::json,
};

/// Rows that one unit reads, at most.
pub const ROWS: i64 = 200;

/// Fields of a line that are told to differ, at most.
const MAX_FIELDS: usize = 5;

/// What a unit gives back.
pub type Done<'a, T> = LocalBoxFuture<'a, Result<T>>;

/// Lines of some types: read, taken into the store, and told from it.
pub trait Movable: Send + Sync {
    /// The types. Lines of one family are taken in together, in the order of their [`Place`]s.
    fn types(&self) -> &'static [&'static str];

    /// Reads a line of one of these types and checks all that it says of itself.
    ///
    /// # Errors
    /// With the fields that are wrong.
    fn facts(&self, kind: &str, json: &[u8]) -> Result<Facts>;

    /// The spaces beside its type in which others refer to a line, each with the fields that name it there.
    fn spaces(&self, _kind: &str) -> &'static [Space] {
        &[]
    }

    /// Takes lines in, which have been read before; what became of each. What is there already stays.
    ///
    /// # Errors
    /// The store's; then none of them is taken in.
    fn import<'a>(&'a self, tx: &'a mut Tx<'_>, lines: &'a [Incoming]) -> Done<'a, Vec<Outcome>>;

    /// Tells the next of what is there, after what it said to go on after; nothing when it is through.
    ///
    /// # Errors
    /// The store's.
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        after: &'a str,
        lines: &'a mut Lines,
    ) -> Done<'a, Option<String>>;

    /// Of things that lines refer to and no line is: which are in the store. All are of one space, which
    /// is a type of these, or one whose names begin with it.
    ///
    /// # Errors
    /// The store's.
    fn are_there<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        space: &'a str,
        names: &'a [String],
    ) -> Done<'a, Vec<bool>>;
}

/// A space, and the fields whose ids name a line in it, with a space between them.
pub type Space = (&'static str, &'static [&'static str]);

/// A type of lines that are taken in one by one.
pub trait Line:
    Serialize + DeserializeOwned + Validate<Context = ()> + Send + Sync + Sized + 'static
{
    /// The type.
    const TYPE: &'static str;

    /// The spaces beside its type in which others refer to it.
    const SPACES: &'static [Space] = &[];

    /// Checks what no rule of a field says.
    ///
    /// # Errors
    /// With the fields that are wrong.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What it is, what it refers to, and where it comes.
    fn facts(&self) -> Facts;

    /// Takes it in; what is there already stays.
    ///
    /// # Errors
    /// The store's.
    fn import(self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Outcome>>;

    /// The next lines after what was said to go on after, and what to go on after then.
    ///
    /// # Errors
    /// The store's.
    fn next(
        tx: &mut Tx<'_>,
        after: &str,
    ) -> impl Future<Output = Result<(Vec<Self>, Option<String>)>>;

    /// Whether something of this name is in the store. Nobody asks where no line refers to one.
    ///
    /// # Errors
    /// The store's.
    fn is_there(_tx: &mut Tx<'_>, _name: &str) -> impl Future<Output = Result<bool>> {
        ready(Ok(false))
    }
}

/// Behind some rows, as far as there may be more.
#[must_use]
pub fn behind<T>(rows: &[T], key: impl Fn(&T) -> String) -> Option<String> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= ROWS);
    rows.last().filter(|_| is_full).map(key)
}

/// The family of such a type.
pub struct Alone<L>(PhantomData<fn() -> L>);

impl<L> Alone<L> {
    /// Makes one.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<L> Default for Alone<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Line> Movable for Alone<L> {
    fn types(&self) -> &'static [&'static str] {
        const { &[L::TYPE] }
    }

    fn facts(&self, _kind: &str, json: &[u8]) -> Result<Facts> {
        let line: L = json::decode_valid(json, L::check)?;
        Ok(line.facts())
    }

    fn spaces(&self, _kind: &str) -> &'static [Space] {
        L::SPACES
    }

    fn import<'a>(&'a self, tx: &'a mut Tx<'_>, lines: &'a [Incoming]) -> Done<'a, Vec<Outcome>> {
        async move {
            let mut outcomes = Vec::with_capacity(lines.len());
            for line in lines {
                let line: L = json::decode_valid(&line.json, L::check)?;
                outcomes.push(line.import(tx).await?);
            }
            Ok(outcomes)
        }
        .boxed_local()
    }

    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        after: &'a str,
        lines: &'a mut Lines,
    ) -> Done<'a, Option<String>> {
        async move {
            let (told, next) = L::next(tx, after).await?;
            told.iter().try_for_each(|line| lines.add(L::TYPE, line))?;
            Ok(next)
        }
        .boxed_local()
    }

    fn are_there<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        _space: &'a str,
        names: &'a [String],
    ) -> Done<'a, Vec<bool>> {
        async move {
            let mut there = Vec::with_capacity(names.len());
            for name in names {
                there.push(L::is_there(tx, name).await?);
            }
            Ok(there)
        }
        .boxed_local()
    }
}

/// Bytes, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        hex::decode(digits).map(Self).map_err(|_| D::Error::custom("is not of hexadecimal digits"))
    }
}

/// A line to take in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its type.
    pub kind: &'static str,
    /// The line.
    pub json: Vec<u8>,
    /// Whether it is the last of its group.
    pub ends: bool,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the store now.
    Written,
    /// It was.
    Same,
    /// Something else is in its place, which stays, and this is why.
    Other(Cow<'static, str>),
}

impl Outcome {
    /// Something else is in its place.
    #[must_use]
    pub const fn other(why: &'static str) -> Self {
        Self::Other(Cow::Borrowed(why))
    }

    /// Of a line, and of what is there in its place as a line: the same, or in which fields it is not.
    ///
    /// # Errors
    /// When they are no JSON.
    pub fn compared<L: PartialEq + Serialize>(line: &L, kept: &L) -> Result<Self> {
        if line == kept {
            return Ok(Self::Same);
        }
        let value = |line: &L| serde_json::to_value(line).map_err(Error::internal);
        let fields = differences(&value(line)?, &value(kept)?);
        Ok(Self::Other(format!("is there with other content{fields}").into()))
    }
}

/// In which fields two lines differ, by their names alone, to be told after what they are.
#[must_use]
pub fn differences(one: &Value, other: &Value) -> String {
    let mut fields = Vec::new();
    differ("", one, other, &mut fields);
    let mut told = String::new();
    for (field, before) in fields.iter().take(MAX_FIELDS).zip([", in ", ", ", ", ", ", ", ", "]) {
        told.extend([before, field.as_str()]);
    }
    match fields.len().saturating_sub(MAX_FIELDS) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// Of a field the parts that differ, and of these none of theirs: further ones are an app's own.
fn differ(at: &str, one: &Value, other: &Value, fields: &mut Vec<String>) {
    let is_deep = at.matches('/').count() > 1;
    let (Value::Object(of_one), Value::Object(of_other), false) = (one, other, is_deep) else {
        if one != other {
            fields.push(at.to_owned());
        }
        return;
    };
    let further = of_other.keys().filter(|key| !of_one.contains_key(*key));
    for key in of_one.keys().chain(further) {
        let part = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
        let pointer = key.replace('~', "~0").replace('/', "~1");
        differ(&format!("{at}/{pointer}"), &part(of_one), &part(of_other), fields);
    }
}

/// What is known of a line apart from its content.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where it comes among the others of its family.
    pub place: Place,
    /// What it is, and what it refers to.
    pub keys: Vec<Key>,
}

/// Where a line comes: group by group; in a group first what has no time, then those with a number by this,
/// then the others by their time, and at last as they stand in the files.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// What the line belongs to; empty where lines come as they stand in the file.
    pub group: String,
    /// Its number in the group.
    pub number: Option<u64>,
    /// Its time in the group; none for what comes first.
    pub at: Option<Timestamp>,
}

impl Place {
    /// Among the lines of a user, a conversation or the like.
    #[must_use]
    pub fn among(group: &Id, number: Option<u64>, at: Timestamp) -> Self {
        Self { group: group.to_string(), number, at: Some(at) }
    }
}

/// Reads what to go on after where lines go by a user and a number of theirs, which stands first.
///
/// # Errors
/// When it is none of ours.
pub fn user_and_number(after: &str) -> Result<(&str, i64)> {
    let (number, user) = after.split_once(' ').unwrap_or(("0", ""));
    Ok((user, number.parse().map_err(Error::internal)?))
}

/// Something that is named.
#[derive(Clone, Debug)]
pub struct Key {
    /// What sort of thing it is.
    pub space: &'static str,
    /// Its name among those.
    pub name: String,
    /// Whether the line is it, or only refers to it.
    pub is_own: bool,
}

impl Key {
    /// The line is this; no other may be.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "ids are lent, other names made for this")]
    pub fn own(space: &'static str, name: impl ToString) -> Self {
        Self { space, name: name.to_string(), is_own: true }
    }

    /// The line refers to this.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "ids are lent, other names made for this")]
    pub fn other(space: &'static str, name: impl ToString) -> Self {
        Self { space, name: name.to_string(), is_own: false }
    }
}

/// Makes short numbers of names, which nobody can foresee: the same for the same, and else another.
#[derive(Clone, Default)]
pub struct Names(RandomState, RandomState);

impl Names {
    /// The number of a name.
    #[must_use]
    pub fn number(&self, space: &str, name: &str) -> u128 {
        let (one, other) = (self.0.hash_one((space, name)), self.1.hash_one((space, name)));
        u128::from(one) << 64 | u128::from(other)
    }
}

/// The `type` of a line, which is read before the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag;

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Reads a line and checks the rules of its fields.
///
/// # Errors
/// With the fields that are wrong.
pub fn read<T: DeserializeOwned + Validate<Context = ()>>(json: &[u8]) -> Result<T> {
    json::decode_valid(json, |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_differ_are_told_by_their_names() {
        let line = json!({
            "title": "One", "body": null, "profile": { "name": "Ann", "a/b": { "c": 1 } },
            "roles": ["buyer"],
        });
        for (kept, told) in [
            (json!({ "title": "Two" }), ", in /profile, /roles, /title"),
            (
                json!({ "title": "One", "profile": { "name": "Bob", "a/b": { "c": 2 } } }),
                ", in /profile/a~1b, /profile/name, /roles",
            ),
            (
                json!({ "title": "One", "later": 1, "profile": line["profile"], "roles": [] }),
                ", in /later, /roles",
            ),
        ] {
            let mut found: Vec<String> = differences(&line, &kept)
                .trim_start_matches(", in ")
                .split(", ")
                .map(str::to_owned)
                .collect();
            found.sort();
            assert_eq!(format!(", in {}", found.join(", ")), told);
        }
        assert_eq!(differences(&line, &line), "");
        let many = json!({ "a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1 });
        assert_eq!(differences(&many, &json!({})), ", in /a, /b, /c, /d, /e and 2 more");
    }
}
