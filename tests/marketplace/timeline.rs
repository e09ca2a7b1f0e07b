//! A sale as a whole, as operators look at it.

use serde_json::{Value, json};

use crate::support::{TestApp, market::id_of};

async fn timeline(app: &TestApp, request: &str) -> Value {
    app.get(&format!("/api/marketplace/requests/{request}/timeline")).await.ok()
}

fn steps(timeline: &Value) -> &Vec<Value> {
    timeline["steps"].as_array().expect("steps")
}

fn step<'a>(timeline: &'a Value, kind: &str) -> &'a Value {
    steps(timeline)
        .iter()
        .find(|step| step["kind"] == kind)
        .unwrap_or_else(|| panic!("{kind}: {timeline}"))
}

/// The events of a step, each with whom it was for.
fn told(step: &Value) -> Vec<(&str, Value)> {
    let events = step["events"].as_array().expect("events").iter();
    events.map(|event| (event["event"].as_str().expect("a name"), event["to"].clone())).collect()
}

#[tokio::test]
async fn a_sale_is_told_from_its_beginning_to_its_end() {
    let app = TestApp::start().await;
    let (ann, sam, zoe) = (app.buyer("ann"), app.seller("sam"), app.seller("zoe"));
    // What came before is of another sale.
    let conversation = ann.talk_to("sam").await;
    let early = ann.say(&conversation, "Is the other one here?").await;
    let before = ann.buys_from(&sam).await;
    let request = ann.request().await;
    let other = zoe.offer(&request, "39").await;
    let offer = sam.offer(&request, "35.50").await;
    ann.accept(&offer).await;
    let message = ann.say(&conversation, "When is it here?").await;
    let payment = ann.pay(&request).await;
    let path = |of: &str| format!("/api/payments/{payment}/{of}");
    app.post(&path("confirm"), json!({ "txHash": "0x1" })).await.ok();
    let payout = json!({ "sellerId": "sam", "paymentId": payment, "amount": "35.50", "currency": "USD",
        "destination": "0x6f2F", "provider": "decentralized" });
    let payout = id_of(&app.post("/api/payouts", payout).await.ok());
    // Another sale of the same two.
    let another = ann.buys_from(&sam).await;
    ann.pay(&another).await;

    let known = timeline(&app, &request).await;
    let kinds: Vec<_> =
        steps(&known).iter().map(|step| step["kind"].as_str().expect("a kind")).collect();
    for kind in [
        "requested",
        "offered",
        "offer_accepted",
        "message",
        "payment_created",
        "payment_confirmed",
        "payout_created",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    for kind in ["completed", "cancelled", "delivered", "buyer_confirmed"] {
        assert!(!kinds.contains(&kind), "it goes on: {kinds:?}");
    }
    let times: Vec<_> =
        steps(&known).iter().map(|step| step["at"].as_str().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(
        (&known["request"]["id"], &known["conversationId"]),
        (&json!(request), &json!(conversation))
    );
    assert_eq!(known["partial"], false);
    assert!(!known.to_string().contains("When is it here?"), "their words are theirs");
    for other in [&before, &another, &early] {
        assert!(!known.to_string().contains(other), "{known}");
    }
    let offered = |by: &str| -> Vec<_> {
        let all = steps(&known).iter().filter(|step| step["kind"] == "offered");
        all.filter(|step| step["by"] == by).map(|step| [&step["about"], &step["detail"]]).collect()
    };
    assert_eq!(offered("zoe"), [[&json!(other), &json!("39 USD")]]);
    assert_eq!(offered("sam"), [[&json!(offer), &json!("35.5 USD")]]);
    assert_eq!(step(&known, "offer_accepted")["by"], "ann");
    assert_eq!(step(&known, "message")["by"], "ann");
    let [other, offer, message, payout] = [other, offer, message, payout].map(|id| json!(id));
    for about in [other, offer, message, payout] {
        assert!(steps(&known).iter().any(|step| step["about"] == about), "{about}: {known}");
    }

    // Who was told: as it was addressed, with its number in each stream that keeps it.
    assert_eq!(told(step(&known, "requested")), [("new-purchase-request", json!(["sellers"]))]);
    let said = step(&known, "message")["events"].as_array().expect("events");
    let said = said.iter().find(|event| event["event"] == "message:new").expect("a message");
    assert_eq!(said["except"], json!(["user-ann"]), "not whoever wrote it");
    let all: Vec<_> = steps(&known).iter().flat_map(told).collect();
    let begun = all.iter().filter(|(event, _)| *event == "new-purchase-request").count();
    assert_eq!(begun, 1, "of this sale alone: {all:?}");
    assert!(all.contains(&("new-offer", json!(["buyer-ann"]))), "{all:?}");
    assert!(all.contains(&("payment-received", json!(["user-sam"]))), "{all:?}");
    let mut events =
        steps(&known).iter().flat_map(|step| step["events"].as_array().expect("events"));
    let update = events.rfind(|event| event["event"] == "payment-update").expect("an update");
    assert_eq!(update["to"], json!(["everyone"]));
    let mut streams: Vec<_> = update["numbers"]
        .as_array()
        .expect("numbers")
        .iter()
        .map(|number| number["stream"].as_str().expect("a stream"))
        .collect();
    streams.sort_unstable();
    assert_eq!(streams, ["global", &format!("request/{request}"), "user/ann", "user/sam"]);
}

#[tokio::test]
async fn where_participants_alone_hear_it_the_timeline_says_so() {
    let participants = |config: &mut stoa::config::Config| {
        config.realtime.event_audience = stoa::config::EventAudience::Participants;
    };
    let app = TestApp::with(participants).await;
    let request = app.buyer("ann").buys_from(&app.seller("sam")).await;
    app.buyer("ann").pay(&request).await;
    let known = timeline(&app, &request).await;
    let created =
        steps(&known).iter().flat_map(told).find(|(event, _)| *event == "payment-created");
    assert_eq!(created, Some(("payment-created", json!(["user-ann", "user-sam", "admins"]))));
}

#[tokio::test]
async fn what_is_too_old_to_be_kept_leaves_the_steps() {
    let app = TestApp::start().await;
    let request = app.buyer("ann").buys_from(&app.seller("sam")).await;
    app.execute("DELETE FROM events").await;
    app.execute("DELETE FROM shared_events").await;
    let known = timeline(&app, &request).await;
    assert!(steps(&known).iter().all(|step| step["events"] == json!([])), "{known}");
    assert_eq!(step(&known, "offer_accepted")["by"], "ann");
}

#[tokio::test]
async fn operators_alone_see_a_sale_as_a_whole() {
    let app = TestApp::start().await;
    let ann = app.buyer("ann");
    let request = ann.request().await;
    let path = format!("/api/marketplace/requests/{request}/timeline");
    assert_eq!(ann.get(&path).await.problem(403), "forbidden");
    app.admin().get(&path).await.ok();
    let unknown = app.get("/api/marketplace/requests/r-1/timeline").await;
    assert_eq!(unknown.problem(404), "not_found");
}

#[tokio::test]
async fn a_sale_that_was_called_off_says_why() {
    let app = TestApp::start().await;
    let ann = app.buyer("ann");
    let request = ann.request().await;
    let path = format!("/api/marketplace/requests/{request}/cancel");
    ann.post(&path, json!({ "reason": "Found one" })).await.ok();
    let known = timeline(&app, &request).await;
    let end = step(&known, "cancelled");
    assert_eq!((&end["by"], &end["detail"]), (&json!("ann"), &json!("Found one")));
}

#[tokio::test]
async fn of_more_sellers_than_are_looked_at_it_says_that_there_may_be_more() {
    let app = TestApp::start().await;
    let request = app.buyer("ann").request().await;
    for seller in 1..=21 {
        assert_eq!(timeline(&app, &request).await["partial"], false, "before {seller}");
        app.seller(&format!("seller{seller}")).offer(&request, "30").await;
    }
    assert_eq!(timeline(&app, &request).await["partial"], true);
}
