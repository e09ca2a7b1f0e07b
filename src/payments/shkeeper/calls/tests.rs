//! What tasks say of their transfers.

use serde_json::json;

use super::*;
use crate::config::Config;

fn state(result: &Value) -> Result<TaskState, ProviderError> {
    let mut settings = Config::for_tests().shkeeper;
    settings.url = Some("http://shkeeper:5000".to_owned());
    settings.api_key = Some("key".into());
    Shkeeper::new(&settings).unwrap().unwrap().transfers(result)
}

fn sent(txids: &[&str]) -> TaskState {
    TaskState::Success { txids: txids.iter().map(|&txid| txid.to_owned()).collect() }
}

#[test]
fn a_transfer_may_take_several_transactions() {
    let result = json!([
        {"amount": 0.1, "dest": "0x1", "status": "success", "txids": ["a", "b"]},
        {"amount": "2", "dest": "0x1", "status": "SUCCESS", "txids": ["c"]},
    ]);
    assert_eq!(state(&result), Ok(sent(&["a", "b", "c"])));
    assert_eq!(state(&json!(["a", "b"])), Ok(sent(&["a", "b"])));
    assert_eq!(state(&json!([{"status": "success"}])), Ok(sent(&[])));
}

#[test]
fn a_task_that_ended_well_may_have_sent_nothing() {
    for (transfer, reason) in [
        (json!({"status": "error", "msg": "no gas", "txids": []}), "no gas"),
        (json!({"status": "error"}), "the transfer failed"),
        (json!({"status": "failed", "error": {"message": "nonce"}}), "nonce"),
    ] {
        let failure = TaskState::Failure { reason: reason.to_owned() };
        assert_eq!(state(&json!([transfer])), Ok(failure));
    }
}

#[test]
fn what_was_sent_in_part_is_for_people_to_look_at() {
    let success = json!({"status": "success", "txids": ["a"]});
    for result in [
        json!([success, {"status": "error", "txids": []}]),
        json!([{"status": "error", "txids": ["a"]}]),
        json!([]),
        json!({}),
        json!(null),
        json!("done"),
    ] {
        let state = state(&result);
        assert!(matches!(state, Err(ProviderError::Unclear(_))), "{result}: {state:?}");
    }
}
