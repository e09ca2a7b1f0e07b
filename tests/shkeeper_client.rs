//! The client of SHKeeper against one: what is asked, what is known after it failed, and callbacks
//! as they arrive.

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use http::HeaderMap;
use parking_lot::Mutex;
use serde_json::Value;
use stoa::{
    clock::{Clock, Timestamp},
    config::{Config, WebhookMode},
    money::{Amount, Currency},
    payments::shkeeper::{
        Invoice, InvoiceOrder, PayoutOrder, PayoutState, ProviderError, Shkeeper, SignatureError,
        StartedPayout, TaskState,
        callback::{Callback, InvoiceStatus, parse_invoice, parse_payout},
    },
};

use crate::support::{
    http_client,
    shkeeper::{API_KEY, Delivery, Endpoint, Fake, Fault, Outcome, PASSWORD, PUBLIC_URL},
    within,
};

const INVOICES: &str = "https://stoa.example.com/api/webhooks/shkeeper/t0ken";
const PAYOUTS: &str = "https://stoa.example.com/api/webhooks/shkeeper/t0ken/payouts";

fn client(fake: &Fake) -> Shkeeper {
    Shkeeper::new(&fake.settings()).expect("a client").expect("it is on")
}

/// A client that soon gives up.
fn hasty(fake: &Fake) -> Shkeeper {
    let mut settings = fake.settings();
    settings.timeout = Duration::from_millis(300);
    Shkeeper::new(&settings).expect("a client").expect("it is on")
}

fn coin(name: &str) -> Currency {
    name.parse().expect("a coin")
}

fn usdt() -> Currency {
    coin("ETH-USDT")
}

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

fn price(external_id: &str, price: &str) -> InvoiceOrder {
    InvoiceOrder {
        external_id: external_id.to_owned(),
        fiat: coin("USD"),
        amount: amount(price),
        callback_url: INVOICES.to_owned(),
    }
}

