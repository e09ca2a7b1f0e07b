//! What operators are told of the store, and of nodes, on both engines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::TestApp;

#[tokio::test]
async fn the_store_is_told_by_table() {
    let app = TestApp::with(|config| {
        config.database.event_retention = Duration::from_hours(1);
        config.database.message_retention = Some(Duration::from_hours(2));
        config.notifications.retention = Duration::from_hours(3);
    })
    .await;
    app.buyer("ann").buys_from(&app.seller("sam")).await;
    // Postgres counts when it looks at a table.
    if app.database_url().is_some() {
        app.execute("ANALYZE offers").await;
    }
    let told = app.admin().get("/api/store").await.ok();
    let tables = told["tables"].as_array().expect("tables");
    let table = |name: &str| tables.iter().find(|table| table["name"] == name).expect(name);
    assert_eq!(table("offers")["rows"], 1, "{told}");
    assert_eq!(table("webhooks")["rows"], 0, "{told}");
    let bytes = |table: &Value| table["bytes"].as_u64().expect("bytes");
    assert!(bytes(table("offers")) >= 4096, "{told}");
    assert!(tables.is_sorted_by_key(|table| std::cmp::Reverse(bytes(table))), "the largest first");
    let events =
        json!({ "what": "events", "tables": ["events", "shared_events"], "keepMs": 3_600_000 });
    assert_eq!(told["kept"][0], events);
    let engine = if app.database_url().is_some() { "postgres" } else { "sqlite" };
    assert_eq!(told["engine"], engine);
    let kept = |what: &str| {
        let mut kinds = told["kept"].as_array().expect("kinds").iter();
        kinds.find(|kind| kind["what"] == what).expect(what)["keepMs"].as_u64()
    };
    let hours = [2, 3, 24].map(|hours| Some(hours * 3_600_000));
    assert_eq!(["messages", "notifications", "answers"].map(kept), hours);
    // Each kind is of tables that are there.
    for kept in told["kept"].as_array().expect("kinds") {
        for name in kept["tables"].as_array().expect("tables") {
            table(name.as_str().expect("a name"));
        }
    }
}

#[tokio::test]
async fn a_node_says_how_it_does() {
    let app = TestApp::with(|config| config.log.node = Some("left".to_owned())).await;
    let told = app.admin().get("/api/nodes").await.ok();
    let [node] = told["items"].as_array().expect("nodes").as_slice() else { panic!("{told}") };
    assert_eq!(
        (&node["name"], &node["version"]),
        (&json!("left"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!((&node["lagMs"], &told["partial"]), (&Value::Null, &json!(false)));
    let ann = app.buyer("ann");
    ann.request().await;
    let later = app.admin().get("/api/nodes").await.ok();
    assert_eq!(later["items"][0]["since"], node["since"], "it has not begun anew");
    for path in ["/api/nodes", "/api/store"] {
        assert_eq!(ann.get(path).await.problem(403), "forbidden");
    }
}
