//! Payments and payouts that a backend tells of; those of SHKeeper have a file of their own.

mod bound;
mod transactions;
mod unsettled;

use serde_json::{Value, json};

use crate::support::{Options, Person, TestApp, market::id_of};

async fn confirm(app: &TestApp, payment: &str, tx_hash: &str) -> crate::support::app::Answer {
    app.post(&format!("/api/payments/{payment}/confirm"), json!({ "txHash": tx_hash })).await
}

async fn escrow(app: &TestApp, payment: &str, state: &str) -> crate::support::app::Answer {
    app.post(&format!("/api/payments/{payment}/escrow"), json!({ "escrowState": state })).await
}

async fn connect(app: &TestApp, user: &str, role: &str) -> Person {
    app.user_with(user, &[role], Options::websocket().namespace("/marketplace")).await
}

fn kinds(payment: &Value) -> Vec<&str> {
    let ledger = payment["ledger"].as_array().expect("a ledger");
    ledger.iter().map(|entry| entry["kind"].as_str().expect("a kind")).collect()
}

#[tokio::test]
async fn a_confirmed_payment_moves_its_request_and_both_hear_of_it() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let mut buyer = connect(&app, "ann", "buyer").await;
    let mut seller = connect(&app, "sam", "seller").await;
    let mut outsider = connect(&app, "olga", "buyer").await;
    assert_eq!(buyer.emit_ack("join-request-room", request.as_str()).await["success"], true);

    let payment = ann.pay(&request).await;
    let created = json!({
        "paymentId": payment,
        "provider": "decentralized",
        "requestId": request,
        "buyerId": "ann",
        "sellerId": "sam",
        "amount": 35.5,
        "currency": "USD",
    });
    for user in [&mut buyer, &mut seller, &mut outsider] {
        assert_eq!(user.expect("payment-created").await, created);
    }

    let confirmed = confirm(&app, &payment, "0xabc").await.ok();
    assert_eq!(
        (&confirmed["status"], &confirmed["txHash"]),
        (&json!("confirmed"), &json!("0xabc"))
    );
    let update = json!({ "paymentId": payment, "status": "confirmed", "txHash": "0xabc" });
    let offer = json!({
        "offerId": confirmed_offer(&app, &request).await,
        "isSelected": true,
        "paymentId": payment,
        "transactionHash": "0xabc",
    });
    for user in [&mut buyer, &mut seller, &mut outsider] {
        assert_eq!(user.expect("payment-update").await, update);
        let told = user.expect("seller-offer-update").await;
        assert_eq!((&told["eventType"], &told["data"]), (&json!("payment-completed"), &offer));
    }
    let received = json!({
        "purchaseRequestId": request, "amount": 35.5, "currency": "USD", "buyerId": "ann",
    });
    assert_eq!(seller.expect("payment-received").await, received);
    let moved = json!({
        "type": "payment_changed",
        "requestId": request,
        "status": "paid",
        "paymentId": payment,
        "txHash": "0xabc",
        "provider": "decentralized",
    });
    assert_eq!(buyer.expect("purchase-request-update").await, moved);
    for user in [&mut buyer, &mut seller, &mut outsider] {
        user.expect_nothing().await;
    }
    let paid = ann.get(&format!("/api/marketplace/requests/{request}")).await.ok();
    assert_eq!((&paid["status"], &paid["paymentId"]), (&json!("paid"), &json!(payment)));
}

async fn confirmed_offer(app: &TestApp, request: &str) -> Value {
    app.get(&format!("/api/marketplace/requests/{request}")).await.ok()["acceptedOfferId"].clone()
}

#[tokio::test]
async fn confirming_twice_changes_nothing() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    confirm(&app, &payment, "0xabc").await.ok();
    let path = format!("/api/payments/{payment}");
    let before = app.get(&path).await.ok();
    assert_eq!(kinds(&before), ["created", "confirmed"]);

    let mut seller = connect(&app, "sam", "seller").await;
    assert_eq!(confirm(&app, &payment, "0xabc").await.ok()["status"], "confirmed");
    assert_eq!(confirm(&app, &payment, "0xdef").await.problem(409), "conflict");
    assert_eq!(app.get(&path).await.ok(), before);
    seller.expect_nothing().await;
}

