//! How a payload differs from the catalogue's: by the names and types of its fields, never by what
//! they hold.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::names;
use crate::{event::Shape, realtime::catalogue::Catalogue};

/// How deep is looked.
const DEEPEST: usize = 12;

/// Items of a list that are looked at.
const MOST_ITEMS: usize = 50;

/// Differences of one payload.
const MOST: usize = 64;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The catalogue's payload always has the field, this one has not.
    Missing,
    /// The catalogue's has no such field.
    Further,
    /// The field is of another type.
    Type,
    /// The field has a value that is none of the catalogue's.
    Value,
}

/// One difference of a payload from the catalogue's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What differs.
    pub kind: Kind,
    /// Where, such as `message.attachments[].url`; empty for the payload itself.
    pub field: String,
    /// Its type in the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Its type here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<&'static str>,
}

/// Who reads a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// An app, which may want any field that it is sent.
    App,
    /// This server, which takes numbers for ids, and what it does not know besides.
    Stoa,
}

/// The catalogue's types.
pub(super) struct Shapes(Map<String, Value>);

impl Shapes {
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        match serde_json::to_value(catalogue.schemas()) {
            Ok(Value::Object(schemas)) => Self(schemas),
            _ => Self(Map::new()),
        }
    }

    /// How the arguments of an event differ: the first from this type, or from the one of these types
    /// that it is nearest to; further ones are in no catalogue.
    pub(super) fn compare(
        &self,
        types: &[Shape],
        arguments: &[Value],
        reader: Reader,
    ) -> Vec<Difference> {
        let (first, further) = arguments.split_first().unwrap_or((&Value::Null, &[]));
        let walks = types.iter().map(|shape| {
            let mut walk = Walk { shapes: self, reader, found: BTreeSet::new() };
            let schema = self.0.get(&*(shape.name)());
            if let Some(schema) = schema {
                walk.value(schema, first, "", 0);
            }
            let says_other = schema.is_some_and(|schema| walk.says_other(schema, first));
            (says_other, walk.found)
        });
        let nearest = walks.min_by_key(|(says_other, found)| (*says_other, distance(found)));
        let nearest = nearest.map(|(_, found)| found).unwrap_or_default();
        let further =
            further.iter().filter(|_| reader == Reader::App).zip(2..).map(|(value, at)| {
                let (field, found) = (format!("argument {at}"), Some(type_of(value)));
                Difference { kind: Kind::Further, field, expected: None, found }
            });
        nearest.into_iter().chain(further).take(MOST).collect()
    }
}

/// A way through a payload.
struct Walk<'a> {
    shapes: &'a Shapes,
    reader: Reader,
    found: BTreeSet<Difference>,
}

