//! Money that waits for an operator: what is in the lists, and what takes it out of them.

use serde_json::json;

use super::{confirm, escrow};
use crate::support::{
    Person, TestApp,
    market::id_of,
    shkeeper::{Fake, PUBLIC_URL},
};

const UNAPPLIED: &str = "/api/payments/unsettled";
const PARTIAL: &str = "/api/payments/unsettled?kind=partial";
const PAYOUTS: &str = "/api/payouts/unsettled";

/// The ids of a list.
async fn listed(app: &TestApp, path: &str) -> Vec<String> {
    app.get(path).await.ok()["items"].as_array().expect("items").iter().map(id_of).collect()
}

/// The ids of a list, page by page.
async fn paged(app: &TestApp, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut next) = (Vec::new(), path.to_owned());
    loop {
        assert!(pages.len() < 10, "there is no end");
        let page = app.get(&next).await.ok();
        pages.push(page["items"].as_array().expect("items").iter().map(id_of).collect());
        let Some(cursor) = page["nextCursor"].as_str() else { return pages };
        next = format!("{path}&cursor={cursor}");
    }
}

/// A payment whose request was called off before its money came.
async fn paid_too_late(app: &TestApp, buyer: &Person, seller: &Person, tx: &str) -> String {
    let request = buyer.buys_from(seller).await;
    let payment = buyer.pay(&request).await;
    buyer
        .post(
            &format!("/api/marketplace/requests/{request}/cancel"),
            json!({ "reason": "Too late" }),
        )
        .await
        .ok();
    confirm(app, &payment, tx).await.ok();
    payment
}

#[tokio::test]
async fn what_pays_nothing_waits_until_it_went_back_or_on() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let applied = ann.pay(&ann.buys_from(&sam).await).await;
    confirm(&app, &applied, "0x1").await.ok();
    assert_eq!(listed(&app, UNAPPLIED).await, [""; 0]);
    let mut late = Vec::new();
    for tx in ["0x2", "0x3", "0x4"] {
        late.push(paid_too_late(&app, &ann, &sam, tx).await);
    }
    assert_eq!(listed(&app, UNAPPLIED).await, late, "the oldest first");
    assert_eq!(listed(&app, "/api/payments/unsettled?kind=unapplied").await, late);
    assert_eq!(listed(&app, PARTIAL).await, [""; 0]);

    assert_eq!(paged(&app, &format!("{UNAPPLIED}?limit=2")).await, [&late[..2], &late[2..]]);

    escrow(&app, &late[0], "held").await.ok();
    assert_eq!(listed(&app, UNAPPLIED).await, late, "it still lies here");
    escrow(&app, &late[0], "refunded").await.ok();
    escrow(&app, &late[1], "released").await.ok();
    assert_eq!(listed(&app, UNAPPLIED).await, late[2..]);
}

#[tokio::test]
async fn a_part_waits_until_the_rest_is_here() {
    let fake = Fake::start().await;
    let app = TestApp::with(|config| fake.configure(config)).await;
    fake.resolve(PUBLIC_URL, app.address());
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let mut parts = Vec::new();
    for tx in ["0x1", "0x2"] {
        let request = ann.buys_from(&sam).await;
        let pay = json!({ "requestId": request, "provider": "shkeeper" });
        let payment = id_of(&ann.post("/api/payments", pay).await.ok());
        assert_eq!(listed(&app, PARTIAL).await, parts, "nothing came");
        assert_eq!(fake.deliver(&fake.pay(&payment, "20", tx)).await, 202);
        parts.push(payment);
    }
    assert_eq!(listed(&app, PARTIAL).await, parts);
    assert_eq!(paged(&app, &format!("{PARTIAL}&limit=1")).await, [&parts[..1], &parts[1..]]);
    assert_eq!(fake.deliver(&fake.pay(&parts[0], "15.5", "0x3")).await, 202);
    assert_eq!(listed(&app, PARTIAL).await, parts[1..]);
    confirm(&app, &parts[1], "0x4").await.ok();
    assert_eq!(listed(&app, PARTIAL).await, [""; 0]);
}