#[tokio::test]
async fn many_confirmations_at_once_are_one() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    let mut seller = connect(&app, "sam", "seller").await;
    let confirmations = (0..8).map(|_| confirm(&app, &payment, "0xabc"));
    for answer in futures_util::future::join_all(confirmations).await {
        assert_eq!(answer.ok()["status"], "confirmed");
    }
    seller.expect("payment-update").await;
    seller.expect("payment-received").await;
    seller.expect("seller-offer-update").await;
    seller.expect_nothing().await;
    assert_eq!(
        kinds(&app.get(&format!("/api/payments/{payment}")).await.ok()),
        ["created", "confirmed"]
    );
}

#[tokio::test]
async fn a_transaction_confirms_one_payment() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let (one, other) = (ann.buys_from(&sam).await, ann.buys_from(&sam).await);
    let (one, other) = (ann.pay(&one).await, ann.pay(&other).await);
    confirm(&app, &one, "0xabc").await.ok();
    assert_eq!(confirm(&app, &other, "0xabc").await.problem(409), "conflict");
    confirm(&app, &other, "0xdef").await.ok();
}

#[tokio::test]
async fn a_transaction_is_the_same_in_either_case() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let (one, other) = (ann.buys_from(&sam).await, ann.buys_from(&sam).await);
    let (one, other) = (ann.pay(&one).await, ann.pay(&other).await);
    assert_eq!(confirm(&app, &one, "0xABCDEF").await.ok()["txHash"], "0xabcdef");
    assert_eq!(confirm(&app, &one, "0xabcdef").await.ok()["status"], "confirmed");
    assert_eq!(confirm(&app, &other, "0xabcDEF").await.problem(409), "conflict");
}

#[tokio::test]
async fn money_goes_to_the_seller_or_back_and_not_both_ways() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let payout = |payment: &str| {
        json!({ "sellerId": "sam", "paymentId": payment, "amount": 30, "currency": "USDT",
            "destination": "0x1", "provider": "decentralized" })
    };
    let paid_out = ann.pay(&ann.buys_from(&sam).await).await;
    confirm(&app, &paid_out, "0x1").await.ok();
    app.post("/api/payouts", payout(&paid_out)).await.ok();
    assert_eq!(escrow(&app, &paid_out, "refunded").await.problem(409), "conflict");
    escrow(&app, &paid_out, "released").await.ok();

    let refunded = ann.pay(&ann.buys_from(&sam).await).await;
    confirm(&app, &refunded, "0x2").await.ok();
    escrow(&app, &refunded, "refunded").await.ok();
    assert_eq!(app.post("/api/payouts", payout(&refunded)).await.problem(409), "conflict");

    // Money for a request that was called off is the buyer's.
    let request = ann.buys_from(&sam).await;
    let unapplied = ann.pay(&request).await;
    let cancel = format!("/api/marketplace/requests/{request}/cancel");
    ann.post(&cancel, json!({ "reason": "Found one" })).await.ok();
    confirm(&app, &unapplied, "0x3").await.ok();
    assert_eq!(app.post("/api/payouts", payout(&unapplied)).await.problem(409), "conflict");
}

