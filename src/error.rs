//! The one error: a stable code and a public sentence for the caller, a private cause for the log.
//! It renders as problem+json (RFC 9457) through `rest::problem` and as an acknowledgement.

use std::{borrow::Cow, fmt, time::Duration};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, Ref, RefOr,
        schema::{Schema, Type},
    },
};

/// What went wrong, as a stable code that programs may compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// 400: the request can't be read.
    Malformed,
    /// 401: no valid credentials.
    Unauthorized,
    /// 403: the caller may not.
    Forbidden,
    /// 404: not there, or the caller may not know of it.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 409: not in this state.
    Conflict,
    /// 413: more than the payload limit.
    TooLarge,
    /// 415: not JSON.
    UnsupportedMediaType,
    /// 422: a field is invalid.
    InvalidPayload,
    /// 422: no event of that name may be sent.
    UnknownEvent,
    /// 429: too many, try later.
    RateLimited,
    /// 408: the request took too long to arrive.
    Timeout,
    /// 503: not able to now, try later.
    Unavailable,
    /// 500: our fault.
    Internal,
}

impl Code {
    /// The code as clients see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::InvalidPayload => "invalid_payload",
            Self::UnknownEvent => "unknown_event",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that goes with the code.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidPayload | Self::UnknownEvent => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why an event was refused: these codes are all there are in acknowledgements.
// docs/contract/events.md#client-to-server; the sentence above is told to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AckCode {
    /// The payload can't be read, or a field is invalid.
    InvalidPayload,
    /// The caller may not.
    Forbidden,
    /// Not there, or the caller may not know of it.
    NotFound,
    /// Too many, try later.
    RateLimited,
    /// More than the payload limit.
    TooLarge,
    /// Not in this state.
    Conflict,
    /// Not able to now, try later.
    Unavailable,
    /// No such event.
    UnknownEvent,
}

impl AckCode {
    /// The code as clients see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPayload => "invalid_payload",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::TooLarge => "too_large",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::UnknownEvent => "unknown_event",
        }
    }
}

impl From<Code> for AckCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Malformed | Code::UnsupportedMediaType | Code::InvalidPayload => {
                Self::InvalidPayload
            }
            Code::Unauthorized | Code::Forbidden => Self::Forbidden,
            Code::NotFound | Code::MethodNotAllowed => Self::NotFound,
            Code::Conflict => Self::Conflict,
            Code::TooLarge => Self::TooLarge,
            Code::UnknownEvent => Self::UnknownEvent,
            Code::RateLimited => Self::RateLimited,
            Code::Timeout | Code::Unavailable | Code::Internal => Self::Unavailable,
        }
    }
}

impl From<AckCode> for Code {
    fn from(code: AckCode) -> Self {
        match code {
            AckCode::InvalidPayload => Self::InvalidPayload,
            AckCode::Forbidden => Self::Forbidden,
            AckCode::NotFound => Self::NotFound,
            AckCode::RateLimited => Self::RateLimited,
            AckCode::TooLarge => Self::TooLarge,
            AckCode::Conflict => Self::Conflict,
            AckCode::Unavailable => Self::Unavailable,
            AckCode::UnknownEvent => Self::UnknownEvent,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One invalid field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where it is, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A failure with a public face and a private cause. Its `Display` is the public sentence; its
/// `Debug` is for the log, and tells the causes, too.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    reason: Option<&'static str>,
    detail: Cow<'static, str>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// `Result` with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a public sentence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            reason: None,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// [`Code::Forbidden`] in the same words for what exists and what does not.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden, "You may not do this.")
    }

    /// [`Code::Forbidden`] with what the call needs: a role, a scope, or to be somebody of whom the
    /// caller knows.
    #[must_use]
    pub fn needs(what: &str) -> Self {
        Self::new(Code::Forbidden, format!("This needs {what}."))
    }

    /// [`Code::Internal`] with a cause that only the log sees.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "The server failed.").with_cause(cause)
    }

