//! Somebody is erased: nothing shows their words or names any more, and what others have goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    expect_end,
    export::export,
    life::{Life, TRACE, configure},
};
use crate::support::{Person, TestApp, app::API_KEY, eventually, market::id_of, within};

/// How many are still to be erased.
async fn waiting(app: &TestApp) -> i64 {
    app.count("SELECT COUNT(*) FROM erasures").await
}

pub(super) async fn until_erased(app: &TestApp) {
    let done = async || (waiting(app).await == 0).then_some(());
    within("everybody to be erased", eventually(done)).await;
}

async fn erase(app: &TestApp, user: &str) {
    let path = format!("/api/users/{user}");
    let answer = app.request(Method::DELETE, &path, Some(API_KEY), None).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (202, &Value::Null), "{answer:?}");
}

/// Which of a folder's files hold a text, in any case.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let has = |path: &Path| {
        let bytes = fs::read(path).expect("a file").to_ascii_lowercase();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let held = files.filter(|path| path.is_file() && has(path));
    held.map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn what_others_have_goes_on_without_their_words_and_names() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let bob = app.person_with("bob", json!({ "firstName": "Bob" }));
    let get = async |path: String| bob.get(&path).await.ok();
    let unread = get("/api/conversations".to_owned()).await;
    assert!(unread.to_string().contains(TRACE), "it was there");
    erase(&app, &life.person.id).await;
    until_erased(&app).await;

    let mut deleted = 0;
    for (conversation, messages) in life.conversations.iter().zip([2, 3]) {
        let found = get(format!("/api/conversations/{conversation}/messages")).await;
        let items = found["items"].as_array().expect("messages");
        assert_eq!(items.len(), messages);
        for message in items.iter().filter(|message| message["sender"]["id"] == life.person.id) {
            let nobody = json!({ "id": life.person.id, "firstName": null, "lastName": null });
            assert_eq!((&message["content"], &message["sender"]), (&json!(""), &nobody));
            assert_eq!((&message["attachments"], &message["metadata"]), (&json!([]), &json!({})));
            assert!(message["deletedAt"].is_string() && message["clientMessageId"].is_null());
            deleted += 1;
        }
        let people = get(format!("/api/conversations/{conversation}/participants")).await;
        let her = people["items"]
            .as_array()
            .expect("people")
            .iter()
            .find(|one| one["id"] == life.person.id);
        let her = her.expect("her place");
        assert_eq!((&her["firstName"], &her["lastReadMessageId"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(deleted, life.messages.len());
    let list = get("/api/conversations".to_owned()).await;
    assert!(!list.to_string().contains(TRACE), "{list}");
    let unread = list["items"].as_array().expect("a list").iter().map(|item| &item["unreadCount"]);
    assert_eq!(unread.collect::<Vec<_>>(), [&json!(0); 2]);
    let others =
        list["items"].as_array().unwrap().iter().find(|i| i["id"] == life.conversations[1]);
    assert_eq!(others.expect("bob's")["title"], "Bob's");

    let payment = app.get(&format!("/api/payments/{}", life.payment)).await.ok();
    assert_eq!((&payment["buyerId"], &payment["amount"]), (&json!(life.person.id), &json!(35.5)));
    let statuses = ["accepted", "cancelled", "cancelled"];
    for (request, status) in life.requests.iter().zip(statuses) {
        let request = app.get(&format!("/api/marketplace/requests/{request}")).await.ok();
        assert_eq!((&request["status"], &request["title"]), (&json!(status), &json!("")));
        assert_eq!((&request["description"], &request["cancelReason"]), (&json!(""), &Value::Null));
        assert_eq!(request["budget"]["amount"], 40.5);
    }
    let kinds = export(&app, &life.person.id).await;
    let kinds: Vec<_> = kinds.iter().map(|(kind, lines)| (kind.as_str(), lines.len())).collect();
    let left = [("conversation", 2), ("message", 4), ("offer", 1), ("payment", 1), ("request", 3)];
    assert_eq!(kinds, left);
    let offer = &export(&app, &life.person.id).await["offer"][0];
    assert_eq!((&offer["status"], &offer["message"]), (&json!("withdrawn"), &Value::Null));
    assert_eq!(app.get(&format!("/api/users/{}", life.person.id)).await.problem(404), "not_found");
    let points = get("/api/points/me".to_owned()).await;
    assert_eq!(points["points"], 20, "the referrer keeps them");
    let told = get("/api/notifications".to_owned()).await;
    let told = told["items"].as_array().expect("a list");
    assert!(told.iter().any(|one| one["title"] == "To all"), "{told:?}");
    // What was written in her words is gone; that her open request is called off is not.
    let told: Vec<_> = told.iter().map(|one| [&one["type"], &one["body"]]).collect();
    let gone = "(erased): The buyer's account was erased.";
    let offered = "8.00 USD for A chair";
    let kept = [["request-cancelled", gone], ["offer-received", offered], ["n", "b"]];
    assert_eq!(json!(told), json!(kept));
    let unread = get("/api/notifications/unread-count".to_owned()).await;
    assert_eq!(unread["unreadCount"], 3);
}

/// Has a seller send what the buyer bought from them; the request.
pub(super) async fn ship(app: &TestApp, buyer: &Person, seller: &Person, carrier: &str) -> String {
    let request = buyer.buys_from(seller).await;
    let payment = buyer.pay(&request).await;
    let paid = json!({ "txHash": format!("0x{request}") });
    app.post(&format!("/api/payments/{payment}/confirm"), paid).await.ok();
    let number = format!("{carrier}-7");
    let delivery = json!({ "status": "shipped", "carrier": carrier, "trackingNumber": number });
    seller.patch(&format!("/api/marketplace/requests/{request}/delivery"), delivery).await.ok();
    request
}

#[tokio::test]
async fn what_others_were_told_goes_when_any_of_it_was_theirs() {
    let app = TestApp::with(|config| {
        configure(config);
        config.notifications.causes.message_received.body = "{sender} in {title}".to_owned();
    })
    .await;
    let group = json!({ "participantIds": ["bob", "carl"], "title": TRACE, "type": "group" });
    let group = app.person("ann").post("/api/conversations", group).await.ok();
    let group = id_of(&group["conversation"]);
    app.person("bob").say(&group, "Hello").await;
    let (dan, ann) = (app.buyer("dan"), app.seller("ann"));
    let request = ship(&app, &dan, &ann, TRACE).await;
    let award = json!({ "userId": "ann", "points": 5, "reason": "r", "reference": TRACE });
    let award = async || {
        let headers = [("x-api-key", API_KEY), ("idempotency-key", "award")];
        app.post_with("/api/points/awards", &headers, &award).await.ok()
    };
    assert_eq!(award().await["reference"], TRACE);
    let told = async |user: &str| {
        let get = async |path: &str| app.person(user).get(path).await.ok();
        let unread = get("/api/notifications/unread-count").await["unreadCount"].clone();
        (unread, get("/api/notifications").await["items"].clone())
    };
    assert_eq!(told("carl").await.1[0]["body"], format!("bob in {TRACE}"));
    assert!(told("dan").await.1.to_string().contains(TRACE));
    let mut tab = app.user("carl").await;
    erase(&app, "ann").await;
    until_erased(&app).await;
    assert_eq!(tab.expect("unread-count-update").await, json!({ "unreadCount": 0 }));
    assert_eq!(told("carl").await, (json!(0), json!([])));
    let (unread, left) = told("dan").await;
    let kinds: Vec<_> = left.as_array().expect("a list").iter().map(|one| &one["type"]).collect();
    assert_eq!((unread, kinds), (json!(1), vec![&json!("offer-received")]));
    let request = dan.get(&format!("/api/marketplace/requests/{request}")).await.ok();
    let said = ["status", "carrier", "trackingNumber"].map(|part| &request["delivery"][part]);
    assert_eq!(said, [&Value::Null; 3]);
    assert_eq!(award().await["reference"], Value::Null);
    for text in [
        "COUNT(*) FROM events WHERE wire",
        "COUNT(*) FROM shared_events WHERE wire",
        "COUNT(*) FROM notification_contents WHERE title || body || data",
    ] {
        assert_eq!(app.count(&format!("SELECT {text} LIKE '%{TRACE}%'")).await, 0, "{text}");
    }
    // What comes now is news.
    tab.close().await;
    app.until_offline("carl", Duration::from_secs(10)).await;
    app.person("bob").say(&group, "Hello").await;
    assert_eq!(told("carl").await.1[0]["body"], "bob in ");
}

#[tokio::test]
async fn what_somebody_wrote_before_they_left_is_told_and_erased() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.person("ann"), app.person("bob"));
    let mut written = Vec::new();
    let mut conversations = Vec::new();
    // In the second they are when it ends, in the first they are not; they wrote nothing in the last.
    for stays in [[60, 0, 3].as_slice(), &[2, 55], &[]] {
        let body = json!({ "type": "group", "participantIds": ["ann"] });
        let group = bob.post("/api/conversations", body).await.ok();
        let id = group["conversation"]["id"].as_str().expect("an id");
        let path = format!("/api/conversations/{id}");
        for (stay, messages) in stays.iter().enumerate() {
            if stay > 0 {
                let leave = format!("{path}/participants/ann");
                ann.delete(&leave).await.ok();
                let body = json!({ "userIds": ["ann"] });
                let back = format!("{path}/participants");
                bob.post(&back, body).await.ok();
            }
            for number in 0..*messages {
                let path = format!("{path}/messages");
                let body = json!({ "content": format!("said {number}") });
                let sent = ann.post(&path, body).await.ok();
                written.push(sent["message"]["id"].as_str().expect("an id").to_owned());
            }
            let body = json!({ "content": "of another" });
            let path = format!("{path}/messages");
            bob.post(&path, body).await.ok();
        }
        conversations.push(path);
    }
    let leave = format!("{}/participants/ann", conversations[0]);
    ann.delete(&leave).await.ok();

    let lines = export(&app, "ann").await;
    let id = |line: &Value| line["id"].as_str().expect("an id").to_owned();
    let mut told: Vec<_> = lines["message"].iter().map(id).collect();
    told.sort();
    written.sort();
    assert_eq!(told, written);

    erase(&app, "ann").await;
    until_erased(&app).await;
    for path in &conversations {
        let path = format!("{path}/messages?limit=100");
        let found = bob.get(&path).await.ok();
        assert!(!found.to_string().contains("said"), "{found}");
    }
}

#[tokio::test]
async fn a_notification_that_its_user_deleted_leaves_no_words() {
    let app = TestApp::with(configure).await;
    let (dan, ann) = (app.buyer("dan"), app.seller("ann"));
    ship(&app, &dan, &ann, TRACE).await;
    let list = dan.get("/api/notifications").await.ok();
    let shipped = &list["items"][0];
    assert!(shipped.to_string().contains(TRACE));
    let path = format!("/api/notifications/{}", id_of(shipped));
    dan.delete(&path).await.ok();
    erase(&app, "ann").await;
    until_erased(&app).await;
    let kept = format!("SELECT COUNT(*) FROM events WHERE wire LIKE '%{TRACE}%'");
    assert_eq!(app.count(&kept).await, 0);
}

#[tokio::test]
async fn who_was_never_here_costs_no_look_at_what_is_kept() {
    let app = TestApp::with(configure).await;
    app.person("ann").talk_to("bob").await;
    // It can't be read.
    app.execute("UPDATE shared_events SET wire = '?'").await;
    for number in 0..60 {
        erase(&app, &format!("nobody-{number}")).await;
    }
    until_erased(&app).await;
}

#[tokio::test]
async fn many_are_erased_together() {
    let app = TestApp::with(configure).await;
    let people: Vec<_> = (0..5).map(|number| format!("{TRACE}-{number}")).collect();
    let ann = app.person("ann");
    let group = ann.group(&people).await;
    for user in &people {
        let named = json!({ "firstName": format!("Name of {user}") });
        app.person_with(user, named).say(&group, &format!("Words of {user}")).await;
    }
    let asked = people.iter().map(|user| format!("('{user}', 1)")).collect::<Vec<_>>().join(", ");
    app.execute(&format!("INSERT INTO erasures (user_id, asked_at) VALUES {asked}")).await;
    erase(&app, "nobody").await;
    until_erased(&app).await;
    for table in ["events", "shared_events"] {
        let sql = format!(
            "SELECT COUNT(*) FROM {table} WHERE wire LIKE '%Name of%' OR wire LIKE '%Words of%'"
        );
        assert_eq!(app.count(&sql).await, 0, "{table}");
    }
    let history = ann.get(&format!("/api/conversations/{group}/messages")).await.ok();
    let history = history["items"].to_string();
    assert!(!history.contains("Name of") && !history.contains("Words of"), "{history}");
}

#[tokio::test]
async fn who_comes_back_or_repeats_hears_nothing_of_them() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    erase(&app, &life.person.id).await;
    until_erased(&app).await;
    let mut bob =
        app.user_with("bob", &["buyer", "seller"], crate::support::Options::websocket()).await;
    for conversation in &life.conversations {
        let join = json!({ "conversationId": conversation, "since": 0 });
        assert_eq!(bob.emit_ack("conversation:join", join).await["recovered"], true);
    }
    for room in ["join-seller-room", "join-buyer-room"] {
        assert_eq!(bob.emit_ack(room, "bob").await["success"], true);
    }
    let back = bob.emit_ack("join-user-room", json!({ "userId": "bob", "since": 0 })).await;
    assert_eq!(back["recovered"], true, "{back}");
    for name in [
        "message:new",
        "message:edited",
        "conversation:created",
        "conversation:added",
        "conversation:participant:added",
        "new-offer",
        "request-cancelled",
        "seller-offer-update",
        "referral-signup",
        "new-notification",
    ] {
        let heard = bob.queued(name);
        assert!(!heard.is_empty(), "{name} is still heard");
        let heard = Value::from(heard).to_string();
        assert!(!heard.contains(TRACE), "{name}: {heard}");
    }
    let bob = app.person_with("bob", json!({ "firstName": "Bob" }));
    let path = format!("/api/conversations/{}/participants", life.conversations[1]);
    let again = bob.post_keyed(&path, "add", &json!({ "userId": life.person.id })).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(!again.body.to_string().contains(TRACE), "{again:?}");
}

