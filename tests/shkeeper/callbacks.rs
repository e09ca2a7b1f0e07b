//! What SHKeeper tells of money that came: believed, kept, done once.

use std::{io::Write, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::{Value, json};
use stoa::{
    clock::{Clock, Timestamp},
    config::WebhookMode,
};

use super::{invoiced, ledger, payment, seller, start};
use crate::support::{
    TestApp,
    shkeeper::{Delivery, Fake, PUBLIC_URL},
};

#[tokio::test]
async fn the_money_moves_the_request_and_is_told_once() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, request) = invoiced(&app).await;
    let mut seller = seller(&app).await;
    let paid = fake.pay(&id, "35.5", "0x518a");
    assert_eq!(fake.deliver(&paid).await, 202);

    let update = json!({ "paymentId": id, "status": "confirmed", "txHash": "0x518a" });
    assert_eq!(seller.expect("payment-update").await, update);
    let told = seller.expect("seller-offer-update").await;
    assert_eq!(told["data"]["transactionHash"], "0x518a");
    assert_eq!(seller.expect("payment-received").await["amount"], 35.5);
    seller.expect_nothing().await;
    let request = app.get(&format!("/api/marketplace/requests/{request}")).await.ok();
    assert_eq!((&request["status"], &request["paymentId"]), (&json!("paid"), &json!(id)));
    let known = payment(&app, &id).await;
    assert_eq!(known["receivedAmount"], 35.5);
    let kinds: Vec<_> = ledger(&known).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["created", "invoiced", "received", "confirmed"]);
}

#[tokio::test]
async fn the_same_callback_five_times_at_once_is_one_change() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let mut seller = seller(&app).await;
    let paid = fake.pay(&id, "35.5", "0x518a");
    let statuses = futures_util::future::join_all((0..5).map(|_| fake.deliver(&paid))).await;
    assert_eq!(statuses, [202; 5]);
    for event in ["payment-update", "seller-offer-update", "payment-received"] {
        seller.expect(event).await;
    }
    seller.expect_nothing().await;
    let known = payment(&app, &id).await;
    assert_eq!(ledger(&known).len(), 4);
    // Signed anew a minute later, it is still the same.
    assert_eq!(fake.deliver(&fake.again(&id, "0x518a")).await, 202);
    assert_eq!(payment(&app, &id).await, known);
    seller.expect_nothing().await;
}

#[tokio::test]
async fn a_part_is_told_and_the_rest_completes_it() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, request) = invoiced(&app).await;
    let mut seller = seller(&app).await;
    let first = fake.pay(&id, "10", "0x1");
    assert_eq!(fake.deliver(&first).await, 202);
    let part = json!({ "paymentId": id, "status": "partial", "txHash": "0x1" });
    assert_eq!(seller.expect("payment-update").await, part);
    seller.expect_nothing().await;
    let path = format!("/api/marketplace/requests/{request}");
    assert_eq!(app.get(&path).await.ok()["status"], "accepted");

    let rest = fake.pay(&id, "25.5", "0x2");
    assert_eq!(fake.deliver(&rest).await, 202);
    let whole = json!({ "paymentId": id, "status": "confirmed", "txHash": "0x2" });
    assert_eq!(seller.expect("payment-update").await, whole);
    // The first one comes once more, as of then: nothing falls back.
    assert_eq!(fake.deliver(&first).await, 202);
    let known = payment(&app, &id).await;
    assert_eq!((&known["status"], &known["receivedAmount"]), (&json!("confirmed"), &json!(35.5)));
    let received: Vec<_> =
        ledger(&known).into_iter().filter(|(kind, _)| *kind == "received").collect();
    assert_eq!(received, [("received", json!(10)), ("received", json!(25.5))]);
    assert_eq!(app.get(&path).await.ok()["status"], "paid");
}

