//! Callbacks of today's and of older versions of it, and what is none.

use serde_json::{Value, json};

use super::*;

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// An invoice callback as SHKeeper sends it today.
fn today() -> Value {
    json!({
        "addr": "0x6f2Fc9D7205B7D9037dDE45B5f9e12B18EA07e27",
        "balance_crypto": "7.8",
        "balance_fiat": "7.8",
        "crypto": "ETH-USDT",
        "external_id": "147",
        "fee_fixed": "0",
        "fee_percent": "2",
        "fee_policy": "PERCENT_FEE",
        "fiat": "USD",
        "overpaid_fiat": "0.00",
        "paid": true,
        "status": "PAID",
        "transactions": [{
            "amount_crypto": "7.8",
            "amount_fiat": "7.8",
            "amount_fiat_without_fee": "7.6470588235",
            "crypto": "ETH-USDT",
            "date": "2024-06-25 15:45:38",
            "fee_fiat": "0.1529411765",
            "trigger": true,
            "txid": "0x518a",
        }],
    })
}

fn with(change: impl FnOnce(&mut Value)) -> Result<InvoiceCallback> {
    let mut body = today();
    change(&mut body);
    match parse_invoice(body.to_string().as_bytes())? {
        Callback::Invoice(invoice) => Ok(invoice),
        Callback::Unconfirmed(_) => panic!("not an invoice"),
    }
}

#[test]
fn an_invoice_is_read_exactly() {
    let invoice = with(|_| {}).unwrap();
    assert_eq!((invoice.external_id.as_str(), invoice.crypto.as_str()), ("147", "ETH-USDT"));
    assert_eq!((invoice.status, invoice.paid), (InvoiceStatus::Paid, true));
    assert_eq!(invoice.balance_fiat, amount("7.8"));
    assert_eq!(
        (invoice.fee_percent, invoice.overpaid_fiat),
        (Some(amount("2")), Some(amount("0")))
    );
    let trigger = invoice.trigger().unwrap();
    assert_eq!((trigger.txid.as_str(), trigger.amount_crypto), ("0x518a", amount("7.8")));
    assert_eq!(trigger.fee_fiat, Some(amount("0.1529411765")));
    assert_eq!(invoice.dedupe_key(), "invoice|ETH-USDT|147|0x518a|PAID|7.8|7.8|7.8");
}

#[test]
fn older_shkeepers_leave_fields_out_and_newer_ones_add_some() {
    let older = with(|body| {
        let fields = body.as_object_mut().unwrap();
        for newer in ["fee_fixed", "fee_policy", "overpaid_fiat", "addr"] {
            fields.shift_remove(newer);
        }
        let transaction = body["transactions"][0].as_object_mut().unwrap();
        for newer in ["amount_fiat_without_fee", "fee_fiat", "date", "crypto"] {
            transaction.shift_remove(newer);
        }
    });
    let older = older.unwrap();
    assert_eq!((older.fee_fixed, older.fee_policy.as_ref()), (None, None));
    assert_eq!(older.dedupe_key(), with(|_| {}).unwrap().dedupe_key());
    let newer = with(|body| {
        body["event_id"] = json!(1);
        body["transactions"][0]["memo"] = json!({});
    });
    assert_eq!(newer.unwrap(), with(|_| {}).unwrap());
}

#[test]
fn a_fee_that_eats_the_money_up_is_no_reason_to_refuse_it() {
    let invoice = with(|body| {
        body["transactions"][0]["amount_fiat_without_fee"] = json!("-0.2");
        body["fee_percent"] = json!("None");
    });
    let invoice = invoice.unwrap();
    assert_eq!(invoice.transactions[0].amount_fiat_without_fee, None);
    assert_eq!(invoice.fee_percent, None);
}

#[test]
fn every_status_is_known_and_no_other() {
    for (written, status) in [
        ("UNPAID", InvoiceStatus::Unpaid),
        ("PARTIAL", InvoiceStatus::Partial),
        ("PAID", InvoiceStatus::Paid),
        ("OVERPAID", InvoiceStatus::Overpaid),
        ("CANCELLED", InvoiceStatus::Cancelled),
        ("REFUNDED", InvoiceStatus::Refunded),
        ("OUTGOING", InvoiceStatus::Outgoing),
    ] {
        assert_eq!(with(|body| body["status"] = json!(written)).unwrap().status, status);
        assert_eq!(status.as_str(), written);
        assert_eq!(status.is_paid(), written.ends_with("PAID") && written != "UNPAID");
    }
    for other in ["paid", "LOST", "", "UNCONFIRMED"] {
        assert!(with(|body| body["status"] = json!(other)).is_err(), "{other}");
    }
}

