//! The value of `Idempotency-Key`, and what it is a key to (reference: the IETF's
//! `draft-ietf-httpapi-idempotency-key-header-07`).

use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Characters of a key, at most.
const MAX_LENGTH: usize = 255;

/// The key of a request, if it has one: a structured-field string (RFC 9651) or the bare text,
/// which are the same key.
///
/// # Errors
/// [`Code::Malformed`]
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|_| values.next().is_none());
    let key = text.and_then(|text| match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => Some(text.to_owned()),
    });
    let visible = |key: &String| {
        (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    };
    key.filter(visible).map(Some).ok_or_else(|| {
        Error::new(Code::Malformed, "Idempotency-Key has 1–255 visible ASCII characters, once.")
    })
}

/// The content of a string, from behind its opening quote.
fn unquote(quoted: &str) -> Option<String> {
    let mut content = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(content),
            '\\' => content.push(rest.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => content.push(other),
        }
    }
}

/// What is kept for a key: another caller's, another path's is another. `caller` is all that tells
/// them apart. As a hash it has one length, and tells nothing.
pub(super) fn request_hash(caller: &[&str], method: &Method, path: &str, key: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in caller.iter().chain(&[method.as_str(), path, key]) {
        // None of them has a NUL.
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, value.parse().unwrap());
        }
        key_of(&headers)
    }

    #[test]
    fn a_quoted_key_and_a_bare_one_are_the_same() {
        assert_eq!(read(&[]).unwrap(), None);
        for (value, key) in [
            ("8e03978e-40d5-43dd", "8e03978e-40d5-43dd"),
            ("\"8e03978e-40d5-43dd\"", "8e03978e-40d5-43dd"),
            (" a ", "a"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (&"x".repeat(255), &"x".repeat(255)),
        ] {
            assert_eq!(read(&[value]).unwrap().as_deref(), Some(key), "{value}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(256);
        for bad in ["", " ", "\"\"", "a b", "\"a b\"", "\"a", "\"a\"b", r#""a\b""#, "\t", &long] {
            assert_eq!(read(&[bad]).unwrap_err().code(), Code::Malformed, "{bad:?}");
        }
        assert!(read(&["a", "a"]).is_err());
    }

    #[test]
    fn caller_method_path_and_key_make_the_place() {
        let request_hash =
            |caller, method, path, key| request_hash(&["token", caller], &method, path, key);
        let one = request_hash("u1", Method::POST, "/api/a", "k");
        assert_eq!(one, request_hash("u1", Method::POST, "/api/a", "k"));
        for other in [
            request_hash("u2", Method::POST, "/api/a", "k"),
            request_hash("u1", Method::PUT, "/api/a", "k"),
            request_hash("u1", Method::POST, "/api/b", "k"),
            request_hash("u1", Method::POST, "/api/a", "l"),
        ] {
            assert_ne!(one, other);
        }
    }
}