#[tokio::test]
async fn who_may_pay_and_what() {
    let app = TestApp::start().await;
    let (ann, sam, bob) = (app.buyer("ann"), app.seller("sam"), app.buyer("bob"));
    let open = ann.request().await;
    let request = ann.buys_from(&sam).await;
    let pay = |request: &str| json!({ "requestId": request, "provider": "decentralized" });

    assert_eq!(ann.post("/api/payments", pay(&open)).await.problem(409), "conflict");
    assert_eq!(bob.post("/api/payments", pay(&request)).await.problem(404), "not_found");
    assert_eq!(sam.post("/api/payments", pay(&request)).await.problem(404), "not_found");
    assert_eq!(ann.post("/api/payments", pay("nothing")).await.problem(404), "not_found");
    let cheaper = json!({ "requestId": request, "provider": "decentralized", "amount": "35.49" });
    assert_eq!(ann.post("/api/payments", cheaper).await.problem(409), "conflict");
    let free = json!({ "requestId": request, "provider": "decentralized", "amount": 0 });
    let answer = ann.post("/api/payments", free).await;
    assert_eq!(answer.problem(422), "invalid_payload");
    assert_eq!(answer.body["errors"][0]["pointer"], "/amount");
    let off = json!({ "requestId": request, "provider": "shkeeper" });
    assert_eq!(ann.post("/api/payments", off).await.problem(409), "provider_off");
    let coin = json!({ "requestId": request, "provider": "decentralized", "crypto": "BTC" });
    assert_eq!(ann.post("/api/payments", coin).await.problem(422), "invalid_payload");

    // The price may be said, in any way it can be written; and again while it is under way.
    let exact = json!({
        "requestId": request, "provider": "decentralized", "amount": "35.500", "currency": "USD",
    });
    let first = ann.post("/api/payments", exact).await;
    assert_eq!(first.status, 201);
    let again = ann.post("/api/payments", pay(&request)).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, first.body);
    // A backend may ask for another amount, but not while one is under way.
    let dearer = json!({ "requestId": request, "provider": "decentralized", "amount": "36" });
    assert_eq!(app.post("/api/payments", dearer).await.problem(409), "conflict");
}

#[tokio::test]
async fn nobody_pays_with_less_than_the_price_or_in_another_currency() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let pay = |money: Value| {
        let mut pay = money;
        pay["requestId"] = json!(request);
        pay["provider"] = json!("decentralized");
        pay
    };
    for money in [
        json!({ "amount": 0.01 }),
        json!({ "amount": "0.01" }),
        json!({ "amount": "35.499999999999999999" }),
        json!({ "amount": 35.5, "currency": "EUR" }),
        json!({ "amount": 35.5, "currency": "BTC" }),
        json!({ "amount": 36, "currency": "VND" }),
        json!({ "currency": "USDX" }),
    ] {
        let refused = app.post("/api/payments", pay(money.clone())).await;
        assert_eq!(refused.problem(409), "conflict", "{money}");
    }
    // More may be asked by a backend: what the delivery costs, say.
    let dearer = app.post("/api/payments", pay(json!({ "amount": 40 }))).await.ok();
    confirm(&app, dearer["id"].as_str().expect("an id"), "0xabc").await.ok();
    let path = format!("/api/marketplace/requests/{request}");
    assert_eq!(app.get(&path).await.ok()["status"], "paid");
}

#[tokio::test]
async fn who_takes_part_sees_a_payment_and_nobody_else() {
    let app = TestApp::start().await;
    let (ann, sam, bob) = (app.buyer("ann"), app.seller("sam"), app.buyer("bob"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    let path = format!("/api/payments/{payment}");
    let seen = app.get(&path).await.ok();
    assert_eq!(seen["amount"], 35.5);
    assert_eq!(ann.get(&path).await.ok(), seen);
    assert_eq!(sam.get(&path).await.ok(), seen);
    assert_eq!(bob.get(&path).await.problem(404), "not_found");
    assert_eq!(ann.get("/api/payments/nothing").await.problem(404), "not_found");

    let of_request = format!("/api/payments?requestId={request}");
    for who in [&ann, &sam] {
        assert_eq!(who.get(&of_request).await.ok()["items"][0]["id"], payment.as_str());
    }
    assert_eq!(bob.get(&of_request).await.ok()["items"], json!([]));
    assert_eq!(app.get(&of_request).await.ok()["items"].as_array().expect("items").len(), 1);
    let confirm = format!("{path}/confirm");
    assert_eq!(ann.post(&confirm, json!({ "txHash": "0x1" })).await.problem(403), "forbidden");
}

#[tokio::test]
async fn escrow_goes_one_way_and_is_told_each_time() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    assert_eq!(escrow(&app, &payment, "held").await.problem(409), "conflict");
    confirm(&app, &payment, "0xabc").await.ok();
    let mut buyer = connect(&app, "ann", "buyer").await;
    for state in ["held", "held", "released", "released"] {
        assert_eq!(escrow(&app, &payment, state).await.ok()["escrowState"], state);
    }
    for state in ["held", "released"] {
        let update = json!({
            "paymentId": payment, "status": "confirmed", "escrowState": state, "txHash": "0xabc",
        });
        assert_eq!(buyer.expect("payment-update").await, update);
    }
    buyer.expect_nothing().await;
    for state in ["held", "refunded"] {
        assert_eq!(escrow(&app, &payment, state).await.problem(409), "conflict");
    }
    assert_eq!(escrow(&app, &payment, "gone").await.problem(422), "invalid_payload");
    let ledger = app.get(&format!("/api/payments/{payment}")).await.ok();
    assert_eq!(kinds(&ledger), ["created", "confirmed", "held", "released"]);
}

#[tokio::test]
async fn money_for_a_request_that_was_called_off_is_kept_apart() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    let path = format!("/api/marketplace/requests/{request}");
    ann.post(&format!("{path}/cancel"), json!({ "reason": "Found one" })).await.ok();
    let mut seller = connect(&app, "sam", "seller").await;

    assert_eq!(confirm(&app, &payment, "0xabc").await.ok()["status"], "confirmed");
    assert_eq!(ann.get(&path).await.ok()["status"], "cancelled");
    let ledger = app.get(&format!("/api/payments/{payment}")).await.ok();
    assert_eq!(kinds(&ledger), ["created", "confirmed", "unapplied"]);
    // The seller has nothing of it.
    seller.expect("payment-update").await;
    seller.expect_nothing().await;
}

