//! Callbacks whose signatures are known, and everything that is not believed.

use super::*;

const KEY: &str = "nApijGv8djih7ozY";
const TIME: &str = "1719330338";

/// An invoice callback, byte by byte as SHKeeper signs it.
const INVOICE: &str = concat!(
    r#"{"addr":"0x6f2Fc9D7205B7D9037dDE45B5f9e12B18EA07e27","balance_crypto":"7.8","#,
    r#""balance_fiat":"7.8","crypto":"ETH-USDT","external_id":"147","fee_fixed":"0","#,
    r#""fee_percent":"2","fee_policy":"PERCENT_FEE","fiat":"USD","overpaid_fiat":"0.00","#,
    r#""paid":true,"status":"PAID","transactions":[{"amount_crypto":"7.8","amount_fiat":"7.8","#,
    r#""amount_fiat_without_fee":"7.6470588235","crypto":"ETH-USDT","#,
    r#""date":"2024-06-25 15:45:38","fee_fiat":"0.1529411765","trigger":true,"txid":"0x518a"}]}"#,
);
const INVOICE_SIGNATURE: &str = "f1c4d9d6a6829bc286588ab3ccdb5ecb85237d0d4ba1873ed3c28bded3442cf4";

const UNCONFIRMED: &str = r#"{"addr":"bc1q","amount":"0.0025","crypto":"BTC","external_id":"147","status":"unconfirmed","txid":"ab"}"#;
const UNCONFIRMED_SIGNATURE: &str =
    "ff4fd7411fb5be284fb48873cc908becff9176dffab0a69dc839fd316ea25ce2";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    headers
}

fn signed(time: &str, signature: &str) -> HeaderMap {
    headers(&[("x-shkeeper-timestamp", time), ("x-shkeeper-signature", signature)])
}

fn sign(time: &str, raw: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(raw);
    hex::encode(mac.finalize().into_bytes())
}

fn check_in(
    mode: WebhookMode,
    headers: &HeaderMap,
    raw: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    verify(&KEY.into(), mode, headers, raw, Timestamp::from_millis(now * 1000))
}

fn check(headers: &HeaderMap, raw: &str) -> Result<(), SignatureError> {
    check_in(WebhookMode::Signed, headers, raw.as_bytes(), TIME.parse().unwrap())
}

#[test]
fn the_golden_vectors_are_believed() {
    assert_eq!(check(&signed(TIME, INVOICE_SIGNATURE), INVOICE), Ok(()));
    assert_eq!(check(&signed(TIME, UNCONFIRMED_SIGNATURE), UNCONFIRMED), Ok(()));
}

#[test]
fn any_other_byte_key_or_time_is_not() {
    let golden = signed(TIME, INVOICE_SIGNATURE);
    let wrong = Err(SignatureError::Mismatch);
    assert_eq!(check(&golden, &INVOICE.replace("7.8", "7.9")), wrong);
    assert_eq!(check(&golden, &format!("{INVOICE}\n")), wrong);
    assert_eq!(check(&golden, UNCONFIRMED), wrong);
    assert_eq!(check(&signed("1719330339", INVOICE_SIGNATURE), INVOICE), wrong);
    let now = Timestamp::from_millis(1_719_330_338_000);
    let other = verify(&"other".into(), WebhookMode::Signed, &golden, INVOICE.as_bytes(), now);
    assert_eq!(other, wrong);
}

#[test]
fn bytes_that_are_no_text_are_signed_too() {
    let raw = [0xff, 0x00, b'{'];
    let headers = signed(TIME, &sign(TIME, &raw));
    assert_eq!(check_in(WebhookMode::Signed, &headers, &raw, 1_719_330_338), Ok(()));
}

#[test]
fn a_callback_is_believed_for_five_minutes_before_and_after() {
    let headers = signed(TIME, INVOICE_SIGNATURE);
    for (away, believed) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
        let now = 1_719_330_338 + away;
        let checked = check_in(WebhookMode::Signed, &headers, INVOICE.as_bytes(), now);
        let expected = if believed { Ok(()) } else { Err(SignatureError::Expired) };
        assert_eq!(checked, expected, "{away}");
    }
}

#[test]
fn what_is_missing_or_malformed_is_said() {
    let (missing, malformed) = (Err(SignatureError::Missing), Err(SignatureError::Malformed));
    assert_eq!(check(&HeaderMap::new(), INVOICE), missing);
    assert_eq!(check(&headers(&[("x-shkeeper-timestamp", TIME)]), INVOICE), missing);
    let alone = headers(&[("x-shkeeper-signature", INVOICE_SIGNATURE)]);
    assert_eq!(check(&alone, INVOICE), missing);
    let upper = INVOICE_SIGNATURE.to_uppercase();
    let long = format!("{INVOICE_SIGNATURE}00");
    for signature in ["", "f1c4", &INVOICE_SIGNATURE[1..], &long, &upper, &"zz".repeat(32)] {
        assert_eq!(check(&signed(TIME, signature), INVOICE), malformed, "{signature}");
    }
    let huge = "9".repeat(40);
    for time in ["", "now", "-1719330338", "+1719330338", "1719330338.0", " 1", "0x10", &huge] {
        let headers = signed(time, &sign(time, INVOICE.as_bytes()));
        assert_eq!(check(&headers, INVOICE), malformed, "{time:?}");
    }
    let last = i64::MAX.to_string();
    let headers = signed(&last, &sign(&last, INVOICE.as_bytes()));
    assert_eq!(check(&headers, INVOICE), Err(SignatureError::Expired));
}

#[test]
fn headers_that_are_there_twice_say_nothing() {
    for name in ["x-shkeeper-signature", "x-shkeeper-timestamp"] {
        let mut headers = signed(TIME, INVOICE_SIGNATURE);
        let value = headers[name].clone();
        headers.append(name, value);
        assert_eq!(check(&headers, INVOICE), Err(SignatureError::Malformed), "{name}");
    }
}

#[test]
fn the_api_key_alone_counts_in_legacy_mode_only() {
    let check = |mode, headers: &_| check_in(mode, headers, INVOICE.as_bytes(), 0);
    let (right, wrong) =
        (headers(&[("x-shkeeper-api-key", KEY)]), headers(&[("x-shkeeper-api-key", "nope")]));
    assert_eq!(check(WebhookMode::Legacy, &right), Ok(()));
    assert_eq!(check(WebhookMode::Legacy, &wrong), Err(SignatureError::Mismatch));
    assert_eq!(check(WebhookMode::Legacy, &HeaderMap::new()), Err(SignatureError::Missing));
    assert_eq!(check(WebhookMode::Signed, &right), Err(SignatureError::Missing));
}

#[test]
fn a_wrong_signature_is_refused_beside_the_right_api_key() {
    for mode in [WebhookMode::Signed, WebhookMode::Legacy] {
        let mut headers = signed(TIME, UNCONFIRMED_SIGNATURE);
        headers.insert(API_KEY, KEY.parse().unwrap());
        let checked = check_in(mode, &headers, INVOICE.as_bytes(), 1_719_330_338);
        assert_eq!(checked, Err(SignatureError::Mismatch));
    }
}

#[test]
fn reasons_are_words_that_stay() {
    let all = [
        SignatureError::Missing,
        SignatureError::Malformed,
        SignatureError::Expired,
        SignatureError::Mismatch,
    ];
    assert_eq!(all.map(SignatureError::reason), ["missing", "malformed", "expired", "mismatch"]);
}