fn order(external_id: &str) -> PayoutOrder {
    PayoutOrder {
        external_id: external_id.to_owned(),
        amount: amount("12.5"),
        destination: "0x6f2F".to_owned(),
        callback_url: PAYOUTS.to_owned(),
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, ProviderError>, reason: &str) {
    match outcome {
        Err(ProviderError::Refused(said)) => assert!(said.contains(reason), "{said}"),
        other => panic!("not refused: {other:?}"),
    }
}

fn unclear<T: std::fmt::Debug>(outcome: &Result<T, ProviderError>) {
    assert!(matches!(outcome, Err(ProviderError::Unclear(_))), "{outcome:?}");
}

/// A server that takes callbacks: the first ones as told, then with 202.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<Vec<u16>>>,
    taken: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    async fn start(answers: &[u16]) -> (Self, SocketAddr) {
        let receiver = Self::default();
        receiver.answers.lock().extend(answers.iter().rev());
        let take = |State(receiver): State<Self>, headers: HeaderMap, body: Bytes| async move {
            receiver.taken.lock().push((headers, body));
            let answer = receiver.answers.lock().pop().unwrap_or(202);
            StatusCode::from_u16(answer).expect("a status")
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/{*path}", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    fn taken(&self) -> Vec<(HeaderMap, Bytes)> {
        self.taken.lock().clone()
    }
}

fn invoice_of(delivery: &Delivery) -> stoa::payments::shkeeper::callback::InvoiceCallback {
    match parse_invoice(&delivery.body).expect("a callback") {
        Callback::Invoice(invoice) => invoice,
        Callback::Unconfirmed(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_provider_without_a_url_is_off() {
    assert!(Shkeeper::new(&Config::for_tests().shkeeper).expect("settings").is_none());
    let fake = Fake::start().await;
    let mut config = Config::for_tests();
    fake.configure(&mut config);
    assert!(config.validate().is_ok());
    assert!(client(&fake).pays_out());
    assert_eq!(client(&fake).crypto(), &usdt());
}

#[tokio::test]
async fn an_invoice_has_a_wallet_and_an_exact_amount() {
    let fake = Fake::start().await;
    let invoice = client(&fake).payment_request(&usdt(), &price("147", "18.25")).await;
    let asked = fake.invoice("147").expect("an invoice");
    assert_eq!(
        invoice.expect("an invoice"),
        Invoice {
            id: 61,
            wallet: asked.wallet.clone(),
            amount: amount("18.615"),
            exchange_rate: "1".to_owned(),
            display_name: "USDT ERC20".to_owned(),
            crypto: usdt(),
        }
    );
    assert_eq!((asked.fiat.as_str(), asked.amount_fiat.to_string().as_str()), ("USD", "18.25"));
    assert_eq!((asked.callback_url.as_str(), asked.crypto.as_str()), (INVOICES, "ETH-USDT"));
    assert_eq!((asked.id, asked.amount_crypto.to_string().as_str()), (61, "18.615"));
}

#[tokio::test]
async fn the_same_invoice_may_be_asked_for_again() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    fake.fail_next(Endpoint::PaymentRequest, Fault::Drop { done: true });
    unclear(&shkeeper.payment_request(&usdt(), &price("147", "18.25")).await);
    let first = shkeeper.payment_request(&usdt(), &price("147", "18.25")).await;
    let changed = shkeeper.payment_request(&coin("ETH"), &price("147", "20")).await;
    let (first, changed) = (first.expect("an invoice"), changed.expect("an invoice"));
    assert_eq!((first.id, fake.invoices()), (changed.id, 1));
    assert_eq!(
        (changed.display_name.as_str(), changed.exchange_rate.as_str()),
        ("Ethereum", "3379.24")
    );
    assert_eq!(fake.invoice("147").expect("an invoice").asked, 3);
    let other = shkeeper.payment_request(&usdt(), &price("148", "18.25")).await;
    assert_ne!(other.expect("an invoice").wallet, first.wallet);
    assert_eq!(fake.invoices(), 2);
}

#[tokio::test]
async fn an_error_that_comes_as_200_is_a_refusal() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    refused(shkeeper.payment_request(&coin("DOGE"), &price("1", "1")).await, "unavailable");
    fake.fail_next(Endpoint::PaymentRequest, Fault::Error);
    refused(shkeeper.payment_request(&usdt(), &price("1", "1")).await, "it did not work");
    fake.fail_next(Endpoint::Payout, Fault::Error);
    refused(shkeeper.payout(&usdt(), &order("p1")).await, "it did not work");
    assert_eq!(fake.invoices(), 0);
    assert!(!fake.payouts()[0].paid);
}

#[tokio::test]
async fn wrong_credentials_are_a_refusal_and_never_shown() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    settings.api_key = Some("hush-hush-key".into());
    settings.password = Some("hush-hush-word".into());
    let shkeeper = Shkeeper::new(&settings).expect("a client").expect("it is on");
    let invoice = shkeeper.payment_request(&usdt(), &price("1", "1")).await;
    let payout = shkeeper.payout(&usdt(), &order("p1")).await;
    let shown = format!("{invoice:?} {payout:?}");
    assert!(!shown.contains("hush"), "{shown}");
    refused(invoice, "Bad API key");
    refused(payout, "Bad HTTP Basic Auth");
    (settings.user, settings.password) = (None, None);
    let shkeeper = Shkeeper::new(&settings).expect("a client").expect("it is on");
    assert!(!shkeeper.pays_out());
    refused(shkeeper.payout(&usdt(), &order("p1")).await, "SHKEEPER_USER");
    refused(shkeeper.task(&usdt(), "t1").await, "SHKEEPER_USER");
    assert!(fake.payouts().is_empty());
}

#[tokio::test]
async fn a_payout_goes_from_its_task_to_its_confirmation() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    let unknown = shkeeper.payout_status(&usdt(), "p1").await;
    assert_eq!(unknown, Ok(PayoutState::Unknown));
    let started = shkeeper.payout(&usdt(), &order("p1")).await.expect("a payout");
    let task = started.task_id.expect("a task");
    let asked = fake.payouts().remove(0);
    assert_eq!((asked.crypto.as_str(), asked.external_id.as_str()), ("ETH-USDT", "p1"));
    assert_eq!((asked.amount.as_str(), asked.fee.as_str()), ("12.5", "0"));
    assert_eq!((asked.destination.as_str(), asked.callback_url.as_str()), ("0x6f2F", PAYOUTS));
    assert_eq!(shkeeper.task(&usdt(), &task).await, Ok(TaskState::Pending));
    assert_eq!(shkeeper.payout_status(&usdt(), "p1").await, Ok(PayoutState::InProgress));
    assert!(fake.finish_payout("p1", Outcome::Sent).is_none());
    let sent = TaskState::Success { txids: vec!["0xfeed14".to_owned()] };
    assert_eq!(shkeeper.task(&usdt(), &task).await, Ok(sent.clone()));
    assert_eq!(shkeeper.payout_status(&usdt(), "p1").await, Ok(PayoutState::InProgress));
    assert!(fake.finish_payout("p1", Outcome::Success).is_some());
    assert_eq!(shkeeper.task(&usdt(), &task).await, Ok(sent));
    let success = PayoutState::Success { txid: Some("0xfeed14".to_owned()) };
    assert_eq!(shkeeper.payout_status(&usdt(), "p1").await, Ok(success));
}