#[tokio::test]
async fn a_payout_is_told_of_as_it_moves() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    let payout = json!({
        "sellerId": "sam",
        "paymentId": payment,
        "amount": "34.000000000000000001",
        "currency": "USDT",
        "destination": "0x6f2F",
        "provider": "decentralized",
    });
    assert_eq!(app.post("/api/payouts", payout.clone()).await.problem(409), "conflict");
    confirm(&app, &payment, "0xabc").await.ok();
    let mut seller = connect(&app, "sam", "seller").await;
    let mut outsider = connect(&app, "olga", "buyer").await;

    assert_eq!(ann.post("/api/payouts", payout.clone()).await.problem(403), "forbidden");
    let other = json!({ "sellerId": "eve", "paymentId": payment, "amount": 1, "currency": "USDT",
        "destination": "0x1", "provider": "decentralized" });
    assert_eq!(app.post("/api/payouts", other).await.body["errors"][0]["pointer"], "/sellerId");
    let payout_id = id_of(&app.post("/api/payouts", payout.clone()).await.ok());
    assert_eq!(app.post("/api/payouts", payout.clone()).await.problem(409), "conflict");
    let path = format!("/api/payouts/{payout_id}");
    let change = async |status: &str, tx_hash: Option<&str>| {
        let mut body = json!({ "status": status });
        if let Some(tx_hash) = tx_hash {
            body["txHash"] = json!(tx_hash);
        }
        let key = Some(crate::support::app::API_KEY);
        app.request(reqwest::Method::PATCH, &path, key, Some(body)).await
    };
    change("processing", None).await.ok();
    change("processing", None).await.ok();
    change("completed", None).await.ok();
    // What was not known can be told later, and is not changed then.
    change("completed", Some("0xfee")).await.ok();
    change("completed", None).await.ok();
    assert_eq!(change("completed", Some("0xfed")).await.problem(409), "conflict");
    assert_eq!(change("failed", None).await.problem(409), "conflict");

    for user in [&mut seller, &mut outsider] {
        let created = user.expect("payout-created").await;
        assert_eq!(created["payoutId"], payout_id.as_str());
        assert_eq!((&created["taskId"], &created["sellerId"]), (&Value::Null, &json!("sam")));
        for status in ["processing", "completed"] {
            let updated = json!({ "payoutId": payout_id, "status": status });
            assert_eq!(user.expect("payout-updated").await, updated);
        }
        let completed = json!({ "payoutId": payout_id, "taskId": null, "txHash": null });
        assert_eq!(user.expect("payout-completed").await, completed);
        user.expect_nothing().await;
    }
    assert_eq!(app.get(&path).await.ok()["txHash"], "0xfee");
    assert_eq!(sam.get(&path).await.problem(403), "forbidden");
}