#[test]
fn an_unconfirmed_transaction_is_told_apart() {
    let raw = br#"{"addr":"bc1q","amount":"0.0025","crypto":"BTC","external_id":"147","status":"unconfirmed","txid":"ab"}"#;
    let callback = parse_invoice(raw).unwrap();
    assert_eq!(callback.external_id(), "147");
    assert_eq!(callback.dedupe_key(), "unconfirmed|BTC|147|ab");
    let Callback::Unconfirmed(unconfirmed) = callback else { panic!("{callback:?}") };
    assert_eq!(unconfirmed.amount, amount("0.0025"));
}

#[test]
fn a_payout_is_read() {
    let raw = br#"{"amount":"2.0000000000","amount_fiat":"4.3642","crypto":"XRP","currency_fiat":"USD","external_id":"435345534","payout_id":14,"status":"SUCCESS","timestamp":"2024-11-27T13:49:22","tx_hash":"ab"}"#;
    let payout = parse_payout(raw).unwrap();
    assert_eq!((payout.payout_id, payout.external_id.as_deref()), (14, Some("435345534")));
    assert_eq!((payout.amount, payout.status), (amount("2"), PayoutProgress::Success));
    assert_eq!((payout.tx_hash.as_str(), payout.crypto.as_str()), ("ab", "XRP"));
    assert_eq!(payout.dedupe_key(), "payout|14|435345534");
    let by_hand = br#"{"amount":"1.00E-8","crypto":"BTC","external_id":null,"payout_id":15,"status":"SUCCESS","tx_hash":"cd"}"#;
    let payout = parse_payout(by_hand).unwrap();
    assert_eq!((payout.amount, payout.dedupe_key()), (amount("0.00000001"), "payout|15|-".into()));
}

#[test]
fn a_callback_that_says_the_same_has_the_same_key() {
    let key = |change: fn(&mut Value)| with(change).unwrap().dedupe_key();
    let first = key(|_| {});
    assert_eq!(key(|body| body["balance_crypto"] = json!("7.80")), first);
    assert_eq!(key(|body| body["overpaid_fiat"] = json!("1.00")), first);
    assert_eq!(key(|body| body["transactions"][0]["txid"] = json!("0x518A")), first);
    let others = [
        key(|body| body["balance_crypto"] = json!("7.81")),
        key(|body| body["balance_fiat"] = json!("7.81")),
        key(|body| body["transactions"][0]["amount_fiat"] = json!("7.7")),
        key(|body| body["status"] = json!("OVERPAID")),
        key(|body| body["external_id"] = json!("148")),
        key(|body| body["transactions"][0]["txid"] = json!("0x518b")),
    ];
    assert!(others.iter().all(|other| *other != first), "{others:?}");
}

#[test]
fn without_a_cause_the_state_is_the_key() {
    for change in [
        (|body: &mut Value| body["transactions"][0]["trigger"] = json!(false)) as fn(&mut Value),
        |body| body["transactions"] = json!([]),
        |body| drop(body.as_object_mut().unwrap().shift_remove("transactions")),
    ] {
        let invoice = with(change).unwrap();
        assert!(invoice.trigger().is_none());
        let made_up = invoice.made_up_fiat();
        assert_eq!(invoice.dedupe_key(), format!("invoice|ETH-USDT|147|-|PAID|7.8|7.8|{made_up}"));
    }
}

#[test]
fn what_is_no_callback_is_malformed() {
    for spoil in [
        (|body: &mut Value| body["balance_fiat"] = json!("-7.8")) as fn(&mut Value),
        |body| body["balance_crypto"] = json!("1e400"),
        |body| body["balance_fiat"] = json!("9".repeat(400)),
        |body| body["transactions"][0]["amount_crypto"] = json!("NaN"),
        |body| body["transactions"][0]["amount_fiat"] = json!(null),
        |body| body["transactions"] = json!({}),
        |body| body["crypto"] = json!("eth/usdt"),
        |body| body["external_id"] = json!(null),
        |body| body["paid"] = json!("yes"),
        |body| body["status"] = json!(1),
    ] {
        let error = with(spoil).unwrap_err();
        assert_eq!(error.code(), Code::Malformed);
        assert!(error.causes().is_some());
    }
    for raw in [&b""[..], b"{", b"[]", b"null", b"\xff", br#"{"status":"unconfirmed"}"#] {
        assert_eq!(parse_invoice(raw).unwrap_err().code(), Code::Malformed);
        assert_eq!(parse_payout(raw).unwrap_err().code(), Code::Malformed);
    }
    let deep = "[".repeat(100_000);
    assert_eq!(parse_invoice(deep.as_bytes()).unwrap_err().code(), Code::Malformed);
}
