//! What anybody may send to the paths of callbacks, and what it costs this server.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{invoiced, payment, start};
use crate::support::{
    TestApp, raw,
    shkeeper::{Fake, PUBLIC_URL},
    within,
};

const PATHS: [&str; 2] =
    ["/api/webhooks/shkeeper/of-nobody", "/api/webhooks/shkeeper/of-nobody/payouts"];

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// The path of a payment's callbacks.
fn path_of(fake: &Fake, payment: &str) -> String {
    let url = fake.invoice(payment).expect("an invoice").callback_url;
    url.strip_prefix(PUBLIC_URL).expect("our URL").to_owned()
}

#[tokio::test]
async fn a_callback_for_nobody_is_refused_before_its_body_comes() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    for path in PATHS {
        assert_eq!(raw::status(app.address(), &head(path, 50_000)).await, 404, "{path}");
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"
        );
        assert_eq!(raw::status(app.address(), &chunked).await, 404, "{path}");
    }
    // Nor is one for a payout's path with a payment's token, and the other way round.
    let (id, _) = invoiced(&app).await;
    let path = format!("{}/payouts", path_of(&fake, &id));
    assert_eq!(raw::status(app.address(), &head(&path, 50_000)).await, 404);
}

#[tokio::test]
async fn a_callback_for_nobody_writes_nothing() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.database.url = None).await;
    let database = app.database();
    database.execute_batch("BEGIN IMMEDIATE").expect("the only writer");
    for path in PATHS {
        assert_eq!(raw::status(app.address(), &head(path, 2)).await, 404, "{path}");
    }
}

#[tokio::test]
async fn a_callback_is_small_and_comes_at_once() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| {
        config.server.open_body_bytes = 10_000;
        config.server.open_body_timeout = Duration::from_millis(200);
    })
    .await;
    let (id, _) = invoiced(&app).await;
    let path = path_of(&fake, &id);
    assert_eq!(raw::status(app.address(), &head(&path, 10_001)).await, 413);
    let chunk = "x".repeat(10_001);
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         2711\r\n{chunk}\r\n"
    );
    assert_eq!(raw::status(app.address(), &chunked).await, 413);
    assert_eq!(status_of_dripped(&app, &head(&path, 10_000)).await, 408);

    let paid = fake.pay(&id, "35.5", "0x1");
    assert_eq!(fake.deliver(&paid).await, 202);
    assert_eq!(payment(&app, &id).await["status"], "confirmed");
}

/// Sends a body byte by byte, until there is an answer.
async fn status_of_dripped(app: &TestApp, head: &str) -> u16 {
    let stream = TcpStream::connect(app.address()).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(head.as_bytes()).await.expect("bytes are taken");
    let drip = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if writer.write_all(b"{").await.is_err() {
                return;
            }
        }
    });
    let mut line = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(&mut reader, &mut line);
    within("an answer", read).await.expect("an answer");
    drip.abort();
    String::from_utf8_lossy(&line[9..]).parse().expect("a status")
}

#[tokio::test]
async fn an_old_server_s_long_list_of_transactions_is_taken() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (id, _) = invoiced(&app).await;
    for index in 0..300 {
        fake.pay(&id, "0.01", &format!("0x{index}"));
    }
    let last = fake.again(&id, "0x299");
    assert!(last.body.len() > 50_000, "{}", last.body.len());
    assert_eq!(fake.deliver(&last).await, 202);
    assert_eq!(payment(&app, &id).await["receivedAmount"], 3);
}
