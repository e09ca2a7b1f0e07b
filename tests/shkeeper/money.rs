//! What a callback is worth: the amounts that it was signed with, whatever it calls them.

use serde_json::{Value, json};
use stoa::clock::Clock;

use super::{invoiced, ledger, payment, start};
use crate::support::{
    TestApp,
    market::id_of,
    shkeeper::{Delivery, Fake, Outcome},
};

/// A callback that says something else, signed as if SHKeeper had said it.
fn changed(callback: &Delivery, change: impl FnOnce(&mut Value)) -> Delivery {
    let mut body = callback.json();
    change(&mut body);
    let body = body.to_string().into_bytes();
    Delivery::signed(callback.url.clone(), body, Clock::system().now()).with_key()
}

async fn is_confirmed(app: &TestApp, id: &str) -> bool {
    payment(app, id).await["status"] == "confirmed"
}

#[tokio::test]
async fn a_part_that_is_called_all_is_a_part() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    for (index, word) in ["PAID", "OVERPAID", "PARTIAL", "UNPAID"].into_iter().enumerate() {
        let (id, request) = invoiced(&app).await;
        let part = fake.pay(&id, "0.01", &format!("0x1{index}"));
        let told = changed(&part, |body| {
            body["status"] = json!(word);
            body["paid"] = json!(true);
            body["overpaid_fiat"] = json!("100.00");
        });
        assert_eq!(fake.deliver(&told).await, 202, "{word}");
        let known = payment(&app, &id).await;
        assert_eq!(known["status"], "partial", "{word}");
        assert_eq!(known["receivedAmount"], 0.01, "{word}");
        let path = format!("/api/marketplace/requests/{request}");
        assert_eq!(app.get(&path).await.ok()["status"], "accepted", "{word}");

        // The rest makes it whole, and what it is called does not matter then either.
        let rest = fake.pay(&id, "35.49", &format!("0x2{index}"));
        let told = changed(&rest, |body| body["status"] = json!(word));
        assert_eq!(fake.deliver(&told).await, 202, "{word}");
        let known = payment(&app, &id).await;
        assert_eq!(
            (&known["status"], &known["receivedAmount"]),
            (&json!("confirmed"), &json!(35.5))
        );
        let received: Vec<_> =
            ledger(&known).into_iter().filter(|(kind, _)| *kind == "received").collect();
        assert_eq!(received, [("received", json!(0.01)), ("received", json!(35.49))], "{word}");
    }
}

#[tokio::test]
async fn a_balance_is_worth_what_its_transactions_make_up() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let paid = fake.pay(&id, "35.5", "0x1");
    let part = "0.01";
    let told = changed(&paid, |body| body["transactions"][0]["amount_fiat"] = json!(part));
    assert_eq!(fake.deliver(&told).await, 202);
    assert_eq!(payment(&app, &id).await["receivedAmount"], 0.01);
    // The same transaction twice is one.
    let told = changed(&paid, |body| {
        body["transactions"][0]["amount_fiat"] = json!("17.75");
        let mut again = body["transactions"][0].clone();
        again["txid"] = json!("1");
        again["trigger"] = json!(false);
        body["transactions"].as_array_mut().expect("transactions").push(again);
        body["status"] = json!("OVERPAID");
    });
    assert_eq!(fake.deliver(&told).await, 202);
    assert_eq!(payment(&app, &id).await["receivedAmount"], 17.75);
    // And a balance counts where the transactions make up more.
    let told = changed(&paid, |body| body["balance_fiat"] = json!("18"));
    assert_eq!(fake.deliver(&told).await, 202);
    let known = payment(&app, &id).await;
    assert_eq!((&known["status"], &known["receivedAmount"]), (&json!("partial"), &json!(18)));
    assert_eq!(fake.deliver(&paid).await, 202);
    assert!(is_confirmed(&app, &id).await, "what came before is not in its way");
}

