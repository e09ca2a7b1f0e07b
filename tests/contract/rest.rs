//! `docs/contract/rest.md` beside the OpenAPI document of a running server.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{assert_none, differences, shape::Schemas};
use crate::{
    architecture::page::{Page, Row},
    support::TestApp,
};

const PAGE: &str = "docs/contract/rest.md";

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// `POST /api/emit`, with what the document says of it.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, item)| {
        let of =
            |method: &&str| Some((format!("{} {path}", method.to_uppercase()), item.get(*method)?));
        METHODS.iter().filter_map(of).collect::<Vec<_>>()
    });
    operations.collect()
}

/// The schema of a body of JSON.
fn json(of: &Value) -> Option<&Value> {
    of["content"].get("application/json").map(|content| &content["schema"])
}

fn body<'a>(row: &Row, operation: &'a Value, schemas: &Schemas<'a>) -> Vec<String> {
    let spans = row.spans("Body");
    match json(&operation["requestBody"]) {
        Some(schema) => schemas.wrong_spans(&spans, schema),
        None if spans.is_empty() => Vec::new(),
        None => vec!["it takes no body of JSON".to_owned()],
    }
}

fn answer<'a>(row: &Row, operation: &'a Value, schemas: &Schemas<'a>) -> Vec<String> {
    let told = row.cell("Answer").unwrap_or_default();
    let responses = operation["responses"].as_object().expect("responses");
    let good = || responses.iter().filter(|(status, _)| status.starts_with('2'));
    let there: BTreeSet<_> = good().map(|(status, _)| status.as_str()).collect();
    let words = told.split(|c: char| !c.is_ascii_alphanumeric());
    let statuses: BTreeSet<_> =
        words.filter(|word| word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit())).collect();
    let mut wrong = differences("status", &there, &statuses);
    let schema = good().find_map(|(_, response)| json(response));
    let spans = row.spans("Answer");
    let (Some(schema), [span]) = (schema, spans.as_slice()) else {
        if schema.is_some() != (spans.len() == 1) {
            wrong.push("its answer is told in one span, or it has none".to_owned());
        }
        return wrong;
    };
    if told.contains(" list of `") {
        if Schemas::name(schema) != Some(&format!("List_{span}")) {
            wrong.push(format!("it is no list of {span}"));
        }
    } else {
        wrong.extend(schemas.wrong_spans(&[span], schema));
    }
    wrong
}

/// What is wrong with the page.
fn wrong(page: &Page, document: &Value) -> Vec<String> {
    let rows = page.rows();
    let schemas = Schemas(&document["components"]["schemas"]);
    let operations = operations(document);
    assert!(operations.len() > 60, "the document was not found");
    let called: Vec<_> = rows.iter().filter_map(|row| Some((row.only("Call")?, row))).collect();
    let there = operations.iter().map(|(name, _)| name.as_str()).collect();
    let told: BTreeSet<_> = called.iter().map(|(name, _)| *name).collect();
    let mut wrong = differences("operation", &there, &told);
    if called.len() > told.len() {
        wrong.push("an operation has two rows".to_owned());
    }
    for (name, operation) in &operations {
        for (_, row) in called.iter().filter(|(told, _)| told == name) {
            let found = [body(row, operation, &schemas), answer(row, operation, &schemas)].concat();
            let at = format!("{PAGE}:{}: {name}", row.line);
            wrong.extend(found.iter().map(|what| format!("{at}: {what}")));
        }
    }
    for row in rows.iter().filter(|row| row.cell("Type").is_some()) {
        let name = row.only("Type").expect("a name");
        let found = match schemas.named(name) {
            Some(schema) => schemas.wrong(row.only("Fields").expect("fields"), schema),
            None => vec!["there is none".to_owned()],
        };
        let at = format!("{PAGE}:{}: {name}", row.line);
        wrong.extend(found.iter().map(|what| format!("{at}: {what}")));
    }
    wrong
}

#[test]
fn the_page_names_the_paths_below_which_nobody_acts_for_a_user() {
    let page = Page::read(PAGE);
    let (_, rest) =
        page.text.split_once("on every call under `/api` but those below ").expect("it");
    let (named, _) = rest.split_once(", which are a service's own").expect("their end");
    let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, stoa::auth::OWN_NAME);
}

#[tokio::test]
async fn the_page_of_rest_is_what_is_served() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.ok();
    let page = Page::read(PAGE);
    assert_none(&wrong(&page, &document));
    // Beside what the document describes.
    let mut asked = 0;
    for row in page.rows() {
        if let Some(path) = row.only("Path") {
            let answer = app.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            asked += 1;
        }
    }
    assert!(asked > 5, "the paths were not found");
    for (was, is) in [
        ("| `POST /api/emit` |", "| `POST /api/emits` |"),
        ("{title, description, budget:", "{title, description?, budget:"),
        ("| `{content}` | 200 `{message:", "| `{content}` | 201 `{message:"),
        ("200 list of `Offer`", "200 list of `Payment`"),
        ("| `Payout` | `{id, ", "| `Payout` | `{"),
    ] {
        assert!(page.text.contains(was), "{was}");
        let other = Page { text: page.text.replacen(was, is, 1) };
        assert!(!wrong(&other, &document).is_empty(), "{is}");
    }
}
