//! `docs/contract/environment.md` beside `config/default.toml`, and beside the names that variables
//! have.

use std::collections::{BTreeMap, BTreeSet};

use stoa::config::PLAIN_NAMES;
use toml::{Table, Value};

use super::{assert_none, differences};
use crate::architecture::page::{Page, Row};

const PAGE: &str = "docs/contract/environment.md";

/// Every setting by its dotted key, with its default. A table of settings is a section, or one value
/// that is written in braces.
fn settings() -> Vec<(String, Value)> {
    fn flatten(table: Table, section: &str, settings: &mut Vec<(String, Value)>) {
        for (name, value) in table {
            let key = if section.is_empty() { name } else { format!("{section}.{name}") };
            match value {
                Value::Table(inner) if !key.contains('.') || key == "notifications.causes" => {
                    flatten(inner, &key, settings);
                }
                value => settings.push((key, value)),
            }
        }
    }
    let text = Page::read("config/default.toml").text;
    let mut settings = Vec::new();
    flatten(text.parse().expect("the defaults"), "", &mut settings);
    assert!(settings.len() > 80, "the settings were not found");
    settings
}

/// A default as it is written for people; none for one that takes too much room.
fn shown(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Table(table) => {
            let each: BTreeMap<_, _> = table.iter().collect();
            let each = each.into_iter();
            let each = each.map(|(name, value)| Some(format!("{name} {}", shown(value)?)));
            rate(table).or_else(|| Some(each.collect::<Option<Vec<_>>>()?.join(", ")))?
        }
        Value::Array(items) if items.iter().all(Value::is_str) => {
            let each: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            each.join(",")
        }
        Value::Array(_) => return None,
        Value::Boolean(on) => if *on { "on" } else { "off" }.to_owned(),
        other => other.to_string(),
    })
}

/// `20 a second, 40 at once`
fn rate(table: &Table) -> Option<String> {
    let burst = table.get("burst")?;
    let each = ["second", "minute"].iter();
    let mut each = each.filter_map(|time| Some((table.get(&format!("per_{time}"))?, time)));
    each.next().map(|(many, time)| format!("{many} a {time}, {burst} at once"))
}

fn setting(row: &Row, key: &str, default: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let named = PLAIN_NAMES.iter().find(|(_, named)| *named == key).map(|(name, _)| *name);
    let told = row.only("Variable");
    if told != named {
        wrong.push(format!("its variable is {named:?}, not {told:?}"));
    }
    let told = row.cell("Default").unwrap_or_default().trim_matches('`');
    if let Some(default) = shown(default).filter(|_| told != "see there")
        && told != default
    {
        wrong.push(format!("its default is {default:?}, not {told:?}"));
    }
    wrong
}

fn wrong(page: &Page) -> Vec<String> {
    let settings = settings();
    let rows = page.rows();
    let told: Vec<_> = rows.iter().filter_map(|row| Some((row.only("Setting")?, row))).collect();
    let there = settings.iter().map(|(key, _)| key.as_str()).collect();
    let keys: BTreeSet<_> = told.iter().map(|(key, _)| *key).collect();
    let mut wrong = differences("setting", &there, &keys);
    if told.len() > keys.len() {
        wrong.push("a setting has two rows".to_owned());
    }
    for (key, default) in &settings {
        for (_, row) in told.iter().filter(|(told, _)| told == key) {
            let found = setting(row, key, default);
            let at = format!("{PAGE}:{}: {key}", row.line);
            wrong.extend(found.iter().map(|what| format!("{at}: {what}")));
        }
    }
    wrong
}

#[test]
fn the_page_of_the_environment_is_what_can_be_set() {
    assert_none(&wrong(&Page::read(PAGE)));
}

#[test]
fn a_page_that_tells_something_else_is_found() {
    let text = Page::read(PAGE).text;
    for (was, is) in [
        ("| `server.port` |", "| `server.ports` |"),
        ("| `PORT` |", "| `STOA_PORT` |"),
        ("| `3003` |", "| `3004` |"),
    ] {
        assert!(text.contains(was), "{was}");
        assert!(!wrong(&Page { text: text.replacen(was, is, 1) }).is_empty(), "{is}");
    }
}
