//! Collects the schemas of all types that events refer to, each once, by name.

use std::collections::BTreeMap;

use utoipa::openapi::{
    RefOr,
    schema::{Schema, SchemaType, Type},
};

use super::invalid::InvalidCatalogue;
use crate::{
    error::Error,
    event::{EventType, Shape},
};

/// How any command is refused.
pub const REFUSAL: Shape = Shape::of::<Error>();

/// The schemas of the events' payloads and acknowledgements, and of all that they refer to.
pub fn collect<'a>(
    events: impl Iterator<Item = &'a EventType>,
) -> Result<BTreeMap<String, RefOr<Schema>>, InvalidCatalogue> {
    let mut found = Vec::new();
    let shapes = events.flat_map(|event| [Some(event.payload), event.ack]).flatten();
    for shape in shapes.chain([REFUSAL]) {
        found.push(((shape.name)().into_owned(), (shape.schema)()));
        (shape.nested)(&mut found);
    }
    let mut schemas = BTreeMap::new();
    for (name, mut schema) in found {
        forbid_null_where_optional(&mut schema);
        match schemas.get(&name) {
            None => drop(schemas.insert(name, schema)),
            Some(known) if *known == schema => {}
            Some(_) => return Err(InvalidCatalogue::AmbiguousType(name)),
        }
    }
    Ok(schemas)
}

/// What is optional is left out, never null, while utoipa makes every `Option` nullable.
fn forbid_null_where_optional(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            for (name, property) in &mut object.properties {
                if !object.required.contains(name) {
                    forbid_null(property);
                }
            }
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(forbid_null_where_optional),
        _ => {}
    }
}

fn forbid_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => forbid_null_type(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => forbid_null_type(&mut array.schema_type),
        RefOr::T(Schema::OneOf(one)) => {
            one.items.retain(|item| !is_null(item));
            if let [_] = one.items.as_slice() {
                *schema = one.items.remove(0);
            }
        }
        _ => {}
    }
}

fn forbid_null_type(schema_type: &mut SchemaType) {
    if let SchemaType::Array(types) = schema_type {
        types.retain(|one| *one != Type::Null);
        if let [only] = types.as_slice() {
            *schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
