//! What is shown to nobody, operators neither: values that look like secrets.

use serde_json::Value;

/// Stands for what is not shown.
pub(super) const HIDDEN: &str = "***";

/// Words in the names of fields whose values are not shown.
const SECRETS: [&str; 6] = ["token", "password", "secret", "authorization", "cookie", "apikey"];

/// Takes secrets out: what stands in a field that is named so, and what looks like a token.
pub(super) fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.to_ascii_lowercase().replace(['-', '_'], "");
                if SECRETS.iter().any(|secret| name.contains(secret)) {
                    *field = HIDDEN.into();
                } else {
                    hide(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) if is_token(text) => *value = HIDDEN.into(),
        _ => {}
    }
}

/// Whether a text is a JWT, or a header that bears something.
fn is_token(text: &str) -> bool {
    let is_jwt = text.starts_with("eyJ") && text.split('.').count() == 3;
    is_jwt || text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
}
