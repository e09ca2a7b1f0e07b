//! Reactions: one of each kind a user, and so many.

use super::named;
use crate::support::TestApp;

#[tokio::test]
async fn a_reaction_is_there_once_and_its_users_own() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let message = ann.say(&id, "Hello").await;
    let path = format!("/api/messages/{message}/reactions/%F0%9F%91%8D");
    for person in [&ann, &bob, &bob] {
        assert_eq!(person.put(&path).await.status, 204);
    }
    let reactions = async || {
        let page = ann.get(&format!("/api/conversations/{id}/messages")).await.ok();
        page["items"][0]["reactions"].as_array().unwrap().len()
    };
    assert_eq!(reactions().await, 2);
    for _ in 0..2 {
        assert_eq!(bob.delete(&path).await.status, 204);
        assert_eq!(reactions().await, 1);
    }
    assert_eq!(eve.put(&path).await.problem(404), "not_found");
    assert_eq!(app.admin().put(&path).await.problem(403), "forbidden");
}

fn reaction(message: &str, emoji: &str) -> String {
    let emoji = percent_encoding::utf8_percent_encode(emoji, percent_encoding::NON_ALPHANUMERIC);
    format!("/api/messages/{message}/reactions/{emoji}")
}

#[tokio::test]
async fn a_reaction_is_one_emoji_or_the_short_code_of_one() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let message = ann.say(&id, "Hello").await;
    let good = [
        "👍",
        "👍🏽",
        "❤",
        "❤️",
        "©️",
        "3️⃣",
        "#⃣",
        "🇳🇱",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "👩‍❤️‍💋‍👨",
        "👨‍👩‍👧‍👦",
        "🏳️‍🌈",
        ":+1:",
        ":thumbs_up:",
        ":e-mail:",
        ":8ball:",
    ];
    for emoji in good {
        let path = reaction(&message, emoji);
        assert_eq!(ann.put(&path).await.status, 204, "{emoji}");
        assert_eq!(ann.delete(&path).await.status, 204, "{emoji}");
    }
    let longest = format!(":{}:", "x".repeat(62));
    assert_eq!(ann.put(&reaction(&message, &longest)).await.status, 204);
    let long = format!(":{}:", "x".repeat(63));
    for bad in [
        "x",
        "1",
        "#",
        "ok",
        "é",
        "e\u{301}",
        "👍👍",
        "👍 ",
        "👍x",
        "🇳🇱🇳",
        "a\u{20e3}",
        "\u{7}",
        "\u{200d}",
        "\u{fe0f}",
        "\u{200d}👍",
        "👍\u{301}",
        "👨🏻‍❤️‍💋‍👨🏿",
        ":",
        "::",
        ":a b:",
        ":a:b:",
        ":👍:",
        "+1",
        &long,
    ] {
        ann.put(&reaction(&message, bad)).await.invalid("/emoji");
    }
}

#[tokio::test]
async fn a_message_takes_so_many_reactions_of_one_user_and_so_many_kinds() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let people = ["ann", "bob", "cat", "dan", "eli", "fay"].map(|id| named(&app, id));
    let id = people[0].group(&["bob", "cat", "dan", "eli", "fay"]).await;
    let message = people[0].say(&id, "Hello").await;
    let other = people[0].say(&id, "Hello again").await;
    let kinds: Vec<_> = (0..101).map(|n| reaction(&message, &format!(":k{n}:"))).collect();
    for (person, own) in people.iter().zip(kinds[..100].chunks(20)) {
        let all = futures_util::future::join_all(own.iter().map(|path| person.put(path))).await;
        assert!(all.iter().all(|answer| answer.status == 204), "{all:?}");
        assert_eq!(person.put(&own[0]).await.status, 204, "it is there");
    }
    let [ann, .., fay] = &people;
    assert_eq!(ann.put(&kinds[21]).await.problem(409), "conflict", "20 of one user");
    assert_eq!(fay.put(&kinds[100]).await.problem(409), "conflict", "100 kinds");
    assert_eq!(fay.put(&kinds[0]).await.status, 204, "of a kind that is there");
    assert_eq!(ann.put(&reaction(&other, "👍")).await.status, 204, "another message");
    assert_eq!(ann.delete(&kinds[1]).await.status, 204);
    assert_eq!(fay.put(&kinds[100]).await.status, 204, "a kind has gone");
    assert_eq!(ann.put(&kinds[21]).await.status, 204, "one of their own has gone");
    // Of many at once, too.
    let more = (0..30).map(|n| reaction(&other, &format!(":m{n}:"))).collect::<Vec<_>>();
    let all = futures_util::future::join_all(more.iter().map(|path| ann.put(path))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 204).count(), 19, "with the first");
}
