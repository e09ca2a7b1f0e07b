//! The catalogue as TypeScript: the type of a socket, the two interfaces of events that it is made
//! of, and an interface for every payload.

use std::fmt::{self, Write};

use utoipa::openapi::{
    RefOr,
    schema::{AdditionalProperties, ArrayItems, Object, Schema, SchemaType, Type},
};

use super::{Catalogue, schemas::REFUSAL};
use crate::event::EventType;

/// The type of a socket that knows the events.
const HEAD: &str = include_str!("socket.d.ts");

impl Catalogue {
    /// The text of `events.d.ts`.
    #[must_use]
    pub fn typescript(&self) -> String {
        let mut text = String::from(HEAD);
        // Writing to a `String` can't fail.
        let _ = self.write_typescript(&mut text);
        text
    }

    fn write_typescript(&self, out: &mut String) -> fmt::Result {
        out.push('\n');
        doc(out, "", "What the server sends.")?;
        out.push_str("export interface ServerToClientEvents {\n");
        for event in self.sent.values() {
            let kept = if event.kept { "; kept for replay" } else { "" };
            doc(out, "  ", &format!("{} To {}{kept}.", event.description(), event.to))?;
            let payload = (event.payload.name)();
            writeln!(out, "  {:?}: (payload: {payload}) => void;", event.name)?;
        }
        out.push_str("}\n\n");

        doc(out, "", "What a client sends; it is acknowledged where there is a callback.")?;
        out.push_str("export interface ClientToServerEvents {\n");
        for event in self.heard.values() {
            doc(out, "  ", &event.description())?;
            writeln!(out, "  {:?}: ({}) => void;", event.name, parameters(event))?;
        }
        out.push_str("}\n");

        self.schemas.iter().try_for_each(|(name, schema)| declaration(out, name, schema))
    }
}

fn parameters(event: &EventType) -> String {
    let payload = (event.payload.name)();
    let ack = event.ack.map(|ack| (ack.name)()).unwrap_or_default();
    format!("payload: {payload}, ack: (answer: {ack} | {}) => void", (REFUSAL.name)())
}

/// An interface for an object; a type alias for anything else.
fn declaration(out: &mut String, name: &str, schema: &RefOr<Schema>) -> fmt::Result {
    out.push('\n');
    doc(out, "", description(schema))?;
    let Some((bases, objects)) = interface(schema) else {
        return writeln!(out, "export type {name} = {};", expression(schema));
    };
    write!(out, "export interface {name} ")?;
    if !bases.is_empty() {
        write!(out, "extends {} ", bases.join(", "))?;
    }
    out.push_str("{\n");
    for object in objects {
        for (name, property) in &object.properties {
            let optional = if object.required.contains(name) { "" } else { "?" };
            doc(out, "  ", description(property))?;
            writeln!(out, "  {name}{optional}: {};", expression(property))?;
        }
        further(out, object)?;
    }
    out.push_str("}\n");
    Ok(())
}

/// The fields that an object may have beside those that are named.
fn further(out: &mut String, object: &Object) -> fmt::Result {
    match object.additional_properties.as_deref() {
        None | Some(AdditionalProperties::FreeForm(false)) => Ok(()),
        Some(AdditionalProperties::FreeForm(true)) => {
            out.write_str("  [further: string]: unknown;\n")
        }
        Some(AdditionalProperties::RefOr(values)) => {
            doc(out, "  ", description(values))?;
            writeln!(out, "  [further: string]: {};", expression(values))
        }
    }
}

/// What an object's interface extends, and the objects whose properties it has: more than one
/// where a struct is flattened from others. None for what is not an object.
pub(super) fn interface(schema: &RefOr<Schema>) -> Option<(Vec<String>, Vec<&Object>)> {
    match schema {
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => {
            Some((Vec::new(), vec![object]))
        }
        RefOr::T(Schema::AllOf(all)) => {
            let bases = all.items.iter().filter(|item| matches!(item, RefOr::Ref(_)));
            let objects = all.items.iter().filter_map(|item| match item {
                RefOr::T(Schema::Object(object)) => Some(object),
                _ => None,
            });
            Some((bases.map(expression).collect(), objects.collect()))
        }
        _ => None,
    }
}

/// The schema as a TypeScript type expression.
pub(super) fn expression(schema: &RefOr<Schema>) -> String {
    let schema = match schema {
        RefOr::Ref(reference) => {
            return reference.ref_location.rsplit('/').next().unwrap_or_default().into();
        }
        RefOr::T(schema) => schema,
    };
    match schema {
        Schema::Object(object) => match &object.enum_values {
            Some(values) => union(values.iter().map(ToString::to_string)),
            None => of_types(&object.schema_type, object),
        },
        Schema::Array(array) => match &array.items {
            ArrayItems::RefOrSchema(items) => {
                let nullable = array.schema_type != SchemaType::Type(Type::Array);
                let of = format!("Array<{}>", expression(items));
                if nullable { union([of, "null".into()]) } else { of }
            }
            ArrayItems::False => "unknown[]".into(),
        },
        Schema::OneOf(one) => union(one.items.iter().map(expression)),
        Schema::AnyOf(any) => union(any.items.iter().map(expression)),
        _ => "unknown".into(),
    }
}

