//! Fields of a caller's own. They are kept and told back in the bytes in which they came, so nothing
//! but their names is taken apart.

use std::{borrow::Cow, fmt};

use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, Schema},
    },
};

use super::json::{self, AnyJson, MAX_METADATA_BYTES, TOO_MUCH_METADATA};

/// A JSON object of a caller's own: up to 16 KiB, each of its fields up to 100 levels deep. Of a name
/// that comes twice the last counts, as in JavaScript.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Fields(IndexMap<Box<str>, Box<RawValue>>);

impl Fields {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field's value, when it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// These without those of some names that are `null`.
    #[must_use]
    pub fn without_null(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, value| value.get() != "null" || !names.contains(&&**name));
        self
    }

    /// These and a text of another name.
    #[must_use]
    pub fn and_text(mut self, name: &str, text: &str) -> Self {
        if let Ok(text) = serde_json::value::to_raw_value(text) {
            self.0.insert(name.into(), text);
        }
        self
    }

    /// These and others; of a name that both have, the others' counts.
    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// These without those of some names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let rest = self.0.iter().filter(|(name, _)| !names.contains(&&***name));
        Self(rest.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// How many bytes of JSON they are; 0 when there are none.
    #[must_use]
    pub fn bytes(&self) -> usize {
        if self.is_empty() { 0 } else { json::bytes(self) }
    }

    /// Reads a field that should hold an object, and takes what is none as one field of this name.
    /// `null` counts as absent.
    ///
    /// # Errors
    /// As for the fields themselves.
    pub fn or_one<'de, D: Deserializer<'de>>(name: &str, from: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(from)?;
        match json.get().as_bytes().first() {
            Some(b'{') => serde_json::from_str(json.get()).map_err(Error::custom),
            Some(b'n') => Ok(Self::default()),
            _ => {
                let mut found = Found::default();
                found.add(name.into(), serde_json::from_str(json.get()).map_err(Error::custom)?)?;
                Ok(found.fields)
            }
        }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().all(|(name, value)| {
                other.0.get(name).is_some_and(|other| other.get() == value.get())
            })
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut found = Found::default();
                while let Some(name) = map.next_key::<Box<str>>()? {
                    found.add(name, map.next_value()?)?;
                }
                Ok(found.fields)
            }
        }

        from.deserialize_map(Reader)
    }
}

/// Fields as they are read, and their bytes: no more is held than may be kept.
#[derive(Default)]
struct Found {
    fields: Fields,
    bytes: usize,
}

impl Found {
    fn add<E: Error>(&mut self, name: Box<str>, AnyJson(value): AnyJson) -> Result<(), E> {
        // With the colon, and the comma or the braces.
        self.bytes += json::bytes(&name) + value.get().len() + 2;
        if self.bytes >= MAX_METADATA_BYTES {
            return Err(E::custom(TOO_MUCH_METADATA));
        }
        self.fields.0.insert(name, value);
        Ok(())
    }
}

/// A struct, and whatever fields of its object it does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct WithFurther<T> {
    /// What is known.
    pub known: T,
    /// What is not.
    pub further: Fields,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WithFurther<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut found = Found::default();
        let known = T::deserialize(Sorting { from, found: &mut found })?;
        Ok(Self { known, further: found.fields })
    }
}

impl<T: PartialSchema> PartialSchema for WithFurther<T> {
    fn schema() -> RefOr<Schema> {
        let mut schema = T::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
        }
        schema
    }
}

impl<T: ToSchema> ToSchema for WithFurther<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// Hands a struct the fields that it knows, and adds the others to what is found: each is read once,
/// where it stands.
struct Sorting<'f, D> {
    from: D,
    found: &'f mut Found,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Sorting<'_, D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.from.deserialize_struct(name, known, Sorted { of: visitor, known, found: self.found })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.from.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The visitor of a struct, or the fields on their way to it.