#[tokio::test]
async fn a_digit_that_is_rounded_is_not_missing_and_a_cent_is() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    assert_eq!(fake.deliver(&fake.pay(&id, "35.49", "0x1")).await, 202);
    assert_eq!(payment(&app, &id).await["status"], "partial");
    assert_eq!(fake.deliver(&fake.pay(&id, "0.0099999999", "0x2")).await, 202);
    assert!(is_confirmed(&app, &id).await);

    let app = start(&fake, |config| config.shkeeper.tolerance_basis_points = 500).await;
    let (id, _) = invoiced(&app).await;
    assert_eq!(fake.deliver(&fake.pay(&id, "33.7", "0x3")).await, 202);
    assert_eq!(payment(&app, &id).await["status"], "partial");
    assert_eq!(fake.deliver(&fake.pay(&id, "0.1", "0x4")).await, 202);
    assert!(is_confirmed(&app, &id).await);
    // No more is paid out than came.
    let payout = |amount: &str| {
        json!({ "sellerId": "sam", "paymentId": id, "amount": amount, "currency": "ETH-USDT",
            "destination": "0x6f2F", "provider": "shkeeper" })
    };
    for over in ["35.5", "33.800000000000000001"] {
        assert_eq!(app.post("/api/payouts", payout(over)).await.problem(422), "invalid_payload");
    }
    app.post("/api/payouts", payout("33.8")).await.ok();
}

#[tokio::test]
async fn what_came_in_a_coin_is_what_goes_out_in_it() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, request) = invoiced(&app).await;
    let btc = json!({ "requestId": request, "provider": "shkeeper", "crypto": "BTC" });
    let asked = app.buyer("ann").post("/api/payments", btc).await.ok()["invoice"].clone();
    assert_eq!(fake.deliver(&fake.pay(&id, "35.5", "0x1")).await, 202);
    let payout = |amount: &Value, currency: &str| {
        json!({ "sellerId": "sam", "paymentId": id, "amount": amount, "currency": currency,
            "destination": "0x6f2F", "provider": "shkeeper" })
    };
    for (amount, currency, pointer) in [
        (json!("35.5"), "BTC", "/amount"),
        (json!("1"), "BTC", "/amount"),
        (json!("0.001"), "ETH", "/currency"),
    ] {
        let refused = app.post("/api/payouts", payout(&amount, currency)).await;
        assert_eq!(refused.problem(422), "invalid_payload", "{amount} {currency}");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{amount} {currency}");
    }
    assert!(fake.payouts().is_empty());
    app.post("/api/payouts", payout(&asked["cryptoAmount"], "BTC")).await.ok();
}

#[tokio::test]
async fn money_in_a_coin_or_a_currency_that_nobody_asked_for_does_not_count() {
    type Change = fn(&mut Value);
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let changes: [(&str, Change); 5] = [
        ("another coin", |body| body["crypto"] = json!("BTC")),
        ("another coin throughout", |body| {
            body["crypto"] = json!("BTC");
            body["transactions"][0]["crypto"] = json!("BTC");
        }),
        ("a transaction in another coin", |body| {
            body["transactions"][0]["crypto"] = json!("TRX");
        }),
        ("another currency", |body| body["fiat"] = json!("EUR")),
        ("a currency of little worth", |body| body["fiat"] = json!("VND")),
    ];
    let (id, _) = invoiced(&app).await;
    let before = payment(&app, &id).await;
    let paid = fake.pay(&id, "35.5", "0x1");
    for (what, change) in changes {
        assert_eq!(fake.deliver(&changed(&paid, change)).await, 422, "{what}");
        assert_eq!(payment(&app, &id).await, before, "{what}");
    }
    assert_eq!(fake.deliver(&paid).await, 202);
    assert!(is_confirmed(&app, &id).await);
}

#[tokio::test]
async fn coins_that_the_buyer_changed_between_add_up() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, request) = invoiced(&app).await;
    let part = fake.pay(&id, "20", "0x1");
    let btc = json!({ "requestId": request, "provider": "shkeeper", "crypto": "BTC" });
    app.buyer("ann").post("/api/payments", btc).await.ok();
    // To the address of the first coin, which SHKeeper still knows.
    let late = changed(&part, |body| {
        body["crypto"] = json!("BTC");
        body["balance_crypto"] = json!("0");
    });
    assert_eq!(fake.deliver(&late).await, 202);
    assert_eq!(payment(&app, &id).await["receivedAmount"], 20);
    let rest = changed(&fake.pay(&id, "15.5", "0x2"), |body| {
        body["transactions"][0]["crypto"] = json!("ETH-USDT");
    });
    assert_eq!(fake.deliver(&rest).await, 202);
    assert!(is_confirmed(&app, &id).await);
}