#[tokio::test]
async fn a_file_holds_nothing_of_who_was_erased_and_a_restart_goes_on() {
    let app = TestApp::on_sqlite(configure).await;
    let life = Life::live(&app).await;
    for number in 0..300 {
        let long = format!("{TRACE} ").repeat(1 + number * number % 101);
        life.person.say(&life.conversations[number % 2], &long).await;
    }
    let user = life.person.id.clone();
    erase(&app, &user).await;
    // In the middle of it, most likely.
    let app = app.restart().await;
    until_erased(&app).await;
    // In no file of the running server, soon: neither in the database nor in its log.
    let folder = PathBuf::from(app.database().path().expect("a file"));
    let folder = folder.parent().expect("a folder");
    let forgotten = async || holding(folder, TRACE).is_empty().then_some(());
    within("the files to forget", eventually(forgotten)).await;
    let app = app.restart_after(|folder| assert_eq!(holding(folder, TRACE), [""; 0])).await;
    erase(&app, &user).await;
    erase(&app, "nobody").await;
    until_erased(&app).await;
    let bob = app.person("bob");
    let path = format!("/api/conversations/{}/messages", life.conversations[0]);
    let history = bob.get(&path).await.ok();
    assert_eq!(history["items"].as_array().map(Vec::len), Some(50));
}

