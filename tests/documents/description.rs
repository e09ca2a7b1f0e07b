//! The API's description, as a client reads it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use super::chapter::method;
use crate::support::TestApp;

/// What a server says of itself.
pub struct Description(pub Value);

/// What an operation fails by: the problems that are shown, by status and code.
pub type Failures = BTreeMap<u16, BTreeMap<String, Value>>;

impl Description {
    pub async fn of(app: &TestApp) -> Self {
        Self(app.get("/api/openapi.json").await.ok())
    }

    /// Every operation with its method and path.
    pub fn operations(&self) -> Vec<(Method, &str, &Value)> {
        let paths = self.0["paths"].as_object().expect("paths");
        let all = paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().expect("operations");
            operations.iter().map(move |(name, operation)| (method(name), &**path, operation))
        });
        all.collect()
    }

    fn find(&self, id: &str) -> (Method, &str, &Value) {
        let mut all = self.operations().into_iter();
        all.find(|(_, _, operation)| operation["operationId"] == id)
            .unwrap_or_else(|| panic!("no operation {id}"))
    }

    /// The method and the path of an operation.
    pub fn call(&self, id: &str) -> (Method, String) {
        let (method, path, _) = self.find(id);
        (method, path.to_owned())
    }

    /// The ids of the operations with that tag.
    pub fn under(&self, tag: &str) -> Vec<String> {
        let all = self.operations().into_iter();
        let tagged = all.filter(|(_, _, operation)| operation["tags"][0] == tag);
        tagged.map(|(_, _, operation)| text(&operation["operationId"])).collect()
    }

    /// The statuses of the successes of an operation.
    pub fn answers(&self, id: &str) -> BTreeSet<u16> {
        let (_, _, operation) = self.find(id);
        let statuses = operation["responses"].as_object().expect("responses").keys();
        statuses
            .filter(|status| status.starts_with('2'))
            .filter_map(|key| key.parse().ok())
            .collect()
    }

    /// What an operation fails by.
    pub fn failures(&self, id: &str) -> Failures {
        let (_, _, operation) = self.find(id);
        self.failures_of(operation)
    }

    pub fn failures_of(&self, operation: &Value) -> Failures {
        let responses = operation["responses"].as_object().expect("responses");
        let failures = responses.iter().filter(|(status, _)| !status.starts_with('2'));
        let failures = failures.map(|(status, response)| {
            let problem = &self.resolved(response)["content"]["application/problem+json"];
            let examples = problem["examples"].as_object().expect("examples");
            let examples = examples.iter();
            let examples =
                examples.map(|(code, example)| (code.clone(), example["value"].clone())).collect();
            (status.parse().expect("a status"), examples)
        });
        failures.collect()
    }

    /// The codes that an operation does not share with others that take the same.
    pub fn own_failures(&self, id: &str) -> Vec<String> {
        let shared = self.0["components"]["responses"].as_object().expect("shared responses");
        let shared: Vec<_> = shared
            .values()
            .flat_map(|response| {
                let problem = &response["content"]["application/problem+json"];
                let examples = problem["examples"].as_object().expect("examples");
                examples.values().map(|example| &example["value"])
            })
            .collect();
        let failures = self.failures(id).into_values().flatten();
        failures.filter(|(_, problem)| !shared.contains(&problem)).map(|(code, _)| code).collect()
    }

    /// What a reference is to, or itself.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(to) => self.0.pointer(to.trim_start_matches('#')).expect(to),
            None => value,
        }
    }
}

/// A text in a document.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
