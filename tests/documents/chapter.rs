//! A chapter of the examples in the API's description: what a real server answered to a story, with
//! ids, tokens and times that are the same each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Map, Value, json};
use stoa::{
    clock::{Clock, Timestamp},
    config::Config,
};
use uuid::Uuid;

use super::description::Description;
use crate::support::{
    TestApp,
    app::{API_KEY, Answer},
};

/// When each chapter begins: 2025-11-24T16:00:00.000Z.
const BEGINNING: i64 = 1_764_000_000_000;

/// What stands for what is made at random, by the name of its field.
const RANDOM: [(&str, &str); 7] = [
    ("token", "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiJhbm4ifQ.c2lnbmF0dXJl"),
    ("accessToken", "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiJhZGEifQ.c2lnbmF0dXJl"),
    ("refreshToken", "x0b2VXq3gF4o9m1uJt7cWk5hYzRQeL8sPnDaTiCfEvM"),
    ("resetToken", "Jt7cWk5hYzRQeL8sPnDaTiCfEvMx0b2VXq3gF4o9m1u"),
    ("referralCode", "K7QX2M9P"),
    ("deliveryCode", "7HTM4WQ9"),
    ("version", "0.1.0"),
];

/// Who asks.
#[derive(Clone, Copy)]
pub enum As<'a> {
    /// Nobody in particular.
    Nobody,
    /// The backend service, with its API key.
    Service,
    /// The backend service, which acts for this user.
    ActingFor(&'a str),
    /// A user with a token.
    User(&'a str),
}

/// What is seen in a story.
pub struct Chapter {
    name: &'static str,
    pub app: TestApp,
    pub clock: Clock,
    pub description: Description,
    examples: BTreeMap<String, Example>,
    refused: BTreeSet<(String, String)>,
    names: Names,
}

#[derive(Default)]
struct Example {
    request: Option<Value>,
    answers: BTreeMap<u16, Option<Value>>,
}

/// The ids of this run, and those that stand for them.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Chapter {
    /// Begins a chapter of that name.
    pub async fn begin(name: &'static str, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(BEGINNING));
        let app = TestApp::with_clock(clock.clone(), change).await;
        let description = Description::of(&app).await;
        Self {
            name,
            app,
            clock,
            description,
            examples: BTreeMap::new(),
            refused: BTreeSet::new(),
            names: Names::default(),
        }
    }

    /// Goes on with another server.
    pub async fn elsewhere(&mut self, change: impl FnOnce(&mut Config)) {
        self.app = TestApp::with_clock(self.clock.clone(), change).await;
    }

    /// A token for somebody with a name.
    pub fn token(&self, user: &str, names: [&str; 2], roles: &[&str]) -> String {
        let [first, last] = names;
        let claims = json!({ "firstName": first, "lastName": last, "roles": roles });
        self.app.token_with(user, claims)
    }

    /// Shows another text in the place of one that was made at random.
    pub fn shows(&mut self, made: &str, shown: &str) {
        self.names.put(made, shown);
    }

    /// Asks for an operation, a second after what was before. `path` has the parameters of the path in
    /// their order.
    pub async fn ask(
        &self,
        who: As<'_>,
        operation: &str,
        path: &[&str],
        body: Option<&Value>,
    ) -> Answer {
        self.clock.advance(Duration::from_secs(1));
        let (method, template) = self.description.call(operation);
        let mut url = template;
        for value in path {
            match (url.find('{'), url.find('}')) {
                (Some(from), Some(to)) => url.replace_range(from..=to, value),
                // What is beyond the path is the query.
                _ => url.extend(["?", value]),
            }
        }
        let body = body.cloned();
        match who {
            As::Nobody => self.app.request(method, &url, None, body).await,
            As::Service => self.app.request(method, &url, Some(API_KEY), body).await,
            As::ActingFor(user) => self.app.acted_for(user, &[]).call(method, &url, body).await,
            As::User(token) => self.app.bearer("them", token).call(method, &url, body).await,
        }
    }

    /// Asks, and takes the first request and answer of this status as the operation's example.
    pub async fn does(
        &mut self,
        who: As<'_>,
        operation: &str,
        path: &[&str],
        body: impl Into<Option<Value>>,
    ) -> Value {
        let body = body.into();
        let answer = self.ask(who, operation, path, body.as_ref()).await;
        let status = answer.status.as_u16();
        assert!(answer.status.is_success(), "{operation}: {answer:?}");
        assert!(self.description.answers(operation).contains(&status), "{operation}: {status}");
        let example = self.examples.entry(operation.to_owned()).or_default();
        if example.request.is_none() {
            example.request = body.map(|body| self.names.shown(body));
        }
        let shown = Some(excerpt(&answer.body)).filter(|body| !body.is_null());
        let shown = shown.map(|body| self.names.shown(body));
        example.answers.entry(status).or_insert(shown);
        answer.body
    }

    /// Asks, and is refused as the description says: with the problem that it shows for this code.
    pub async fn is_refused(
        &mut self,
        who: As<'_>,
        operation: &str,
        path: &[&str],
        body: impl Into<Option<Value>>,
        code: &str,
    ) {
        let body = body.into();
        let answer = self.ask(who, operation, path, body.as_ref()).await;
        self.saw_refused(operation, &answer, code);
    }

    /// Notes a refusal that was asked for in another way.
    pub fn saw_refused(&mut self, operation: &str, answer: &Answer, code: &str) {
        let status = answer.status.as_u16();
        assert_eq!(answer.problem(status), code, "{operation}: {answer:?}");
        let mut said = answer.body.clone();
        let shown = self.description.failures(operation)[&status][code].clone();
        said["requestId"] = shown["requestId"].clone();
        assert_eq!(said, shown, "{operation}");
        self.refused.insert((operation.to_owned(), code.to_owned()));
    }

    /// Notes an answer without a body to what somebody else asked for.
    pub fn saw_taken(&mut self, operation: &str, status: u16) {
        let example = self.examples.entry(operation.to_owned()).or_default();
        example.answers.insert(status, None);
    }

    /// Ends the chapter: all operations under its heading were seen, with each of their answers, and
    /// everything that is a failure of their own; and the examples are those in the file.
    pub fn end(self, tag: &str) {
        let operations = self.description.under(tag);
        for operation in &operations {
            let example = self.examples.get(operation).unwrap_or_else(|| {
                panic!(
                    "no step of the chapter on {tag} calls {operation}: tell it in tests/documents/"
                )
            });
            for status in self.description.answers(operation) {
                assert!(
                    example.answers.contains_key(&status),
                    "the chapter on {tag} never sees {operation} answered by {status}"
                );
            }
            for code in self.description.own_failures(operation) {
                let refused = (operation.clone(), code);
                assert!(self.refused.contains(&refused), "never seen: {refused:?}");
            }
        }
        let known: BTreeSet<_> = operations.into_iter().collect();
        let mut all = Map::new();
        for (operation, example) in self.examples.into_iter().filter(|(id, _)| known.contains(id)) {
            let mut shown = Map::new();
            if let Some(request) = example.request {
                shown.insert("request".to_owned(), request);
            }
            let answers = example.answers.into_iter();
            let answers: Map<_, _> = answers
                .filter_map(|(status, answer)| Some((status.to_string(), answer?)))
                .collect();
            if !answers.is_empty() {
                shown.insert("answers".to_owned(), answers.into());
            }
            all.insert(operation, shown.into());
        }
        same_as_kept(self.name, &all.into());
    }
}

