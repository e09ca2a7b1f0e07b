//! What a message takes of the disk, with its event and all indexes.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::TestApp;

/// Messages that are written, each of 64 bytes: many, since a page is 8 KiB and each index has its last one.
const MESSAGES: i64 = 6000;

/// Bytes that each of them takes, at most.
const MOST: i64 = 700;

/// All that the store takes.
async fn bytes(app: &TestApp) -> i64 {
    let all = if app.database_url().is_some() {
        "SELECT CAST(SUM(pg_total_relation_size(oid)) AS BIGINT) FROM pg_class
         WHERE relkind = 'r' AND relnamespace = CAST('public' AS regnamespace)"
    } else {
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    };
    app.count(all).await
}

#[tokio::test]
async fn a_short_message_takes_seven_hundred_bytes_with_all_that_is_kept_of_it() {
    const IDS: [&str; 2] = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea"];
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let [ann, bob] = IDS.map(|id| app.person(id));
    let id = ann.talk_to(IDS[1]).await;
    let content = "x".repeat(64);
    // What a store takes from the start.
    ann.say(&id, &content).await;
    let before = bytes(&app).await;
    for _ in 0..MESSAGES / 100 {
        let say = |at: usize| {
            if at.is_multiple_of(2) { ann.say(&id, &content) } else { bob.say(&id, &content) }
        };
        join_all((0..100).map(say)).await;
    }
    let each = (bytes(&app).await - before) / MESSAGES;
    println!("{each} bytes a message");
    assert!(each <= MOST, "{each} bytes a message");
    let path = format!("/api/conversations/{id}");
    assert_eq!(bob.get(&path).await.ok()["lastMessage"]["content"], json!(content));
}