#[tokio::test]
async fn what_is_paid_too_much_stands_in_the_ledger() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let mut seller = seller(&app).await;
    assert_eq!(fake.deliver(&fake.pay(&id, "50", "0x1")).await, 202);
    assert_eq!(seller.expect("payment-update").await["status"], "confirmed");
    // More comes after it is paid.
    assert_eq!(fake.deliver(&fake.pay(&id, "1.25", "0x2")).await, 202);
    let more = json!({ "paymentId": id, "status": "confirmed", "txHash": "0x2" });
    assert_eq!(seller.expect("payment-update").await, more);
    assert_eq!(seller.queued("payment-received").len(), 1);
    let known = payment(&app, &id).await;
    assert_eq!(known["receivedAmount"], 51.25);
    let over: Vec<_> = ledger(&known).into_iter().filter(|(kind, _)| *kind == "overpaid").collect();
    assert_eq!(over, [("overpaid", json!(14.5)), ("overpaid", json!(1.25))]);
}

#[tokio::test]
async fn money_that_no_block_holds_is_noted_and_not_told() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let mut seller = seller(&app).await;
    assert_eq!(fake.deliver(&fake.unconfirmed(&id, "0.0025", "ab")).await, 202);
    let known = payment(&app, &id).await;
    assert_eq!(known["status"], "pending");
    assert_eq!(ledger(&known).last(), Some(&("seen", json!(0.0025))));
    seller.expect_nothing().await;
}

#[tokio::test]
async fn a_callback_is_kept_as_it_came_and_without_the_key() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.database.url = None).await;
    let (id, _) = invoiced(&app).await;
    let paid = fake.pay(&id, "35.5", "0x518a");
    assert_eq!(fake.deliver(&paid).await, 202);
    let kept = app.database().query_row(
        "SELECT body, headers, subject_id, processed_at IS NOT NULL FROM webhooks",
        [],
        |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, bool>(3)?,
            ))
        },
    );
    let (body, headers, subject, processed) = kept.expect("one row");
    assert_eq!((body, subject, processed), (paid.body, id, true));
    assert!(headers.contains("x-shkeeper-signature"), "{headers}");
    assert!(!headers.contains(crate::support::shkeeper::API_KEY), "{headers}");
}

/// A way to spoil a callback, and how that is answered.
type Spoiled = (&'static str, fn(Delivery) -> Delivery, u16);

const SPOILED: [Spoiled; 6] = [
    ("mismatch", |paid| Delivery { body: [&paid.body[..], b" "].concat(), ..paid }, 401),
    ("missing", Delivery::legacy, 401),
    ("malformed", |paid| paid.header("x-shkeeper-signature", "not a signature at all"), 401),
    (
        "expired",
        |paid| {
            let old = Clock::system().now().seconds() - 301;
            Delivery::signed(paid.url, paid.body, Timestamp::from_millis(old * 1000))
        },
        401,
    ),
    (
        "broken JSON",
        |paid| Delivery::signed(paid.url, b"{\"status\":".to_vec(), Clock::system().now()),
        400,
    ),
    (
        "unknown invoice",
        |paid| {
            let url = format!("{PUBLIC_URL}/api/webhooks/shkeeper/of-nobody");
            Delivery { url, ..paid }
        },
        404,
    ),
];

/// Lines that are logged on this thread, at `warn` and above.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock());
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }
}

// One thread, so that the log is of this test alone.
#[tokio::test(flavor = "current_thread")]
async fn what_is_not_believed_changes_nothing_and_is_one_line_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let fake = Fake::start().await;
    let trusting = |config: &mut stoa::config::Config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
    };
    let app = start(&fake, trusting).await;
    let (id, _) = invoiced(&app).await;
    let mut seller = seller(&app).await;
    let before = payment(&app, &id).await;
    let paid = fake.pay(&id, "35.5", "0x518a");
    log.take();
    for ((what, spoil, status), from) in SPOILED.into_iter().zip(1..) {
        // Each from somewhere else: lines alike are one in a while.
        let spoiled = spoil(paid.clone()).header("x-forwarded-for", &format!("198.51.100.{from}"));
        assert_eq!(fake.deliver(&spoiled).await, status, "{what}");
        assert_eq!(fake.deliver(&spoiled).await, status, "{what}, again");
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{what}: {lines:?}");
        assert!(lines[0].contains("a callback of shkeeper was refused"), "{lines:?}");
        assert!(!lines[0].contains(crate::support::shkeeper::API_KEY), "{lines:?}");
    }
    assert_eq!(payment(&app, &id).await, before);
    seller.expect_nothing().await;
    assert_eq!(fake.deliver(&paid).await, 202);
    assert_eq!(payment(&app, &id).await["status"], "confirmed");
    assert_eq!(log.take(), Vec::<String>::new());
}