    /// [`Code::InvalidPayload`] for one field, by its JSON pointer.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let sentence = match pointer.as_str() {
            "" => detail.clone(),
            at => format!("{}: {detail}", at.trim_start_matches('/')),
        };
        Self::new(Code::InvalidPayload, sentence).with_fields(vec![FieldError { pointer, detail }])
    }

    /// Names the failure more finely than its code does, as `token_expired` does for
    /// [`Code::Unauthorized`].
    #[must_use]
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.0.reason = Some(reason);
        self
    }

    /// Adds the private cause.
    #[must_use]
    pub fn with_cause(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Names the invalid fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }

    /// Says when to try again (`Retry-After`, whole seconds, rounded up).
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The same for one more who is told of it. The cause stays with the first, and is logged once.
    #[must_use]
    pub fn for_another(&self) -> Self {
        let Inner { code, reason, detail, fields, retry_after, .. } = &*self.0;
        Self(Box::new(Inner {
            code: *code,
            reason: *reason,
            detail: detail.clone(),
            fields: fields.clone(),
            retry_after: *retry_after,
            cause: None,
        }))
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The code as clients see it: the finer name where there is one, else the code's own.
    #[must_use]
    pub fn code_name(&self) -> &'static str {
        self.0.reason.unwrap_or(self.0.code.as_str())
    }

    /// The code of an acknowledgement.
    #[must_use]
    pub fn ack_code(&self) -> AckCode {
        self.0.code.into()
    }

    /// The public sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The invalid fields, when there are any.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The private causes, outermost first, for the log; nothing without any.
    #[must_use]
    pub fn causes(&self) -> Option<String> {
        std::error::Error::source(self).map(with_causes)
    }
}

/// An error with its causes.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code_name(), self.detail())?;
        self.causes().map_or(Ok(()), |causes| write!(f, ": {causes}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

/// As an acknowledgement: `{success:false, error, code}`
/// (docs/contract/events.md#client-to-server).
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ack = serializer.serialize_struct("Error", 3)?;
        ack.serialize_field("success", &false)?;
        ack.serialize_field("error", self.detail())?;
        ack.serialize_field("code", &self.ack_code())?;
        ack.end()
    }
}

/// The schema of that acknowledgement.
impl PartialSchema for Error {
    fn schema() -> RefOr<Schema> {
        let refused = Object::builder().schema_type(Type::Boolean).enum_values(Some([false]));
        let sentence = Object::builder().schema_type(Type::String);
        Object::builder()
            .schema_type(Type::Object)
            .property("success", refused)
            .property("error", sentence.description(Some("Why, for people.")))
            .property("code", Ref::from_schema_name(AckCode::name()))
            .required("success")
            .required("error")
            .required("code")
            .description(Some("It was not done, and why."))
            .into()
    }
}

impl ToSchema for Error {
    fn name() -> Cow<'static, str> {
        "Refusal".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((AckCode::name().into(), AckCode::schema()));
    }
}

/// Carries the error to `rest::problem`, which adds the request id and writes the body.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It has none: only a problem does.
    #[test]
    fn an_acknowledgement_promises_no_request_id() {
        let ack = serde_json::to_value(Error::internal("private")).unwrap();
        let expected = serde_json::json!({
            "success": false, "error": "The server failed.", "code": "unavailable",
        });
        assert_eq!(ack, expected);
    }

    #[test]
    fn causes_are_told_from_the_outermost_in_and_in_the_log_alone() {
        #[derive(Debug, thiserror::Error)]
        #[error("the write failed")]
        struct Outer(#[source] std::io::Error);
        let error = Error::internal(Outer(std::io::Error::other("the disk is full")));
        assert_eq!(error.causes().unwrap(), "the write failed: the disk is full");
        assert_eq!(error.to_string(), "The server failed.");
        let logged = "internal: The server failed.: the write failed: the disk is full";
        assert_eq!(format!("{error:?}"), logged);
        assert_eq!(format!("{:?}", Error::forbidden()), "forbidden: You may not do this.");
    }

    #[test]
    fn the_code_of_an_acknowledgement_is_one_of_the_contracts() {
        const CONTRACT: [&str; 8] = [
            "invalid_payload",
            "forbidden",
            "not_found",
            "rate_limited",
            "too_large",
            "conflict",
            "unavailable",
            "unknown_event",
        ];
        for (code, expected) in [
            (Code::Malformed, "invalid_payload"),
            (Code::Unauthorized, "forbidden"),
            (Code::Forbidden, "forbidden"),
            (Code::NotFound, "not_found"),
            (Code::MethodNotAllowed, "not_found"),
            (Code::Conflict, "conflict"),
            (Code::TooLarge, "too_large"),
            (Code::UnsupportedMediaType, "invalid_payload"),
            (Code::InvalidPayload, "invalid_payload"),
            (Code::UnknownEvent, "unknown_event"),
            (Code::RateLimited, "rate_limited"),
            (Code::Timeout, "unavailable"),
            (Code::Unavailable, "unavailable"),
            (Code::Internal, "unavailable"),
        ] {
            let error = Error::new(code, "x").with_reason("finer");
            let ack = serde_json::to_value(&error).unwrap();
            assert_eq!(ack["code"], expected, "{code:?}");
            assert_eq!(ack["code"], error.ack_code().as_str());
            assert_eq!(Code::from(error.ack_code()).as_str(), expected);
            assert!(CONTRACT.contains(&expected));
        }
    }
}
