//! A SHKeeper server for tests, with the oddities of the real one: errors that come as 200, a key
//! here and a user there, callbacks that come until they are answered with 202. Its wallets send
//! what the test says, when it says so.

mod book;
mod delivery;
mod server;

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use rust_decimal::Decimal;
use tokio::sync::Notify;

use stoa::{
    clock::Clock,
    config::{Config, ShkeeperConfig},
};

use book::Book;
pub use book::{Invoice, PayoutCall};
pub use delivery::Delivery;

use super::http_client;

/// Its API key, which signs its callbacks too.
pub const API_KEY: &str = "nApijGv8djih7ozY";
/// Who may pay out, and the password.
pub const USER: &str = "admin";
pub const PASSWORD: &str = "shkeeper-password";
/// What [`Fake::configure`] says of where callbacks go; see [`Fake::resolve`].
pub const PUBLIC_URL: &str = "https://stoa.example.com";

/// A running server. Clones speak of the same one.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    clock: Clock,
    http: reqwest::Client,
    book: Mutex<Book>,
    faults: Mutex<VecDeque<(Endpoint, Fault)>>,
    names: Mutex<Vec<(String, SocketAddr)>>,
    hanging: Notify,
}

/// What can be asked of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Endpoint {
    PaymentRequest,
    Payout,
    Task,
    PayoutStatus,
}

/// What happens to a call, once.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// 200 with an error and its traceback; nothing is done.
    Error,
    /// 200 with a page that is no JSON; nothing is done.
    Page,
    /// 200 with more than anyone would read; nothing is done.
    Flood,
    /// 500, after it was done or before.
    Answer500 { done: bool },
    /// The connection ends without an answer, after it was done or before.
    Drop { done: bool },
    /// No answer ever, after it was done or before.
    Hang { done: bool },
}

/// What becomes of a payout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The task has sent it; its chain has not confirmed it.
    Sent,
    /// Sent and confirmed: the only one that is told by a callback.
    Success,
    /// The task failed.
    Fail,
    /// The task ended well, and says that the transfer failed. The payout stays in progress.
    NotDelivered,
}

impl Fake {
    /// A server on a free port.
    pub async fn start() -> Self {
        Self::with_clock(Clock::system()).await
    }

    /// A server whose time the test sets.
    pub async fn with_clock(clock: Clock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let fake = Self(Arc::new(Inner {
            address: listener.local_addr().expect("an address"),
            clock,
            http: http_client(),
            book: Mutex::default(),
            faults: Mutex::default(),
            names: Mutex::default(),
            hanging: Notify::new(),
        }));
        tokio::spawn(server::run(listener, fake.clone()));
        fake
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// The settings that go with it.
    pub fn settings(&self) -> ShkeeperConfig {
        let mut config = Config::for_tests();
        self.configure(&mut config);
        config.shkeeper
    }

    /// Makes it the payment provider of a server, which is at [`PUBLIC_URL`].
    pub fn configure(&self, config: &mut Config) {
        config.server.public_url = Some(PUBLIC_URL.to_owned());
        config.shkeeper.url = Some(self.url());
        config.shkeeper.api_key = Some(API_KEY.into());
        config.shkeeper.user = Some(USER.to_owned());
        config.shkeeper.password = Some(PASSWORD.into());
    }

    /// Sends callbacks for URLs that begin with `base` to this address, as a proxy would.
    pub fn resolve(&self, base: &str, address: SocketAddr) {
        self.0.names.lock().push((base.to_owned(), address));
    }

    /// Spoils the next call of that kind. Faults of one kind come in their order.
    pub fn fail_next(&self, endpoint: Endpoint, fault: Fault) {
        self.0.faults.lock().push_back((endpoint, fault));
    }

    /// Waits until a call hangs.
    pub async fn until_hanging(&self) {
        super::within("a call that hangs", self.0.hanging.notified()).await;
    }

    /// The invoice that was asked for last under this name.
    pub fn invoice(&self, external_id: &str) -> Option<Invoice> {
        self.book().invoice(external_id).cloned()
    }

    /// How many invoices there are.
    pub fn invoices(&self) -> usize {
        self.book().invoices.len()
    }

    /// Every payout that was asked for, also those that were refused, in their order.
    pub fn payouts(&self) -> Vec<PayoutCall> {
        self.book().calls.clone()
    }

    /// Somebody pays that much, in the currency of the price, to the invoice's address. Gives the
    /// callback, which is not delivered yet.
    pub fn pay(&self, external_id: &str, amount_fiat: &str, txid: &str) -> Delivery {
        let amount: Decimal = amount_fiat.parse().expect("an amount");
        self.book().pay(external_id, amount, txid, self.0.clock.now());
        self.again(external_id, txid)
    }

    /// The callback of that transaction once more, with the state and the time of now.
    pub fn again(&self, external_id: &str, txid: &str) -> Delivery {
        let (url, body) = self.book().invoice_callback(external_id, txid);
        Delivery::signed(url, body, self.0.clock.now()).with_key()
    }

    /// The callback of a transaction that no block holds yet.
    pub fn unconfirmed(&self, external_id: &str, amount_crypto: &str, txid: &str) -> Delivery {
        let (url, body) = self.book().unconfirmed_callback(external_id, amount_crypto, txid);
        Delivery::signed(url, body, self.0.clock.now()).with_key()
    }

    /// Decides what becomes of a payout; gives the callback of a success.
    pub fn finish_payout(&self, external_id: &str, outcome: Outcome) -> Option<Delivery> {
        let (url, body) = self.book().finish_payout(external_id, outcome)?;
        Some(Delivery::signed(url, body, self.0.clock.now()))
    }

    /// The callback of a payout that is through, while whoever asks for it hears that it is not.
    pub fn early_callback(&self, external_id: &str) -> Option<Delivery> {
        let (url, body) = self.book().payout_callback(external_id)?;
        Some(Delivery::signed(url, body, self.0.clock.now()))
    }

    /// Posts a callback to its URL, once; gives the status.
    pub async fn deliver(&self, delivery: &Delivery) -> u16 {
        let Delivery { url, headers, body } = delivery.clone();
        self.deliver_raw(&url, headers, body).await
    }

    /// Posts that transaction's callback until it is answered with 202, each time anew, at most
    /// `tries` times; gives the statuses. The real one waits a minute between two.
    pub async fn retry(&self, external_id: &str, txid: &str, tries: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        while statuses.len() < tries && statuses.last() != Some(&202) {
            statuses.push(self.deliver(&self.again(external_id, txid)).await);
        }
        statuses
    }

    /// Posts anything to where that URL leads; gives the status.
    pub async fn deliver_raw(&self, url: &str, headers: http::HeaderMap, body: Vec<u8>) -> u16 {
        let url = self.resolved(url);
        let request = self.0.http.post(&url).headers(headers).body(body);
        let answer = super::within(&url, request.send()).await;
        answer.unwrap_or_else(|error| panic!("{url}: {error}")).status().as_u16()
    }

    fn resolved(&self, url: &str) -> String {
        let names = self.0.names.lock();
        let found = names.iter().rev().find_map(|(base, address)| {
            let path = url.strip_prefix(base)?;
            Some(format!("http://{address}{path}"))
        });
        found.unwrap_or_else(|| url.to_owned())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock()
    }

    fn fault(&self, endpoint: Endpoint) -> Option<Fault> {
        let mut faults = self.0.faults.lock();
        let index = faults.iter().position(|(at, _)| *at == endpoint)?;
        faults.remove(index).map(|(_, fault)| fault)
    }
}