/// Of metrics one, as it is with one connection, for other tests of the process count in it, too, of the
/// last hour a figure so, since it has only begun, and of sockets that they came at one time; of the store one
/// table; of anything else all.
fn excerpt(body: &Value) -> Value {
    if body["items"][0].get("transport").is_some() {
        let mut body = body.clone();
        for socket in body["items"].as_array_mut().into_iter().flatten() {
            socket["since"] = json!("2025-11-24T16:00:00.000Z");
        }
        return body;
    }
    if body.get("stepMs").is_some() {
        return json!({
            "stepMs": body["stepMs"],
            "times": ["2025-11-24T16:00:10.000Z", "2025-11-24T16:00:20.000Z"],
            "figures": [{
                "name": "connections", "unit": "", "lines": [{ "name": "/", "values": [0, 1] }],
            }],
        });
    }
    if body.get("troubles").is_some() {
        let mut body = body.clone();
        body["troubles"] = json!([]);
        return body;
    }
    if body.get("engine").is_some() {
        let mut body = body.clone();
        body["tables"] = json!([{ "name": "events", "rows": 12, "bytes": 16384 }]);
        return body;
    }
    let metrics = body.as_str().filter(|text| text.starts_with("# HELP "));
    let paragraphs = metrics.map(|text| text.split("\n\n"));
    let one = paragraphs.into_iter().flatten().find(|text| text.contains("stoa_http_connections "));
    let (one, _) = one.and_then(|text| text.rsplit_once(' ')).unzip();
    one.map_or_else(|| body.clone(), |text| format!("{text} 1\n").into())
}