#[tokio::test]
async fn a_callback_for_another_invoice_is_not_taken_at_this_path() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (one, _) = invoiced(&app).await;
    let (other, _) = invoiced(&app).await;
    let paid = fake.pay(&one, "35.5", "0x1");
    let url = fake.invoice(&other).expect("an invoice").callback_url;
    assert_eq!(fake.deliver(&Delivery { url, ..paid }).await, 404);
    for id in [one, other] {
        assert_eq!(payment(&app, &id).await["status"], "pending");
    }
}

#[tokio::test]
async fn an_old_server_s_callbacks_are_taken_where_that_is_configured() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.shkeeper.webhooks = WebhookMode::Legacy).await;
    let (id, _) = invoiced(&app).await;
    let paid = fake.pay(&id, "35.5", "0x1").legacy();
    let wrong = paid.clone().header("x-shkeeper-api-key", "another-key");
    assert_eq!(fake.deliver(&wrong).await, 401);
    assert_eq!(fake.deliver(&paid).await, 202);
    assert_eq!(payment(&app, &id).await["status"], "confirmed");
}

#[tokio::test]
async fn without_a_provider_nobody_is_heard() {
    let app = TestApp::start().await;
    let path = "/api/webhooks/shkeeper/t0ken";
    let answer = app.post_with(path, &[("x-shkeeper-signature", "00")], &json!({})).await;
    assert_eq!(answer.problem(404), "not_found");
}

#[tokio::test]
async fn a_restart_between_two_deliveries_changes_nothing() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    let paid = fake.pay(&id, "35.5", "0x1");
    assert_eq!(fake.deliver(&paid).await, 202);
    let before = payment(&app, &id).await;
    let app = app.restart().await;
    fake.resolve(PUBLIC_URL, app.address());
    assert_eq!(fake.retry(&id, "0x1", 3).await, [202]);
    assert_eq!(payment(&app, &id).await, before);
}

#[tokio::test]
async fn money_for_a_request_that_was_called_off_is_kept_and_said() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, request) = invoiced(&app).await;
    let cancel = format!("/api/marketplace/requests/{request}/cancel");
    app.buyer("ann").post(&cancel, json!({ "reason": "Found one" })).await.ok();
    assert_eq!(fake.deliver(&fake.pay(&id, "35.5", "0x1")).await, 202);
    let known = payment(&app, &id).await;
    assert_eq!(known["status"], "confirmed");
    assert_eq!(ledger(&known).last(), Some(&("unapplied", json!(35.5))));
    let request = app.get(&format!("/api/marketplace/requests/{request}")).await.ok();
    assert_eq!((&request["status"], &request["paymentId"]), (&json!("cancelled"), &Value::Null));
}

#[tokio::test]
async fn callbacks_of_two_transactions_at_once_add_up() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.shkeeper.timeout = Duration::from_secs(5)).await;
    let (id, _) = invoiced(&app).await;
    let one = fake.pay(&id, "10", "0x1");
    let two = fake.pay(&id, "25.5", "0x2");
    let both = [&two, &one, &one, &two].map(|callback| fake.deliver(callback));
    assert_eq!(futures_util::future::join_all(both).await, [202; 4]);
    let known = payment(&app, &id).await;
    assert_eq!((&known["status"], &known["receivedAmount"]), (&json!("confirmed"), &json!(35.5)));
    let confirmed = ledger(&known).into_iter().filter(|(kind, _)| *kind == "confirmed").count();
    assert_eq!(confirmed, 1);
}