/// A payout, to sam.
async fn pay_out(app: &TestApp, payment: Option<&str>) -> String {
    let payout = json!({ "sellerId": "sam", "paymentId": payment, "amount": "35.50", "currency": "USD",
        "destination": "0x6f2F", "provider": "decentralized" });
    id_of(&app.post("/api/payouts", payout).await.ok())
}

async fn ends(app: &TestApp, payout: &str, status: &str) {
    let root = app.person_as("root", &["service"]);
    root.patch(&format!("/api/payouts/{payout}"), json!({ "status": status })).await.ok();
}

#[tokio::test]
async fn a_payout_needs_a_look_when_it_waits_or_failed() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let payment = ann.pay(&ann.buys_from(&sam).await).await;
    confirm(&app, &payment, "0x1").await.ok();
    let first = pay_out(&app, Some(&payment)).await;
    assert_eq!(listed(&app, PAYOUTS).await, [""; 0], "it was begun just now");
    app.execute("UPDATE payouts SET created_at = created_at - 3540000").await;
    assert_eq!(listed(&app, PAYOUTS).await, [""; 0], "it was begun within the hour");
    app.execute("UPDATE payouts SET created_at = created_at - 60001").await;
    assert_eq!(listed(&app, PAYOUTS).await, [first.as_str()]);
    ends(&app, &first, "failed").await;
    assert_eq!(listed(&app, PAYOUTS).await, [first.as_str()], "its payment is to be paid out");

    let second = pay_out(&app, Some(&payment)).await;
    assert_eq!(listed(&app, PAYOUTS).await, [""; 0], "another is under way");
    ends(&app, &second, "failed").await;
    assert_eq!(listed(&app, PAYOUTS).await, [second.as_str()], "the last one alone");
    let third = pay_out(&app, Some(&payment)).await;
    ends(&app, &third, "completed").await;
    assert_eq!(listed(&app, PAYOUTS).await, [""; 0]);

    // Of no payment: that it failed is all there is to know.
    let bare = pay_out(&app, None).await;
    app.execute("UPDATE payouts SET reason = 'who knows' WHERE status = 'pending'").await;
    assert_eq!(listed(&app, PAYOUTS).await, [bare.as_str()], "something is not clear");
    ends(&app, &bare, "failed").await;
    assert_eq!(listed(&app, PAYOUTS).await, [""; 0]);
}

#[tokio::test]
async fn what_went_back_is_not_to_be_paid_out_any_more() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let payment = ann.pay(&ann.buys_from(&sam).await).await;
    confirm(&app, &payment, "0x1").await.ok();
    let payout = pay_out(&app, Some(&payment)).await;
    ends(&app, &payout, "failed").await;
    assert_eq!(listed(&app, PAYOUTS).await, [payout.as_str()]);
    escrow(&app, &payment, "held").await.ok();
    assert_eq!(listed(&app, PAYOUTS).await, [payout.as_str()], "the money lies here");
    escrow(&app, &payment, "refunded").await.ok();
    assert_eq!(listed(&app, PAYOUTS).await, [""; 0]);
}

#[tokio::test]
async fn payouts_that_wait_are_told_the_oldest_first_page_by_page() {
    let app = TestApp::start().await;
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.push(pay_out(&app, None).await);
    }
    app.execute("UPDATE payouts SET reason = 'who knows'").await;
    assert_eq!(listed(&app, PAYOUTS).await, begun);
    assert_eq!(paged(&app, &format!("{PAYOUTS}?limit=2")).await, [&begun[..2], &begun[2..]]);
}

#[tokio::test]
async fn operators_alone_see_what_waits() {
    let app = TestApp::start().await;
    for path in [UNAPPLIED, PARTIAL, PAYOUTS] {
        assert_eq!(app.seller("sam").get(path).await.problem(403), "forbidden");
        app.admin().get(path).await.ok();
    }
    let other = app.get("/api/payments/unsettled?kind=lost").await;
    assert_eq!(other.problem(422), "invalid_payload");
}