#[tokio::test]
async fn a_failed_payout_may_be_tried_again() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    confirm(&app, &payment, "0xabc").await.ok();
    let payout = json!({ "sellerId": "sam", "paymentId": payment, "amount": 30, "currency": "USDT",
        "destination": "0x1", "provider": "decentralized" });
    let first = id_of(&app.post("/api/payouts", payout.clone()).await.ok());
    let failed = Some(json!({ "status": "failed" }));
    let key = Some(crate::support::app::API_KEY);
    let path = format!("/api/payouts/{first}");
    app.request(reqwest::Method::PATCH, &path, key, failed).await.ok();
    assert_ne!(id_of(&app.post("/api/payouts", payout).await.ok()), first);
}

#[tokio::test]
async fn payouts_of_a_payment_asked_for_at_once_are_one() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let payment = ann.pay(&request).await;
    confirm(&app, &payment, "0xabc").await.ok();
    let payout = json!({ "sellerId": "sam", "paymentId": payment, "amount": 30, "currency": "USDT",
        "destination": "0x1", "provider": "decentralized" });
    let calls = (0..8).map(|_| app.post("/api/payouts", payout.clone()));
    let answers = futures_util::future::join_all(calls).await;
    let statuses = |wanted| answers.iter().filter(|answer| answer.status == wanted).count();
    assert_eq!((statuses(201), statuses(409)), (1, 7));
}

#[tokio::test]
async fn where_only_participants_hear_a_stranger_hears_nothing() {
    let app = TestApp::with(|config| {
        config.realtime.event_audience = stoa::config::EventAudience::Participants;
    })
    .await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let mut buyer = connect(&app, "ann", "buyer").await;
    let mut seller = connect(&app, "sam", "seller").await;
    let mut admin = connect(&app, "root", "admin").await;
    let mut outsider = connect(&app, "olga", "buyer").await;
    let payment = ann.pay(&request).await;
    confirm(&app, &payment, "0xabc").await.ok();
    let payout = json!({ "sellerId": "sam", "paymentId": payment, "amount": 30, "currency": "USDT",
        "destination": "0x1", "provider": "decentralized" });
    app.post("/api/payouts", payout).await.ok();

    for user in [&mut buyer, &mut seller, &mut admin] {
        for event in ["payment-created", "payment-update", "seller-offer-update"] {
            user.expect(event).await;
        }
    }
    seller.expect("payment-received").await;
    for user in [&mut seller, &mut admin] {
        user.expect("payout-created").await;
    }
    for user in [&mut buyer, &mut seller, &mut admin, &mut outsider] {
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn who_was_away_is_told_of_a_payment() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let mut seller = connect(&app, "sam", "seller").await;
    let join = json!({ "userId": "sam", "since": 0 });
    let before = seller.emit_ack("join-user-room", join).await["seq"].as_i64().expect("a seq");
    seller.close().await;
    let payment = ann.pay(&request).await;
    confirm(&app, &payment, "0xabc").await.ok();

    let mut seller = connect(&app, "sam", "seller").await;
    let join = json!({ "userId": "sam", "since": before });
    let ack = seller.emit_ack("join-user-room", join).await;
    assert_eq!((&ack["recovered"], &ack["replayed"]), (&json!(true), &json!(4)));
    for event in ["payment-created", "payment-update", "seller-offer-update", "payment-received"] {
        seller.expect(event).await;
    }
    seller.expect_nothing().await;
}

#[tokio::test]
async fn the_answer_to_a_key_is_kept_with_the_payment_or_neither_is() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let pay = |request: &str| json!({ "requestId": request, "provider": "decentralized" });
    let post =
        async |request: &str, key: &str| ann.post_keyed("/api/payments", key, &pay(request)).await;
    let first = ann.buys_from(&sam).await;
    assert_eq!(post(&first, "first").await.status, 201);
    // From here on no other answer of this kind can be kept.
    app.execute("CREATE UNIQUE INDEX one_answer ON idempotency_keys (status)").await;
    let second = ann.buys_from(&sam).await;
    assert_eq!(post(&second, "second").await.status, 500);
    let list = ann.get(&format!("/api/payments?requestId={second}")).await.ok();
    assert_eq!(list["items"], json!([]), "it was begun without an answer");
    app.execute("DROP INDEX one_answer").await;
    let answer = post(&second, "second").await;
    assert_eq!(answer.status, 201);
    assert_eq!(post(&second, "second").await.body, answer.body);
}