#[tokio::test]
async fn a_payout_that_failed_says_so_in_its_task() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    for (name, outcome, reason, state) in [
        ("p1", Outcome::Fail, "Not enough ETH", PayoutState::Fail),
        ("p2", Outcome::NotDelivered, "the transfer failed", PayoutState::InProgress),
    ] {
        let started = shkeeper.payout(&usdt(), &order(name)).await.expect("a payout");
        assert!(fake.finish_payout(name, outcome).is_none(), "failures are not told");
        let task = shkeeper.task(&usdt(), &started.task_id.expect("a task")).await;
        let Ok(TaskState::Failure { reason: said }) = &task else { panic!("{task:?}") };
        assert!(said.contains(reason), "{said}");
        assert_eq!(shkeeper.payout_status(&usdt(), name).await, Ok(state));
    }
}

#[tokio::test]
async fn a_wallet_that_sends_at_once_has_no_task() {
    let fake = Fake::start().await;
    let started = client(&fake).payout(&coin("LTC"), &order("p1")).await;
    let expected = StartedPayout { task_id: None, txids: vec!["0xfeed14".to_owned()] };
    assert_eq!(started, Ok(expected));
}

#[tokio::test]
async fn a_payout_without_an_answer_is_unclear_and_found_by_its_name() {
    let fake = Fake::start().await;
    let shkeeper = hasty(&fake);
    for (name, fault) in [
        ("p1", Fault::Drop { done: true }),
        ("p2", Fault::Answer500 { done: true }),
        ("p3", Fault::Hang { done: true }),
    ] {
        fake.fail_next(Endpoint::Payout, fault);
        unclear(&shkeeper.payout(&usdt(), &order(name)).await);
        let found = shkeeper.payout_status(&usdt(), name).await;
        assert_eq!(found, Ok(PayoutState::InProgress), "{fault:?}");
    }
    for (name, fault) in [
        ("p4", Fault::Drop { done: false }),
        ("p5", Fault::Answer500 { done: false }),
        ("p6", Fault::Hang { done: false }),
        ("p7", Fault::Page),
        ("p8", Fault::Flood),
    ] {
        fake.fail_next(Endpoint::Payout, fault);
        unclear(&shkeeper.payout(&usdt(), &order(name)).await);
        let found = shkeeper.payout_status(&usdt(), name).await;
        assert_eq!(found, Ok(PayoutState::Unknown), "{fault:?}");
    }
    let calls = fake.payouts();
    assert_eq!(
        calls.iter().map(|call| call.paid).collect::<Vec<_>>(),
        [true, true, true, false, false, false, false, false]
    );
    let names: HashSet<_> = calls.iter().map(|call| call.external_id.as_str()).collect();
    assert_eq!(names.len(), calls.len(), "nothing is sent again by itself");
}

#[tokio::test]
async fn a_second_payout_of_the_same_name_is_not_paid_and_not_refused_for_sure() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    shkeeper.payout(&usdt(), &order("p1")).await.expect("a payout");
    let again = shkeeper.payout(&usdt(), &order("p1")).await;
    assert!(again.as_ref().is_err_and(|error| error.to_string().contains("already exists")));
    unclear(&again);
    assert_eq!(fake.payouts().iter().filter(|call| call.paid).count(), 1);
    refused(shkeeper.payout(&usdt(), &order("")).await, "a name");
    assert_eq!(fake.payouts().len(), 2);
}

#[tokio::test]
async fn questions_that_fail_say_nothing_of_the_payout() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    fake.fail_next(Endpoint::Task, Fault::Error);
    refused(shkeeper.task(&usdt(), "t1").await, "it did not work");
    fake.fail_next(Endpoint::Task, Fault::Answer500 { done: false });
    unclear(&shkeeper.task(&usdt(), "t1").await);
    fake.fail_next(Endpoint::PayoutStatus, Fault::Page);
    unclear(&shkeeper.payout_status(&usdt(), "p1").await);
    refused(shkeeper.payout_status(&usdt(), "").await, "external_id is required");
}