struct Sorted<'f, S> {
    of: S,
    known: &'static [&'static str],
    found: &'f mut Found,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Sorted<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<V::Value, M::Error> {
        self.of.visit_map(Sorted { of: map, known: self.known, found: self.found })
    }
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Sorted<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, M::Error> {
        loop {
            match self.of.next_key_seed(Name(self.known))? {
                None => return Ok(None),
                Some(Field::Known(name)) => {
                    let name: StrDeserializer<'_, M::Error> = name.into_deserializer();
                    return seed.deserialize(name).map(Some);
                }
                Some(Field::Further(name)) => self.found.add(name, self.of.next_value()?)?,
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, M::Error> {
        self.of.next_value_seed(seed)
    }
}

/// The name of a field, as the struct knows it or as it came.
enum Field {
    Known(&'static str),
    Further(Box<str>),
}

/// Reads the name of a field; with the names that the struct knows.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Field, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Field, E> {
        let known = self.0.iter().find(|known| **known == name);
        Ok(known.map_or_else(|| Field::Further(name.into()), |known| Field::Known(known)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Code;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parcel {
        sent_to: String,
        #[serde(default)]
        size: Option<u64>,
    }

    fn read(json: &str) -> crate::error::Result<WithFurther<Parcel>> {
        json::decode(json.as_bytes())
    }

    #[test]
    fn what_a_struct_does_not_know_is_told_back_in_its_bytes() {
        let text =
            r#"{"z":1.10,"sentTo":"ann","a":{"b":[ 1e2 ]},"\u00e9":12345678901234567890123}"#;
        let WithFurther { known, further } = read(text).unwrap();
        assert_eq!((known.sent_to.as_str(), known.size), ("ann", None));
        let written = serde_json::to_string(&further).unwrap();
        assert_eq!(written, r#"{"z":1.10,"a":{"b":[ 1e2 ]},"é":12345678901234567890123}"#);
        assert_eq!(further.bytes(), written.len());
        assert!(read(r#"{"sentTo":"ann","size":3}"#).unwrap().further.is_empty());
        let twice = read(r#"{"a":1,"sentTo":"ann","a":2}"#).unwrap().further;
        assert_eq!(serde_json::to_value(twice).unwrap(), json!({ "a": 2 }));
    }

    #[test]
    fn what_it_knows_is_refused_by_its_pointer() {
        for (json, pointer, detail) in [
            (r#"{"further":1}"#, "/sentTo", "is required"),
            (r#"{"a":1,"sentTo":1}"#, "/sentTo", "invalid type"),
            (r#"{"sentTo":"ann","size":"3"}"#, "/size", "invalid type"),
            (r#"["ann"]"#, "", "invalid type: sequence, expected an object"),
        ] {
            let error = read(json).unwrap_err();
            assert_eq!(error.code(), Code::InvalidPayload, "{json}");
            assert_eq!(error.fields()[0].pointer, pointer, "{json}");
            assert!(error.fields()[0].detail.starts_with(detail), "{json}: {error:?}");
        }
    }

    #[test]
    fn they_have_a_bound_in_bytes_and_in_depth() {
        let long = |bytes: usize| format!(r#"{{"sentTo":"ann","a":"{}"}}"#, "x".repeat(bytes));
        assert_eq!(read(&long(16 * 1024 - 8)).unwrap().further.bytes(), 16 * 1024);
        let error = read(&long(16 * 1024 - 7)).unwrap_err();
        assert_eq!(error.fields()[0].detail, TOO_MUCH_METADATA);
        // Escapes are as long as they are told back.
        let escapes = format!(r#"{{"sentTo":"ann","{}":1}}"#, r"\u0001".repeat(3000));
        assert_eq!(read(&escapes).unwrap_err().fields()[0].detail, TOO_MUCH_METADATA);
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deep = |levels| read(&format!(r#"{{"sentTo":"ann","a":{}}}"#, nested(levels)));
        assert!(deep(100).is_ok());
        assert_eq!(deep(101).unwrap_err().fields()[0].pointer, "/a");
    }

    #[test]
    fn the_others_come_over_these() {
        let fields = |json: &str| serde_json::from_str::<Fields>(json).unwrap();
        let both = fields(r#"{"a":1,"b":1}"#).with(fields(r#"{"b":2,"c":2}"#));
        assert_eq!(both, fields(r#"{"a":1,"c":2,"b":2}"#));
        assert_ne!(both, fields(r#"{"a":1,"b":2}"#));
        assert_eq!(both.without(&["a", "c", "d"]), fields(r#"{"b":2}"#));
        assert_eq!(fields(r#"{"a":"b","c":1}"#).text("a").as_deref(), Some("b"));
        assert_eq!((both.text("a"), both.text("d")), (None, None));
    }

    #[test]
    fn what_is_no_object_is_one_field() {
        let or_one = |json: &str| {
            let read = Fields::or_one("metadata", &mut serde_json::Deserializer::from_str(json));
            read.map(|fields| serde_json::to_string(&fields).unwrap())
        };
        assert_eq!(or_one(r#" {"a": 1}"#).unwrap(), r#"{"a":1}"#);
        assert_eq!(or_one("null").unwrap(), "{}");
        assert_eq!(or_one("[1]").unwrap(), r#"{"metadata":[1]}"#);
        assert!(or_one(&format!("\"{}\"", "x".repeat(16 * 1024))).is_err());
    }
}
