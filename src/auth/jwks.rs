//! Keys from a JWKS file or URL.