#[tokio::test]
async fn a_file_says_who_is_to_be_erased_when_the_server_was_killed_before() {
    let app = TestApp::on_sqlite(configure).await;
    let life = Life::live(&app).await;
    let asked = "INSERT INTO erasures (user_id, asked_at) VALUES";
    app.execute(&format!("{asked} ('{}', 1)", life.person.id)).await;
    let found = |folder: &Path| assert!(!holding(folder, TRACE).is_empty(), "it is found");
    let app = app.restart_after(found).await;
    until_erased(&app).await;
    app.restart_after(|folder| assert_eq!(holding(folder, TRACE), [""; 0])).await;
}

#[tokio::test]
async fn who_is_erased_is_out_at_once_and_nothing_lets_them_in() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let mut tabs = life.person.tabs().await;
    let mut bob = app.user("bob").await;
    erase(&app, &life.person.id).await;
    for tab in &mut tabs {
        expect_end(tab, "revoked").await;
    }
    assert!(!life.person.is_let_in().await);
    until_erased(&app).await;
    let refresh = json!({ "refreshToken": life.refresh_token });
    let answer = app.post_with("/api/auth/refresh", &[], &refresh).await;
    assert_eq!(answer.problem(401), "refresh_token_invalid");
    let login =
        json!({ "email": format!("{TRACE}@example.org"), "password": "correct horse battery" });
    let answer = app.post_with("/api/auth/login", &[], &login).await;
    assert_eq!(answer.problem(401), "credentials_invalid");
    // Of many messages nobody is told one by one.
    assert!(!bob.heard().await.contains("message:deleted"));
}

#[tokio::test]
async fn only_services_and_admins_erase() {
    let app = TestApp::start().await;
    let path = "/api/users/ann";
    assert_eq!(app.buyer("ann").delete(path).await.problem(403), "forbidden");
    assert_eq!(app.person("bob").delete(path).await.problem(403), "forbidden");
    let nobody = app.request(Method::DELETE, path, None, None).await;
    assert_eq!(nobody.problem(401), "token_missing");
    assert_eq!(waiting(&app).await, 0);
    assert_eq!(app.admin().delete(path).await.status, 202);
    until_erased(&app).await;
}
