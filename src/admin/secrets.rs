//! What is shown to nobody, operators neither: values that look like secrets.

use serde_json::Value;

/// Stands for what is not shown.
pub(super) const HIDDEN: &str = "***";

/// Words in the names of fields whose values are not shown.
const SECRETS: [&str; 12] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "authorization",
    "cookie",
    "credential",
    "apikey",
    "privatekey",
    "deliverycode",
    "sessionid",
];

/// Names of such fields that are parts of other words, too.
const SHORT: [&str; 4] = ["pwd", "pass", "pin", "otp"];

/// Takes secrets out: what stands in a field that is named so, and what looks like one in any text.
pub(super) fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.to_ascii_lowercase().replace(['-', '_'], "");
                let is_secret = SECRETS.iter().any(|secret| name.contains(secret));
                if is_secret || SHORT.contains(&&*name) {
                    *field = HIDDEN.into();
                } else {
                    hide(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) => hide_in(text),
        _ => {}
    }
}

/// Takes out of a text what a header bears, what looks like a JWT, and the password of a URL.
fn hide_in(text: &mut String) {
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        HIDDEN.clone_into(text);
        return;
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("eyJ").map(|at| from + at) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = text[at..].find(|c| !is_part(c)).map_or(text.len(), |length| at + length);
        from = end;
        if text[at..end].matches('.').count() >= 2 {
            text.replace_range(at..end, HIDDEN);
            from = at + HIDDEN.len();
        }
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at + 3) {
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"');
        let end = text[at..].find(ends).map_or(text.len(), |length| at + length);
        from = end;
        let (user, host) = (text[at..end].find(':'), text[at..end].rfind('@'));
        if let (Some(user), Some(host)) = (user, host)
            && user < host
        {
            text.replace_range(at + user + 1..at + host, HIDDEN);
            from = at + user + 1 + HIDDEN.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_by_their_names_and_their_looks() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiJhIn0.c2lnbmF0dXJl";
        let hidden = |value: Value| {
            let mut value = value;
            hide(&mut value);
            value
        };
        for name in [
            "accessToken",
            "api_key",
            "Set-Cookie",
            "pwd",
            "otp",
            "PIN",
            "deliveryCode",
            "private-key",
        ] {
            assert_eq!(hidden(json!({ name: { "a": 1 } })), json!({ name: HIDDEN }), "{name}");
        }
        for (text, shown) in [
            (jwt.to_owned(), "***"),
            (format!("see {jwt}, and {jwt}"), "see ***, and ***"),
            (format!("https://x/?token={jwt}&a=1"), "https://x/?token=***&a=1"),
            ("Bearer abc".to_owned(), "***"),
            (
                "postgres://u:p:w@h/d and redis://:pw@h".to_owned(),
                "postgres://u:***@h/d and redis://:***@h",
            ),
        ] {
            assert_eq!(hidden(json!([text])), json!([shown]));
        }
        let shown = json!({ "spinner": 1, "code": "conflict", "text": "eyJ is how they begin; http://a:80/@b" });
        assert_eq!(hidden(shown.clone()), shown);
    }
}