#[tokio::test]
async fn what_is_no_amount_of_money_is_not_read() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let before = payment(&app, &id).await;
    let paid = fake.pay(&id, "35.5", "0x1");
    for amount in [
        json!("-35.5"),
        json!(-35.5),
        json!("NaN"),
        json!("sNaN"),
        json!("Infinity"),
        json!("-0.00001"),
        json!("1e300"),
        json!("1e16"),
        json!("35,5"),
        json!("0x23"),
        json!(""),
        json!(null),
        json!(true),
        json!([35.5]),
        json!("9".repeat(40)),
    ] {
        for field in ["balance_fiat", "balance_crypto"] {
            let told = changed(&paid, |body| body[field] = amount.clone());
            assert_eq!(fake.deliver(&told).await, 400, "{field}: {amount}");
        }
        let told = changed(&paid, |body| body["transactions"][0]["amount_fiat"] = amount.clone());
        assert_eq!(fake.deliver(&told).await, 400, "amount_fiat: {amount}");
    }
    assert_eq!(payment(&app, &id).await, before);
    // An exponent is a way to write an amount, and as small as it says.
    let told = changed(&paid, |body| {
        body["balance_fiat"] = json!("355E-3");
        body["transactions"][0]["amount_fiat"] = json!("3.55E-1");
    });
    assert_eq!(fake.deliver(&told).await, 202);
    let known = payment(&app, &id).await;
    assert_eq!((&known["status"], &known["receivedAmount"]), (&json!("partial"), &json!(0.355)));
}

#[tokio::test]
async fn the_same_transaction_under_another_status_is_no_more_money() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let part = fake.pay(&id, "9", "0xAB");
    for word in ["PARTIAL", "PAID", "OVERPAID", "UNPAID", "PAID"] {
        for written in ["0xAB", "0xab", "AB"] {
            let told = changed(&part, |body| {
                body["status"] = json!(word);
                body["transactions"][0]["txid"] = json!(written);
            });
            assert_eq!(fake.deliver(&told).await, 202, "{word}");
        }
    }
    let known = payment(&app, &id).await;
    assert_eq!((&known["status"], &known["receivedAmount"]), (&json!("partial"), &json!(9)));
    let received = ledger(&known).into_iter().filter(|(kind, _)| *kind == "received").count();
    assert_eq!(received, 1);
}

#[tokio::test]
async fn money_that_went_back_pays_nothing() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, request) = invoiced(&app).await;
    let paid = fake.pay(&id, "35.5", "0x1");
    let back = changed(&paid, |body| body["status"] = json!("REFUNDED"));
    assert_eq!(fake.deliver(&back).await, 202);
    assert!(!is_confirmed(&app, &id).await);
    let path = format!("/api/marketplace/requests/{request}");
    assert_eq!(app.get(&path).await.ok()["status"], "accepted");
}

#[tokio::test]
async fn a_transaction_that_paid_a_part_of_an_invoice_confirms_no_other_payment() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    assert_eq!(fake.deliver(&fake.pay(&id, "10", "0x1A")).await, 202);
    assert_eq!(fake.deliver(&fake.pay(&id, "25.5", "0x2B")).await, 202);
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let other = ann.pay(&ann.buys_from(&sam).await).await;
    for used in ["0x1a", "1A", "0x2b", "2B"] {
        let confirm = json!({ "txHash": used });
        let answer = app.post(&format!("/api/payments/{other}/confirm"), confirm).await;
        assert_eq!(answer.problem(409), "conflict", "{used}");
    }
}

#[tokio::test]
async fn a_transaction_pays_one_invoice_however_it_is_written() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (first, _) = invoiced(&app).await;
    assert_eq!(fake.deliver(&fake.pay(&first, "35.5", "0xbb")).await, 202);
    assert!(is_confirmed(&app, &first).await);
    for (written, triggers) in [("BB", true), ("bb", false), ("0XBB", true)] {
        let (id, request) = invoiced(&app).await;
        let told = changed(&fake.pay(&id, "35.5", written), |body| {
            body["transactions"][0]["trigger"] = json!(triggers);
        });
        assert_eq!(fake.deliver(&told).await, 202, "{written}");
        assert_eq!(payment(&app, &id).await["receivedAmount"], 0, "{written}");
        // Neither beside one that is its own.
        let beside = fake.pay(&id, "0.001", &format!("0xc{}", id.replace('-', "")));
        assert_eq!(fake.deliver(&beside).await, 202, "{written}");
        let known = payment(&app, &id).await;
        assert_eq!(
            (&known["status"], &known["receivedAmount"]),
            (&json!("partial"), &json!(0.001)),
            "{written}"
        );
        let path = format!("/api/marketplace/requests/{request}");
        assert_eq!(app.get(&path).await.ok()["status"], "accepted", "{written}");
    }
}

