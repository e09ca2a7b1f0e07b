//! Values that go into statements and come out of rows: the four kinds that both engines store
//! alike. Times are milliseconds, flags 0 and 1, ids and JSON text.

use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Error, Kind, Result};
use crate::{
    clock::Timestamp,
    id::{GivenId, Id},
    money::{Amount, Currency},
    room::Room,
    stream::Stream,
};

/// A value of a column or of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// No value.
    Null,
    /// BIGINT: numbers, times in milliseconds, flags as 0 or 1.
    Int(i64),
    /// TEXT: ids, names, JSON, decimals.
    Text(String),
    /// BYTEA.
    Blob(Vec<u8>),
}

impl Value {
    /// Several ids, as the keys of a JSON object: on both engines `json_each(json(CAST($1 AS TEXT)))`
    /// has a row for each, with the id as its `key`.
    #[must_use]
    pub fn keys<'a>(ids: impl IntoIterator<Item = &'a Id>) -> Self {
        let keys = ids.into_iter().map(|id| format!("{}:0", serde_json::Value::from(id.as_str())));
        Self::Text(format!("{{{}}}", keys.collect::<Vec<_>>().join(",")))
    }
}

macro_rules! values {
    ($($from:ty: $value:ident => $to:expr;)+) => { $(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )+ };
}

values! {
    i64: n => Self::Int(n);
    i32: n => Self::Int(n.into());
    u32: n => Self::Int(n.into());
    bool: flag => Self::Int(flag.into());
    Timestamp: at => Self::Int(at.millis());
    String: text => Self::Text(text);
    &String: text => Self::Text(text.clone());
    &str: text => Self::Text(text.to_owned());
    &GivenId: id => Self::Text(id.to_text());
    GivenId: id => Self::Text(id.to_text());
    Id: id => Self::Text(id.as_str().to_owned());
    &Id: id => Self::Text(id.as_str().to_owned());
    Uuid: id => Self::Text(id.to_string());
    Amount: amount => Self::Text(amount.to_string());
    &Currency: currency => Self::Text(currency.to_string());
    Room: room => Self::Text(room.to_string());
    &Room: room => Self::Text(room.to_string());
    &Stream: stream => Self::Text(stream.to_string());
    &RawValue: json => Self::Text(json.get().to_owned());
    Box<RawValue>: json => Self::Text(Box::<str>::from(json).into());
    &Box<RawValue>: json => Self::Text(json.get().to_owned());
    Vec<u8>: bytes => Self::Blob(bytes);
    &[u8]: bytes => Self::Blob(bytes.to_vec());
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The parameters of a statement: `params![id, now]` for `$1` and `$2`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::db::Value::from($value)),*] };
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// The value in this form; none when it has another.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_values {
    ($($to:ty: $value:pat => $from:expr;)+) => { $(
        impl FromValue for $to {
            fn from_value(value: &Value) -> Option<Self> {
                let $value = value else { return None };
                $from
            }
        }
    )+ };
}

from_values! {
    i64: Value::Int(n) => Some(*n);
    u64: Value::Int(n) => (*n).try_into().ok();
    u32: Value::Int(n) => (*n).try_into().ok();
    Timestamp: Value::Int(n) => Some(Self::from_millis(*n));
    String: Value::Text(text) => Some(text.clone());
    Id: Value::Text(text) => text.parse().ok();
    GivenId: Value::Text(text) => GivenId::from_text(text).ok();
    Amount: Value::Text(text) => text.parse().ok();
    Currency: Value::Text(text) => text.parse().ok();
    Room: Value::Text(text) => text.parse().ok();
    Stream: Value::Text(text) => text.parse().ok();
    Box<RawValue>: Value::Text(text) => RawValue::from_string(text.clone()).ok();
    Vec<u8>: Value::Blob(bytes) => Some(bytes.clone());
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[Box<str>]>,
    values: Vec<Value>,
}

/// A column by its index (from 0) or by its name.
pub trait Column: Copy {
    /// Its index among the names.
    fn index(&self, columns: &[Box<str>]) -> Option<usize>;
}

impl Column for usize {
    fn index(&self, columns: &[Box<str>]) -> Option<usize> {
        (*self < columns.len()).then_some(*self)
    }
}

impl Column for &str {
    fn index(&self, columns: &[Box<str>]) -> Option<usize> {
        columns.iter().position(|column| &**column == *self)
    }
}

impl Row {
    pub(super) fn new(columns: Arc<[Box<str>]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// A column's value.
    ///
    /// # Errors
    /// [`Kind::Other`] when there is no such column, or its value has another type.
    pub fn get<T: FromValue>(&self, column: impl Column) -> Result<T> {
        let index = column.index(&self.columns).filter(|index| *index < self.values.len());
        let index = index.ok_or_else(|| Error::new(Kind::Other, "no such column in the answer"))?;
        T::from_value(&self.values[index]).ok_or_else(|| {
            let (name, wanted) = (&self.columns[index], std::any::type_name::<T>());
            Error::new(Kind::Other, format_args!("the column {name} is not a {wanted}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_the_keys_of_an_object() {
        let ids = ["u1", r#"a"b\c"#, "é"].map(|id| Id::new(id).unwrap());
        let Value::Text(json) = Value::keys(&ids) else { panic!("a text") };
        assert_eq!(json, r#"{"u1":0,"a\"b\\c":0,"é":0}"#);
        assert_eq!(Value::keys(&[]), Value::Text("{}".to_owned()));
    }

    #[test]
    fn a_row_is_read_by_name_and_by_place() {
        let names: Vec<Box<str>> = ["id", "at", "flag", "data", "gone"].map(Into::into).into();
        let data = RawValue::from_string(r#"{"a":1.10}"#.to_owned()).unwrap();
        let id = Id::new("u1").unwrap();
        let values = params![&id, Timestamp::from_millis(7), true, data, None::<i64>];
        let row = Row::new(names.into(), values.into());
        assert_eq!(row.get::<Id>("id").unwrap(), id);
        assert_eq!(row.get::<Timestamp>(1).unwrap().millis(), 7);
        assert!(row.get::<bool>("flag").unwrap());
        assert_eq!(row.get::<Box<RawValue>>("data").unwrap().get(), r#"{"a":1.10}"#);
        assert_eq!(row.get::<Option<String>>("gone").unwrap(), None);
        assert!(row.get::<String>("gone").is_err(), "nothing is not a text");
        assert!(row.get::<i64>("id").is_err(), "a text is not a number");
        assert!(row.get::<i64>("other").is_err());
        assert!(row.get::<i64>(5).is_err());
    }
}