#[tokio::test]
async fn names_cannot_leave_their_place_in_the_path() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    for name in ["", ".", ".."] {
        refused(shkeeper.task(&usdt(), name).await, "nothing of that name");
    }
    for name in ["../payout/status?external_id=p1", "a/b", "a%2Fb", "a#b", "ä b"] {
        assert_eq!(shkeeper.task(&usdt(), name).await, Ok(TaskState::Pending), "{name}");
    }
    let named = order("p 1&external_id=p2#ä");
    shkeeper.payout(&usdt(), &named).await.expect("a payout");
    let found = shkeeper.payout_status(&usdt(), &named.external_id).await;
    assert_eq!(found, Ok(PayoutState::InProgress));
}

#[tokio::test]
async fn a_server_that_is_away_was_surely_not_asked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut settings = Fake::start().await.settings();
    settings.url = Some(format!("http://{address}"));
    let shkeeper = Shkeeper::new(&settings).expect("a client").expect("it is on");
    let payout = shkeeper.payout(&usdt(), &order("p1")).await;
    assert!(matches!(payout, Err(ProviderError::Unreachable(_))), "{payout:?}");
    assert!(!format!("{payout:?}").contains(PASSWORD));
}

#[tokio::test]
async fn an_answer_from_who_is_not_shkeeper_says_nothing_of_payouts() {
    let (_, address) = Receiver::start(&[]).await;
    let mut settings = Fake::start().await.settings();
    settings.url = Some(format!("http://{address}/proxy"));
    let shkeeper = Shkeeper::new(&settings).expect("a client").expect("it is on");
    unclear(&shkeeper.payout(&usdt(), &order("p1")).await);
    refused(shkeeper.payout_status(&usdt(), "p1").await, "405");
}

#[tokio::test]
async fn a_status_tells_what_was_surely_not_done() {
    let statuses = [302, 400, 403, 404, 429, 408, 500, 502, 503, 504, 204];
    let (receiver, address) = Receiver::start(&statuses).await;
    let mut settings = Fake::start().await.settings();
    settings.url = Some(format!("http://{address}"));
    let shkeeper = Shkeeper::new(&settings).expect("a client").expect("it is on");
    for status in statuses {
        let outcome = shkeeper.payout(&usdt(), &order("p1")).await;
        if [302, 400, 403, 404, 429].contains(&status) {
            refused(outcome, &status.to_string());
        } else {
            unclear(&outcome);
        }
    }
    assert_eq!(receiver.taken().len(), statuses.len(), "each is sent once");
}

