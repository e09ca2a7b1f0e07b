//! How pages write what an object has, `{id, name?, offer: Offer, data: {a, b?}}`, beside its schema:
//! the names, which of them may be missing, and the types where they are given.

use std::collections::BTreeMap;

use serde_json::Value;

/// A field as a page writes it.
struct Field<'a> {
    optional: bool,
    /// What stands behind its colon.
    kind: Option<&'a str>,
}

/// The schemas of a document, by name.
pub struct Schemas<'a>(pub &'a Value);

/// A field of a schema, and whether it is always there.
type Properties<'a> = BTreeMap<&'a str, (&'a Value, bool)>;

impl<'a> Schemas<'a> {
    /// The name that a schema refers to, `null` beside it left out.
    pub fn name(schema: &'a Value) -> Option<&'a str> {
        let one = Self::without_null(schema);
        one["$ref"].as_str()?.rsplit('/').next()
    }

    /// The schema of a type.
    pub fn named(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    fn without_null(schema: &'a Value) -> &'a Value {
        let Some(variants) = schema["oneOf"].as_array() else { return schema };
        let mut variants = variants.iter().filter(|one| one["type"] != "null");
        match (variants.next(), variants.next()) {
            (Some(one), None) => one,
            _ => schema,
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        match Self::name(schema).and_then(|name| self.named(name)) {
            Some(found) => self.resolved(found),
            None => Self::without_null(schema),
        }
    }

    /// The fields of an object; none where it is something else.
    fn properties(&self, schema: &'a Value) -> Option<Properties<'a>> {
        let schema = self.resolved(schema);
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| self.properties(part));
            return parts
                .collect::<Option<Vec<_>>>()
                .map(|all| all.into_iter().flatten().collect());
        }
        let required = |name: &str| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name))
        };
        let properties = schema["properties"].as_object()?.iter();
        Some(properties.map(|(name, of)| (name.as_str(), (of, required(name)))).collect())
    }

    /// What it may be, each by itself.
    fn variants(&self, schema: &'a Value) -> Vec<&'a Value> {
        match self.resolved(schema) {
            schema if schema["oneOf"].is_array() => {
                schema["oneOf"].as_array().into_iter().flatten().collect()
            }
            schema => vec![schema],
        }
    }

    /// What is wrong with the code spans that tell of a value: each object that it may be in braces, or
    /// its type's name; a name in small letters where it may be no object.
    pub fn wrong_spans(&self, spans: &[&str], schema: &'a Value) -> Vec<String> {
        if let [name] = spans
            && name.starts_with(char::is_uppercase)
        {
            let is_it = Self::name(schema) == Some(*name);
            return if is_it { Vec::new() } else { vec![format!("{name} is not its type")] };
        }
        let (objects, others): (Vec<_>, Vec<_>) = self
            .variants(schema)
            .into_iter()
            .filter(|one| one["type"] != "null")
            .partition(|one| self.properties(one).is_some());
        let (braces, plain): (Vec<_>, Vec<_>) =
            spans.iter().partition(|span| span.starts_with('{'));
        let mut wrong = Vec::new();
        if braces.len() != objects.len() || plain.is_empty() != others.is_empty() {
            wrong.push(format!(
                "it may be {} objects and {} others; the page has {} and {}",
                objects.len(),
                others.len(),
                braces.len(),
                plain.len()
            ));
        }
        for (written, object) in braces.into_iter().zip(objects) {
            wrong.extend(self.wrong(written, object));
        }
        wrong
    }

    /// What is wrong with how an object is written.
    pub fn wrong(&self, written: &str, schema: &'a Value) -> Vec<String> {
        let Some(told) = fields(written) else { return vec![format!("{written} is no object")] };
        let Some(there) = self.properties(schema) else {
            return vec![format!("{written}: it is no object")];
        };
        let missing = there.keys().filter(|name| !told.contains_key(*name));
        let mut wrong: Vec<_> = missing.map(|name| format!("{name} is not on the page")).collect();
        for (name, field) in told {
            match there.get(name) {
                None => wrong.push(format!("there is no {name}")),
                Some((_, required)) if *required == field.optional => {
                    let word = if *required { "always" } else { "not always" };
                    wrong.push(format!("{name} is {word} there"));
                }
                Some((schema, _)) => {
                    let kind = field.kind.map(|kind| self.wrong_kind(kind, schema));
                    let told = kind.into_iter().flatten();
                    wrong.extend(told.map(|what| format!("{name}: {what}")));
                }
            }
        }
        wrong
    }

    fn wrong_kind(&self, kind: &str, schema: &'a Value) -> Vec<String> {
        if kind.starts_with('{') {
            return self.wrong(kind, schema);
        }
        let schema = match kind.strip_prefix('[') {
            Some(_) => &self.resolved(schema)["items"],
            None => schema,
        };
        let kind = kind.trim_matches(['[', ']']);
        if !kind.contains('"') {
            let is_it = Self::name(schema) == Some(kind);
            return if is_it { Vec::new() } else { vec![format!("{kind} is not its type")] };
        }
        let told: Vec<_> = kind.split('|').map(|one| one.trim().trim_matches('"')).collect();
        let there = &self.resolved(schema)["enum"];
        let is_it = there.as_array().is_some_and(|values| values.iter().eq(&told));
        if is_it { Vec::new() } else { vec![format!("it is one of {there}")] }
    }
}

/// The fields between the braces.
fn fields(written: &str) -> Option<BTreeMap<&str, Field<'_>>> {
    let inner = written.strip_prefix('{')?.strip_suffix('}')?;
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    let field = |part| {
        let (name, kind) = str::split_once(part, ':')
            .map_or((part, None), |(name, kind)| (name, Some(kind.trim())));
        let plain = name.trim_end_matches('?');
        (plain, Field { optional: plain.len() < name.len(), kind })
    };
    Some(parts.map(field).collect())
}

#[test]
fn what_differs_from_the_schema_is_told() {
    let schemas = serde_json::json!({
        "Id": { "type": "string" },
        "State": { "enum": ["on", "off"] },
        "Part": { "type": "object", "properties": { "id": { "$ref": "#/s/Id" } } },
        "Whole": { "allOf": [
            { "$ref": "#/s/Part" },
            { "required": ["one", "state"], "properties": {
                "one": { "$ref": "#/s/Part" },
                "state": { "$ref": "#/s/State" },
                "many": { "type": "array", "items": { "$ref": "#/s/Part" } },
            } },
        ] },
        "Either": { "oneOf": [{ "$ref": "#/s/Id" }, { "$ref": "#/s/Part" }] },
    });
    let schemas = Schemas(&schemas);
    let whole = schemas.named("Whole").expect("a schema");
    for good in [
        "{id?, one, state, many?}",
        "{id?: Id, one: {id?}, state: \"on\" | \"off\", many?: [Part]}",
    ] {
        assert_eq!(schemas.wrong(good, whole), [""; 0], "{good}");
    }
    for bad in [
        "{id?, one, state}",
        "{id, one, state, many?}",
        "{id?, one?, state, many?}",
        "{id?, one, state, many?, more}",
        "{id?, one: {id}, state, many?}",
        "{id?, one, state: \"on\", many?}",
        "{id?, one, state, many?: [Id]}",
        "id",
    ] {
        assert_eq!(schemas.wrong(bad, whole).len(), 1, "{bad}");
    }
    let either = schemas.named("Either").expect("a schema");
    assert_eq!(schemas.wrong_spans(&["id", "{id?}"], either), [""; 0]);
    for bad in [&["id"][..], &["{id?}"], &["id", "{id}"], &["Part"]] {
        assert_eq!(schemas.wrong_spans(bad, either).len(), 1, "{bad:?}");
    }
}