fn of_types(schema_type: &SchemaType, object: &Object) -> String {
    let of = |one: &Type| match one {
        Type::String => "string".into(),
        Type::Boolean => "boolean".into(),
        Type::Integer | Type::Number => "number".into(),
        Type::Null => "null".into(),
        Type::Array => "unknown[]".into(),
        Type::Object => match object.additional_properties.as_deref() {
            Some(AdditionalProperties::RefOr(values)) => {
                format!("Record<string, {}>", expression(values))
            }
            _ => "Record<string, unknown>".into(),
        },
    };
    match schema_type {
        SchemaType::Type(one) => of(one),
        SchemaType::Array(types) => union(types.iter().map(of)),
        SchemaType::AnyValue => "unknown".into(),
    }
}

fn union(alternatives: impl IntoIterator<Item = String>) -> String {
    alternatives.into_iter().collect::<Vec<_>>().join(" | ")
}

pub(super) fn description(schema: &RefOr<Schema>) -> &str {
    match schema {
        RefOr::Ref(reference) => &reference.description,
        RefOr::T(Schema::Object(object)) => object.description.as_deref().unwrap_or_default(),
        RefOr::T(Schema::Array(array)) => array.description.as_deref().unwrap_or_default(),
        RefOr::T(Schema::AllOf(all)) => all.description.as_deref().unwrap_or_default(),
        // utoipa puts the words on a nullable reference, not on the choice of it and null.
        RefOr::T(Schema::OneOf(one)) => match one.description.as_deref() {
            Some(words) => words,
            None => one.items.first().map_or("", description),
        },
        RefOr::T(_) => "",
    }
}

/// A doc comment on one line.
fn doc(out: &mut String, indent: &str, words: &str) -> fmt::Result {
    if words.is_empty() {
        return Ok(());
    }
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
    writeln!(out, "{indent}/** {line} */")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Serialize;
    use utoipa::ToSchema;

    use super::*;
    use crate::{event::ServerEvent, events, id::Id, realtime::events::Done};

    events! {
        server(Both) {
            /// A sample
            /// of two lines.
            SAMPLE: "a:sample", Sample, kept, to "everyone";
        }
        client(Both) {
            /// Asks for one.
            ASK: "ask", Id => Done, rate Other;
        }
    }

    /// All that a payload may hold.
    #[derive(Serialize, ToSchema)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        /// Always there.
        plain_text: String,
        #[schema(required = true)]
        or_null: Option<Id>,
        #[serde(skip_serializing_if = "Option::is_none")]
        or_nothing: Option<Id>,
        #[serde(skip_serializing_if = "Option::is_none")]
        or_no_list: Option<Vec<u8>>,
        any: serde_json::Value,
        #[serde(rename = "type")]
        kind: Kind,
        #[serde(flatten)]
        more: Done,
        /// What else there is.
        #[serde(flatten)]
        rest: HashMap<String, serde_json::Value>,
    }

    #[derive(Serialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Kind {
        OneThing,
        Another,
    }

    #[test]
    fn every_form_of_a_field_has_its_typescript() {
        let typescript = Catalogue::new(&[EVENTS]).unwrap().typescript();
        for expected in [
            r#"
export interface ServerToClientEvents {
  /** A sample of two lines. To everyone; kept for replay. */
  "a:sample": (payload: Sample) => void;
}
"#,
            r#"
export interface ClientToServerEvents {
  /** Asks for one. */
  "ask": (payload: Id, ack: (answer: Done | Refusal) => void) => void;
}
"#,
            r"
/** All that a payload may hold. */
export interface Sample extends Done {
  /** Always there. */
  plainText: string;
  orNull: Id | null;
  orNothing?: Id;
  orNoList?: Array<number>;
  any: unknown;
  type: Kind;
  /** What else there is. */
  [further: string]: unknown;
}
",
            r#"
export type Kind = "one_thing" | "another";
"#,
            r"
/** It was done, and there is nothing more to say. */
export interface Done {
  /** Always true. */
  success: Success;
}
",
        ] {
            assert!(typescript.contains(expected), "{expected}\nis not in\n{typescript}");
        }
    }

    #[test]
    fn a_payload_knows_its_event() {
        assert_eq!(Sample::EVENT.name, "a:sample");
    }
}
