//! What is taken over from an answer that is no success.

use serde_json::json;

use super::*;
use crate::config::Config;

fn shkeeper() -> Shkeeper {
    let mut settings = Config::for_tests().shkeeper;
    settings.url = Some("https://pay.example.com/shkeeper/".to_owned());
    settings.api_key = Some("hush-hush-key".into());
    settings.user = Some("admin".to_owned());
    settings.password = Some("hush-hush-word".into());
    Shkeeper::new(&settings).unwrap().unwrap()
}

#[test]
fn a_path_keeps_to_its_parts() {
    let url = |parts: &[&str]| shkeeper().url(parts).map(|url| url.to_string());
    assert_eq!(
        url(&["ETH-USDT", "task", "a/../b?c#d e"]).unwrap(),
        "https://pay.example.com/shkeeper/api/v1/ETH-USDT/task/a%2F..%2Fb%3Fc%23d%20e"
    );
    for part in ["", ".", ".."] {
        assert!(url(&["ETH", "task", part]).is_err(), "{part:?}");
    }
}

#[test]
fn a_reason_is_found_wherever_it_stands() {
    for (json, reason) in [
        (json!({"status": "error", "message": "no", "traceback": "…"}), Some("no")),
        (json!({"status": "error", "msg": "no"}), Some("no")),
        (json!({"error": "no"}), Some("no")),
        (json!({"result": null, "error": {"code": -6, "message": "no"}}), Some("no")),
        (json!("no"), Some("no")),
        (json!({"message": null, "error": "no"}), Some("no")),
        (json!({"message": 1}), None),
        (json!([]), None),
        (json!(null), None),
    ] {
        assert_eq!(shkeeper().reason(&json).as_deref(), reason, "{json}");
    }
}

#[test]
fn a_reason_is_short_on_one_line_and_without_our_secrets() {
    let shkeeper = shkeeper();
    let reason = shkeeper.reason(&json!("a hush-hush-key\nand\ta hush-hush-word"));
    assert_eq!(reason.as_deref(), Some("a *** and a ***"));
    let url = "no route to https://us.example.com/api/webhooks/shkeeper/Ab-c_9/payouts or";
    let reason = shkeeper.reason(&json!(url)).unwrap();
    assert_eq!(reason, url.replace("Ab-c_9", "***"));
    let long = shkeeper.reason(&json!("ü".repeat(10_000))).unwrap();
    assert_eq!(long.chars().count(), MAX_REASON);
}