#[tokio::test]
async fn a_transaction_that_pays_two_invoices_at_once_pays_one() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let ((one, _), (other, _)) = (invoiced(&app).await, invoiced(&app).await);
    let (first, second) = (fake.pay(&one, "35.5", "0xbb"), fake.pay(&other, "35.5", "BB"));
    let both = [&first, &second].map(|callback| fake.deliver(callback));
    assert_eq!(futures_util::future::join_all(both).await, [202; 2]);
    let confirmed = [is_confirmed(&app, &one).await, is_confirmed(&app, &other).await];
    assert_eq!(confirmed.into_iter().filter(|confirmed| *confirmed).count(), 1);
}

#[tokio::test]
async fn money_that_no_transaction_shows_is_not_here() {
    type Change = fn(&mut Value);
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let changes: [(&str, Change, f64); 4] = [
        ("no transactions", |body| body["transactions"] = json!([]), 0.0),
        (
            "none told of",
            |body| {
                body.as_object_mut().expect("a body").remove("transactions");
            },
            0.0,
        ),
        (
            "coins of little worth",
            |body| {
                body["balance_crypto"] = json!("0.01");
                body["transactions"][0]["amount_crypto"] = json!("0.01");
            },
            0.01,
        ),
        (
            "no coins",
            |body| {
                body["balance_crypto"] = json!("0");
                body["transactions"][0]["amount_crypto"] = json!("0");
            },
            0.0,
        ),
    ];
    for (index, (what, change, received)) in changes.into_iter().enumerate() {
        let (id, _) = invoiced(&app).await;
        let paid = fake.pay(&id, "35.5", &format!("0x1{index}"));
        assert_eq!(fake.deliver(&changed(&paid, change)).await, 202, "{what}");
        let known = payment(&app, &id).await;
        assert_ne!(known["status"], "confirmed", "{what}");
        // The invoice's coins have SHKeeper's fee in them, so that one is worth a little less.
        let came = known["receivedAmount"].as_f64().expect("an amount");
        assert!((received * 0.97..=received).contains(&came), "{what}: {came}");
        // What is shown later counts then.
        assert_eq!(fake.deliver(&paid).await, 202, "{what}");
        assert!(is_confirmed(&app, &id).await, "{what}");
    }
}

#[tokio::test]
async fn a_rate_may_move_a_little() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let told = changed(&fake.pay(&id, "35.5", "0x1"), |body| {
        body["transactions"][0]["amount_crypto"] = json!("35");
    });
    assert_eq!(fake.deliver(&told).await, 202);
    assert!(is_confirmed(&app, &id).await);
    let (id, _) = invoiced(&app).await;
    let told = changed(&fake.pay(&id, "35.5", "0x2"), |body| {
        body["transactions"][0]["amount_crypto"] = json!("33");
    });
    assert_eq!(fake.deliver(&told).await, 202);
    assert_eq!(payment(&app, &id).await["status"], "partial");
}

#[tokio::test]
async fn a_payout_is_through_when_that_much_of_that_coin_went() {
    let fake = Fake::start().await;
    let hour = std::time::Duration::from_hours(1);
    let app = start(&fake, |config| config.shkeeper.poll_interval = hour).await;
    let order = json!({ "sellerId": "sam", "amount": "34.100000000012", "currency": "ETH-USDT",
        "destination": "0x6f2F", "provider": "shkeeper" });
    let payout = id_of(&app.post("/api/payouts", order).await.ok());
    let path = format!("/api/payouts/{payout}");
    // The first round of questions may come late: it finds the payout under way.
    let through = fake.early_callback(&payout).expect("a callback");
    for (field, value) in [("amount", "0.01"), ("amount", "341"), ("crypto", "BTC")] {
        let told = changed(&through, |body| body[field] = json!(value));
        assert_eq!(fake.deliver(&told).await, 422, "{field} {value}");
        assert_eq!(app.get(&path).await.ok()["status"], "processing", "{field} {value}");
    }
    let through = fake.finish_payout(&payout, Outcome::Success).expect("a callback");
    assert_eq!(fake.deliver(&through).await, 202);
    assert_eq!(app.get(&path).await.ok()["status"], "completed");
}