/// Compares with the file of the examples, or writes it where `INSTA_UPDATE=always`.
fn same_as_kept(name: &str, seen: &Value) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("src/app/examples").join(name).with_extension("json");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let text = format!("{}\n", serde_json::to_string_pretty(seen).expect("JSON"));
    if text == kept {
        return;
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        return std::fs::write(&file, text).expect("the file of the examples");
    }
    let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
    assert_eq!(&kept, seen, "{}: INSTA_UPDATE=always writes it anew", file.display());
    panic!("{} has the same in another form", file.display());
}

impl Names {
    /// A body as it is shown.
    fn shown(&mut self, body: Value) -> Value {
        match body {
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| self.field(name, value)).collect()
            }
            Value::Array(items) => items.into_iter().map(|item| self.shown(item)).collect(),
            Value::String(text) => self.text(&text).into(),
            other => other,
        }
    }

    /// Has another text shown in the place of one that was made at random.
    fn put(&mut self, made: &str, shown: &str) {
        self.0.insert(made.to_owned(), shown.to_owned());
    }

    fn field(&mut self, name: String, value: Value) -> (String, Value) {
        let random = RANDOM.iter().find(|(field, _)| *field == name);
        let shown = match (random, &value) {
            (Some((_, stands)), Value::String(made)) => {
                self.put(made, stands);
                Value::from(*stands)
            }
            (_, Value::String(cursor)) if name == "nextCursor" => {
                let json = URL_SAFE_NO_PAD.decode(cursor).expect("a cursor");
                let json = String::from_utf8(json).expect("a cursor");
                URL_SAFE_NO_PAD.encode(self.text(&json)).into()
            }
            (_, Value::Number(_)) if name == "uptimeMs" => 86_400_000.into(),
            _ => self.shown(value),
        };
        (name, shown)
    }

    /// A text with other ids in the place of those that were made.
    fn text(&mut self, text: &str) -> String {
        const LENGTH: usize = 36;
        if let Some(shown) = self.0.get(text) {
            return shown.clone();
        }
        let mut shown = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let id = rest.get(..LENGTH).filter(|id| Uuid::try_parse(id).is_ok());
            let taken = if let Some(id) = id {
                let number = self.0.len() + 1;
                let stands = || format!("{}-7000-8000-{number:012x}", &Self::beginning()[..13]);
                shown.push_str(self.0.entry(id.to_owned()).or_insert_with(stands));
                LENGTH
            } else {
                shown.push(next);
                next.len_utf8()
            };
            rest = &rest[taken..];
        }
        shown
    }

    /// How ids begin that are made when a chapter does.
    fn beginning() -> String {
        let hex = format!("{BEGINNING:012x}");
        format!("{}-{}", &hex[..8], &hex[8..])
    }
}

/// The method of a name in the description.
pub fn method(name: &str) -> Method {
    name.to_uppercase().parse().expect("a method")
}