/// What an object may have.
#[derive(Default)]
struct Fields<'a> {
    properties: Vec<(&'a str, &'a Value)>,
    required: Vec<&'a str>,
    /// The type of fields without a name of their own.
    others: Option<&'a Value>,
    /// Whether nothing is said of its fields.
    is_open: bool,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, path: &str, depth: usize) {
        if depth > DEEPEST || self.found.len() > MOST {
            return;
        }
        if let Some(name) = name_of(schema) {
            let is_id = name == "Id" && value.is_number() && self.reader == Reader::Stoa;
            if let Some(schema) = self.shapes.0.get(name).filter(|_| !is_id) {
                self.value(schema, value, path, depth + 1);
            }
            return;
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let found = choices.iter().map(|choice| {
                let mut walk = Walk { found: BTreeSet::new(), ..*self };
                walk.value(choice, value, path, depth + 1);
                walk.found
            });
            self.found.extend(found.min_by_key(distance).unwrap_or_default());
            return;
        }
        let types = types(schema);
        let found = type_of(value);
        let is_one = types.is_empty()
            || types.contains(&found)
            || (found == "integer" && types.contains(&"number"));
        if !is_one {
            let expected = Some(types.join(" or "));
            self.note(Difference {
                kind: Kind::Type,
                field: path.into(),
                expected,
                found: Some(found),
            });
            return;
        }
        let one_of = schema.get("enum").and_then(Value::as_array);
        if one_of.is_some_and(|values| !values.contains(value)) {
            let (field, found) = (path.to_owned(), Some(found));
            self.note(Difference { kind: Kind::Value, field, expected: None, found });
            return;
        }
        match value {
            Value::Object(object) => self.object(schema, object, path, depth),
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    let path = format!("{path}[]");
                    for item in items.iter().take(MOST_ITEMS) {
                        self.value(schema, item, &path, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, schema: &'a Value, object: &Map<String, Value>, path: &str, depth: usize) {
        let mut fields = Fields::default();
        self.fields(schema, &mut fields, depth);
        if fields.is_open {
            return;
        }
        let at = |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
        for (name, schema) in &fields.properties {
            // What is null is not there, where it may not be null.
            let value =
                object.get(*name).filter(|value| !value.is_null() || self.is_nullable(schema));
            match value {
                Some(value) => self.value(schema, value, &at(name), depth + 1),
                None if fields.required.contains(name) => {
                    let expected = Some(self.types_of(schema));
                    let field = at(name);
                    self.note(Difference { kind: Kind::Missing, field, expected, found: None });
                }
                None => {}
            }
        }
        for (name, value) in object {
            if fields.properties.iter().any(|(known, _)| known == name) {
                continue;
            }
            if let Some(schema) = fields.others {
                self.value(schema, value, &at("*"), depth + 1);
            } else if self.reader == Reader::App {
                let (field, found) = (at(&names::told(name)), Some(type_of(value)));
                self.note(Difference { kind: Kind::Further, field, expected: None, found });
            }
        }
    }

    /// What an object of this type may have, with that of the types that it is made of.
    fn fields(&self, schema: &'a Value, fields: &mut Fields<'a>, depth: usize) {
        if depth > 2 * DEEPEST {
            return;
        }
        if let Some(schema) = name_of(schema).and_then(|name| self.shapes.0.get(name)) {
            return self.fields(schema, fields, depth + 1);
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return parts.iter().for_each(|part| self.fields(part, fields, depth + 1));
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        fields.properties.extend(properties.into_iter().flatten().map(|(name, of)| (&**name, of)));
        let required = schema.get("required").and_then(Value::as_array);
        fields.required.extend(required.into_iter().flatten().filter_map(Value::as_str));
        let others = schema.get("additionalProperties").filter(|others| **others != false);
        fields.others = fields.others.or(others);
        fields.is_open |= properties.is_none() && others.is_none();
    }

    /// Whether an acknowledgement says that something was done of which this type says that it was not,
    /// or the other way round.
    fn says_other(&self, schema: &'a Value, value: &Value) -> bool {
        let mut fields = Fields::default();
        self.fields(schema, &mut fields, 0);
        let success = fields.properties.iter().find(|(name, _)| *name == "success");
        let of_type = success.and_then(|(_, schema)| self.constant(schema));
        of_type.zip(outcome(value)).is_some_and(|(of_type, found)| of_type != found)
    }

    /// The only value of a field that is one of yes and no.
    fn constant(&self, schema: &Value) -> Option<bool> {
        if let Some(schema) = name_of(schema).and_then(|name| self.shapes.0.get(name)) {
            return self.constant(schema);
        }
        match schema.get("enum")?.as_array()?.as_slice() {
            [Value::Bool(only)] => Some(*only),
            _ => None,
        }
    }

    fn note(&mut self, difference: Difference) {
        self.found.insert(difference);
    }

    fn is_nullable(&self, schema: &Value) -> bool {
        if let Some(schema) = name_of(schema).and_then(|name| self.shapes.0.get(name)) {
            return self.is_nullable(schema);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            return choices.iter().any(|choice| self.is_nullable(choice));
        }
        let types = types(schema);
        types.contains(&"null") || (types.is_empty() && schema.get("allOf").is_none())
    }

    /// The types of a field, in words.
    fn types_of(&self, schema: &Value) -> String {
        if let Some(schema) = name_of(schema).and_then(|name| self.shapes.0.get(name)) {
            return self.types_of(schema);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let types: BTreeSet<_> = choices.iter().map(|choice| self.types_of(choice)).collect();
            return types.into_iter().collect::<Vec<_>>().join(" or ");
        }
        let types = types(schema);
        if types.is_empty() { "anything".to_owned() } else { types.join(" or ") }
    }
}

/// Whether an acknowledgement says that what was asked was done, in the words that servers have for it.
fn outcome(value: &Value) -> Option<bool> {
    ["success", "ok"].into_iter().find_map(|name| value.get(name)?.as_bool())
}

/// How far a payload is from a type: what is something else altogether is farther than what has other
/// fields.
fn distance(found: &BTreeSet<Difference>) -> usize {
    found.iter().map(|one| if one.kind == Kind::Type { MOST } else { 1 }).sum()
}

/// The name of the type that a schema refers to.
fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The type of a value, as JSON Schema calls it; bytes beside the text are binary.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(object) if object.get("_placeholder") == Some(&Value::Bool(true)) => "binary",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::json;

    use super::*;
    use crate::{app::events, realtime::catalogue::REFUSAL};

    /// The differences of a server's payload (or of a client's), a line each.
    fn differences(name: &str, value: &Value) -> String {
        let catalogue = events();
        let (event, reader) = match catalogue.sent(name) {
            Some(event) => (event, Reader::App),
            None => (catalogue.heard(name).unwrap(), Reader::Stoa),
        };
        let value = std::slice::from_ref(value);
        let found = Shapes::new(&catalogue).compare(&[event.payload], value, reader);
        found.iter().fold(String::new(), |mut text, one| {
            let (expected, found) = (one.expected.as_deref(), one.found);
            let _ = write!(text, "{:?} {} ", one.kind, one.field);
            let _ = writeln!(text, "{} {}", expected.unwrap_or("-"), found.unwrap_or("-"));
            text
        })
    }

    #[test]
    fn each_kind_of_difference_is_told_by_names_and_types_alone() {
        let offer = json!({
            "requestId": 7, "sellerId": "s", "secret": { "a": 1 }, "507f1f77": true,
            "offer": {
                "id": "o", "_id": "o", "requestId": "r", "sellerId": "s", "amount": 3,
                "currency": "USD", "message": null, "deliveryDays": 2.5, "status": "thinking",
                "isSelected": "no", "createdAt": "now", "note": [],
            },
        });
        insta::assert_snapshot!(differences("new-offer", &offer), @r"
        Missing offer.updatedAt string -
        Further * - boolean
        Further offer.note - array
        Further secret - object
        Type offer.deliveryDays integer or null number
        Type offer.isSelected boolean string
        Type requestId string integer
        Value offer.status - string
        ");
    }

    #[test]
    fn a_payload_of_the_catalogue_has_none() {
        let message = json!({
            "messageId": "m", "conversationId": "c", "content": "x", "createdAt": "now", "seq": 1,
            "sender": { "id": "u", "firstName": null, "lastName": "x" }, "replyTo": null,
            "attachments": [{ "url": "u", "anything": 1 }], "clientMessageId": 7,
            "metadata": { "free": [1] }, "free": [1],
        });
        assert_eq!(differences("message:new", &message), "");
        assert_eq!(differences("unread-count-update", &json!({ "unreadCount": 0 })), "");
    }

    #[test]
    fn what_is_null_is_absent_where_it_may_not_be_null() {
        let update = json!({ "paymentId": null, "status": "confirmed", "txHash": null });
        assert_eq!(differences("payment-update", &update), "Missing paymentId string -\n");
    }

    #[test]
    fn something_else_altogether_is_one_difference() {
        assert_eq!(differences("new-offer", &json!("x")), "Type  object string\n");
        assert_eq!(differences("new-offer", &Value::Null), "Type  object null\n");
        let binary = json!({ "_placeholder": true, "num": 0 });
        assert_eq!(differences("new-offer", &binary), "Type  object binary\n");
    }

    #[test]
    fn an_acknowledgement_is_compared_with_the_one_of_its_outcome() {
        let catalogue = events();
        let shapes = Shapes::new(&catalogue);
        let ack = catalogue.heard("message:send").unwrap().ack.unwrap();
        let fields = |answer: Value| -> Vec<String> {
            let found = shapes.compare(&[ack, REFUSAL], &[answer], Reader::App);
            found.into_iter().map(|one| one.field).collect()
        };
        // By what it has, it is nearer to the other.
        for done in [json!({ "success": true }), json!({ "ok": true, "error": null })] {
            let told = fields(done);
            assert!(told.contains(&"message".to_owned()), "{told:?}");
            assert!(!told.contains(&"code".to_owned()), "{told:?}");
        }
        assert_eq!(fields(json!({ "success": false })), ["code", "error"]);
        assert_eq!(fields(json!({ "ok": false })), ["code", "error", "success", "ok"]);
    }

    #[test]
    fn what_clients_send_is_read_as_this_server_reads_it() {
        for (name, value, expected) in [
            ("join-user-room", json!("u"), ""),
            ("join-user-room", json!(7), ""),
            ("join-user-room", json!({ "userId": 7, "since": 3, "other": 1 }), ""),
            ("join-user-room", json!(true), "Type  string boolean\n"),
            ("typing-start", json!({ "chatId": "c" }), "Missing userId string -\n"),
            ("message:send", json!({ "conversationId": "c", "mood": "x", "content": null }), ""),
        ] {
            assert_eq!(differences(name, &value), expected, "{value}");
        }
    }
}
