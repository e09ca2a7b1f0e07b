//! The API's description: what it says of every operation, that its examples are what the server says,
//! and that operations fail as it tells, and not otherwise.

mod chapter;
mod description;
mod failures;
mod people;
mod talk;
mod trade;
mod webhooks;

use std::collections::BTreeSet;

use serde_json::Value;

use self::description::{Description, text};
use crate::support::TestApp;

/// What shows how the source is written, or how it is marked up, and no reader of the description
/// knows: links of rustdoc, paths and attributes of Rust, HTML.
const FOREIGN: [&str; 8] = ["[`", "](", "::", "#[", "</", "&lt;", "**", "contract/"];

/// How no other API speaks.
const OUR_OWN: [&str; 7] =
    ["It is ", "It was ", "They are ", "Tells of", "Notes ", " given back", "a second time"];

async fn description() -> Description {
    Description::of(&TestApp::start().await).await
}

#[tokio::test]
async fn every_operation_says_what_it_does_in_the_words_of_an_api() {
    let description = description().await;
    let tags = description.0["tags"].as_array().expect("tags");
    let tags: BTreeSet<_> = tags
        .iter()
        .map(|tag| {
            assert!(!text(&tag["description"]).is_empty(), "{tag}");
            text(&tag["name"])
        })
        .collect();
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (method, path, operation) in description.operations() {
        let call = format!("{method} {path}");
        assert!(ids.insert(text(&operation["operationId"])), "{call}");
        let [tag] = operation["tags"].as_array().expect("tags").as_slice() else {
            panic!("{call}: {}", operation["tags"])
        };
        assert!(tags.contains(&text(tag)), "{call}: {tag}");
        used.insert(text(tag));
        let (summary, about) = (text(&operation["summary"]), text(&operation["description"]));
        let verb = summary.split(' ').next().unwrap_or_default();
        assert!(verb.ends_with('s') && verb.starts_with(char::is_uppercase), "{call}: {summary}");
        let one = summary.ends_with('.') && summary.matches(['.', ';']).count() == 1;
        assert!(one && summary.len() <= 80, "{call}: {summary}");
        let mut said = vec![summary, about];
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(status.parse::<u16>().is_ok(), "{call}: {status}");
            said.push(text(&description.resolved(response)["description"]));
        }
        for said in said {
            assert!(!said.is_empty(), "{call}");
            let own = OUR_OWN.iter().find(|words| said.contains(**words));
            assert_eq!(own, None, "{call}: {said}");
        }
    }
    assert_eq!(used, tags);
}

#[tokio::test]
async fn every_operation_shows_a_request_an_answer_and_its_failures_by_code() {
    let description = description().await;
    for (method, path, operation) in description.operations() {
        let call = format!("{method} {path}");
        let has_example = |carrier: &Value| {
            let content = carrier["content"].as_object();
            content.is_none_or(|content| content.values().all(|media| !media["example"].is_null()))
        };
        assert!(has_example(&operation["requestBody"]), "{call}");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(!status.starts_with('2') || has_example(response), "{call}: {status}");
        }
        let failures = description.failures_of(operation);
        assert!([429, 500, 503].iter().all(|status| failures.contains_key(status)), "{call}");
        for (status, problems) in failures {
            assert!(!problems.is_empty(), "{call}: {status}");
            for (code, problem) in problems {
                assert_eq!(problem["code"], code.as_str(), "{call}");
                assert_eq!(problem["status"], status, "{call}");
                assert_eq!(problem["type"], format!("urn:stoa:error:{code}"), "{call}");
            }
        }
    }
}

#[tokio::test]
async fn the_description_says_where_the_server_is_and_who_may_ask() {
    let Description(document) = description().await;
    assert_eq!(document["servers"][0]["url"], "/");
    let about = text(&document["info"]["description"]);
    assert!(about.contains("# Authentication"), "{about}");
    let ways = document["components"]["securitySchemes"].as_object().expect("schemes");
    assert_eq!(ways.len(), 4);
    for (name, way) in ways {
        assert!(!text(&way["description"]).is_empty(), "{name}");
        assert!(about.contains(&format!("| `{name}` |")), "{name}");
    }
    assert_eq!(document["security"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn nothing_that_is_said_shows_how_the_source_is_written() {
    let Description(document) = description().await;
    let mut texts = Vec::new();
    said(&document, "", &mut texts);
    assert!(texts.len() > 500, "{}", texts.len());
    for (at, text) in texts {
        let found = FOREIGN.iter().find(|sign| text.contains(**sign));
        assert_eq!(found, None, "{at}: {text}");
        assert_eq!(text.matches('`').count() % 2, 0, "{at}: {text}");
    }
}

/// Everything that a document says to people.
fn said(value: &Value, at: &str, texts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let here = format!("{at}/{name}");
                match member {
                    Value::String(text)
                        if ["description", "summary", "title"].contains(&&**name) =>
                    {
                        texts.push((here, text.clone()));
                    }
                    // What is said by examples is not of the description.
                    _ if name == "example" || name == "value" => {}
                    _ => said(member, &here, texts),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| said(item, at, texts)),
        _ => {}
    }
}
