//! What is written about the configuration, beside it: every key, every variable, every default.

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../../../.env.example");

/// The dotted names of a document's values; nulls count, as they are keys without a default.
fn keys(prefix: &str, value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        // An empty one is a value: its keys are the operator's.
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                keys(&format!("{prefix}{dot}{name}"), value, into);
            }
        }
        _ => drop(into.insert(prefix.to_owned())),
    }
}

#[test]
fn default_toml_has_every_key_and_no_other() {
    let mut fields = BTreeSet::new();
    keys("", &shown(&with(&[])), &mut fields);
    let defaults: BTreeSet<_> = Layers::new().unwrap().defaults.into_keys().collect();
    assert_eq!(defaults, fields);
}

#[test]
fn default_toml_explains_every_key_and_names_its_variable() {
    let mut lines = vec![""];
    lines.extend(DEFAULTS.lines());
    for pair in lines.windows(2) {
        let is_key = pair[1].contains(" = ") && !pair[1].starts_with(['#', ' ']);
        assert!(!is_key || pair[0].starts_with("# "), "{} has no comment", pair[1]);
    }
    let words: BTreeSet<_> = DEFAULTS.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for (name, key) in PLAIN_NAMES {
        assert!(words.contains(name), "{name} is missing");
        assert!(Layers::new().unwrap().defaults.contains_key(*key), "{name} sets no key");
    }
}

/// The variables of `.env.example`, as if every `#` before one were removed.
fn example() -> Vec<(String, String)> {
    let assignment = |line: &str| {
        let (name, value) = line.strip_prefix('#')?.split_once('=')?;
        let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        is_name.then(|| (name.to_owned(), value.to_owned()))
    };
    EXAMPLE.lines().filter_map(assignment).collect()
}

#[test]
fn the_example_has_every_variable_with_its_default() {
    let names: BTreeSet<_> = example().into_iter().map(|(name, _)| name).collect();
    let mut expected: BTreeSet<_> =
        PLAIN_NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (name, key) in PLAIN_NAMES {
        if SECRETS.contains(key) {
            expected.insert(format!("{name}_FILE"));
        }
    }
    assert_eq!(names, expected);
    let loaded = load(&Flags::default(), example()).unwrap();
    assert_eq!(shown(&loaded.config), shown(&with(&[])));
}

#[test]
fn the_shown_configuration_can_be_loaded_again() {
    let config = with(&[("PRESENCE_GRACE", "250ms"), ("METRICS_PORT", "9100")]);
    let (_folder, flags) = file(&toml::to_string(&config).unwrap());
    assert_eq!(shown(&load(&flags, []).unwrap().config), shown(&config));
}