#[tokio::test]
async fn payments_are_told_with_a_signature_and_their_balance() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    shkeeper.payment_request(&usdt(), &price("147", "18.25")).await.expect("an invoice");
    let now = || Clock::system().now();
    for (paid, txid, balance, status) in [
        ("10", "0xa", "10", InvoiceStatus::Partial),
        ("8.25", "0xb", "18.25", InvoiceStatus::Paid),
        ("1.7500000001", "0xc", "20.0000000001", InvoiceStatus::Overpaid),
    ] {
        let delivery = fake.pay("147", paid, txid);
        assert_eq!(shkeeper.verify(&delivery.headers, &delivery.body, now()), Ok(()));
        let invoice = invoice_of(&delivery);
        assert_eq!((invoice.status, invoice.paid), (status, status.is_paid()));
        assert_eq!(invoice.balance_fiat, amount(balance));
        let trigger = invoice.trigger().expect("a cause");
        assert_eq!((trigger.txid.as_str(), trigger.amount_fiat), (txid, amount(paid)));
    }
    let again = fake.again("147", "0xa");
    assert_eq!(invoice_of(&again).balance_fiat, amount("20.0000000001"), "the state of now");
    let seen = fake.unconfirmed("147", "0.0025", "0xd");
    assert_eq!(shkeeper.verify(&seen.headers, &seen.body, now()), Ok(()));
    let key = parse_invoice(&seen.body).expect("a callback").dedupe_key();
    assert_eq!(key, "unconfirmed|ETH-USDT|147|0xd");
    let text = String::from_utf8(again.body.clone()).expect("text");
    assert!(text.starts_with(r#"{"addr":"0x"#) && !text.contains(": "), "{text}");
}

#[tokio::test]
async fn a_payouts_success_is_told_without_the_api_key() {
    let fake = Fake::start().await;
    let shkeeper = client(&fake);
    shkeeper.payout(&usdt(), &order("p1")).await.expect("a payout");
    let delivery = fake.finish_payout("p1", Outcome::Success).expect("a callback");
    assert!(!delivery.headers.contains_key("x-shkeeper-api-key"));
    assert_eq!(delivery.url, PAYOUTS);
    let now = Clock::system().now();
    assert_eq!(shkeeper.verify(&delivery.headers, &delivery.body, now), Ok(()));
    assert_eq!(delivery.json()["amount"], "12.5000000000");
    let told = parse_payout(&delivery.body).expect("a callback");
    assert_eq!((told.external_id.as_deref(), told.amount), (Some("p1"), amount("12.5")));
    assert_eq!((told.tx_hash.as_str(), told.dedupe_key().as_str()), ("0xfeed14", "payout|14|p1"));
}

#[tokio::test]
async fn what_is_not_signed_by_it_now_is_not_believed() {
    let clock = Clock::manual(Timestamp::from_millis(1_719_330_338_000));
    let fake = Fake::with_clock(clock.clone()).await;
    let shkeeper = client(&fake);
    shkeeper.payment_request(&usdt(), &price("147", "18.25")).await.expect("an invoice");
    let delivery = fake.pay("147", "18.25", "0xa");
    let verify = |shkeeper: &Shkeeper, delivery: &Delivery| {
        shkeeper.verify(&delivery.headers, &delivery.body, clock.now())
    };
    assert_eq!(verify(&shkeeper, &delivery), Ok(()));
    let mut forged = delivery.clone();
    forged.body = String::from_utf8(forged.body).expect("text").replace("18.25", "99").into();
    assert_eq!(verify(&shkeeper, &forged), Err(SignatureError::Mismatch));
    let legacy = delivery.clone().legacy();
    assert_eq!(verify(&shkeeper, &legacy), Err(SignatureError::Missing));
    let mut settings = fake.settings();
    settings.webhooks = WebhookMode::Legacy;
    let trusting = Shkeeper::new(&settings).expect("a client").expect("it is on");
    assert_eq!(verify(&trusting, &legacy), Ok(()));
    let other = legacy.header("x-shkeeper-api-key", "another");
    assert_eq!(verify(&trusting, &other), Err(SignatureError::Mismatch));
    clock.advance(Duration::from_secs(301));
    assert_eq!(verify(&shkeeper, &delivery), Err(SignatureError::Expired));
    assert_eq!(verify(&shkeeper, &fake.again("147", "0xa")), Ok(()));
}

#[tokio::test]
async fn callbacks_come_until_they_are_accepted() {
    let fake = Fake::start().await;
    let (receiver, address) = Receiver::start(&[500, 204, 200]).await;
    fake.resolve(PUBLIC_URL, address);
    let shkeeper = client(&fake);
    shkeeper.payment_request(&usdt(), &price("147", "18.25")).await.expect("an invoice");
    assert_eq!(fake.deliver(&fake.pay("147", "10", "0xa")).await, 500);
    fake.pay("147", "8.25", "0xb");
    assert_eq!(fake.retry("147", "0xa", 5).await, [204, 200, 202]);
    let taken = receiver.taken();
    let bodies: Vec<Value> =
        taken.iter().map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect();
    let states: Vec<_> = bodies.iter().map(|body| body["status"].as_str()).collect();
    assert_eq!(states, [Some("PARTIAL"), Some("PAID"), Some("PAID"), Some("PAID")]);
    let now = Clock::system().now();
    assert!(taken.iter().all(|(headers, body)| shkeeper.verify(headers, body, now).is_ok()));
    let url = format!("{PUBLIC_URL}/else");
    let mut headers = HeaderMap::new();
    headers.insert("x-shkeeper-api-key", API_KEY.parse().expect("a header"));
    assert_eq!(fake.deliver_raw(&url, headers, b"{".to_vec()).await, 202);
}

#[tokio::test]
async fn the_coins_are_listed_without_a_key() {
    let fake = Fake::start().await;
    let url = format!("{}/api/v1/crypto", fake.url());
    let answer = within("the coins", http_client().get(url).send()).await.expect("an answer");
    let list: Value = answer.json().await.expect("JSON");
    assert_eq!(list["crypto_list"][1]["name"], "ETH-USDT");
}
