//! Lines that are wrong: all are told, with where they are, and nothing is written.

use serde_json::json;
use tempfile::TempDir;

use super::verb::{self, conversation, message};

#[test]
fn five_bad_lines_among_good_ones_are_told_and_nothing_is_written() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let mut bad = [
        message("m1", "c1", "ann", 1),
        message("m2", "nowhere", "ann", 2),
        message("m3", "c1", "bob", 3),
        message("m4", "c1", "bob", 4),
        message("m5", "c1", "ann", 5),
        json!({ "type": "mesage", "id": "m6" }),
    ];
    bad[0]["content"] = "".into();
    bad[2]["colour"] = "red".into();
    bad[4]["createdAt"] = "yesterday".into();
    let mut lines = vec![conversation("c1", &["ann", "bob"])];
    lines.extend(bad);
    lines.push(message("m7", "c1", "ann", 7));
    let complained = verb::import(data, None, &lines).failed();
    for told in [
        "lines.jsonl:2: /content: is required where there are no attachments",
        "lines.jsonl:3: refers to the conversation nowhere, which is not there",
        "lines.jsonl:4: /colour: is not a known field",
        "lines.jsonl:6: /createdAt: is not a moment in UTC since 1970",
        "lines.jsonl:7: is of no type that there is; these are ",
        "5 of 8 lines can't be taken in; nothing was written",
    ] {
        assert!(complained.contains(told), "{told} in {complained}");
    }
    let empty = verb::run(data, None, &["export"]).ok();
    assert_eq!(empty, "");
}

#[test]
fn what_is_told_twice_is_found_wherever_it_is() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let mut twins = [message("m1", "c1", "ann", 1), message("m2", "c1", "ann", 2)];
    for twin in &mut twins {
        twin["clientMessageId"] = "own".into();
    }
    verb::write(&data.join("one.jsonl"), &[conversation("c1", &["ann", "bob"]), twins[0].clone()]);
    let lines = [
        twins[1].clone(),
        message("m1", "c1", "bob", 3),
        conversation("c2", &["bob", "ann"]),
        json!({ "type": "grant", "room": "r", "userId": "ann", "grantedBy": "bob",
            "grantedAt": "2020-01-01T00:00:00Z" }),
    ];
    verb::write(&data.join("two.jsonl"), &lines);
    let complained = verb::run(data, None, &["import", "one.jsonl", "two.jsonl"]).failed();
    for told in [
        "two.jsonl:1: has the same clientMessageId of that sender as one.jsonl:2",
        "two.jsonl:2: has the same id as one.jsonl:2",
        "two.jsonl:3: has the same two people of a direct conversation as one.jsonl:1",
    ] {
        assert!(complained.contains(told), "{told} in {complained}");
    }
}

#[test]
fn a_line_is_told_for_what_is_wrong_with_it() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let mut twice = message("m1", "c1", "ann", 1);
    twice["reactions"] = json!([
        { "emoji": "👍", "userId": "bob" }, { "emoji": "👍", "userId": "ann" },
        { "emoji": "👍", "userId": "bob", "createdAt": "2020-05-01T10:00:02Z" },
    ]);
    let account = |role: &str| {
        json!({
            "type": "user", "id": role,
            "account": { "email": format!("{role}@example.org"), "firstName": "A", "lastName": "B",
                "createdAt": "2020-01-01T00:00:00Z", "roles": ["buyer", role] },
        })
    };
    let stream =
        |seq: u64| json!({ "type": "stream", "name": "user/ann", "seq": seq, "epoch": "e" });
    let mut lines: Vec<String> =
        [twice, account("admin"), account("service"), account("seller"), stream(1 << 53)]
            .map(|line| line.to_string())
            .to_vec();
    lines.extend([
        r#"{"type":"message","type":"user","id":"u1"}"#.to_owned(),
        r#"["user"]"#.to_owned(),
        r#"{"type":7,"id":"u1"}"#.to_owned(),
        r#"{"id":"u1"}"#.to_owned(),
        // Both of what it refers to is missing; it is one line.
        r#"{"type":"message","id":"m2","conversationId":"no","senderId":"ann","content":"?","#
            .to_owned()
            + r#""replyTo":"m0","createdAt":"2020-05-01T10:00:02Z"}"#,
    ]);
    std::fs::write(data.join("lines.jsonl"), lines.join("\n")).expect("a file");
    let complained = verb::run(data, None, &["import", "lines.jsonl"]).failed();
    for told in [
        "lines.jsonl:1: /reactions: has one twice of the same user\n",
        "lines.jsonl:2: /account/roles: are user, buyer or seller; ",
        "lines.jsonl:3: /account/roles: are user, buyer or seller; ",
        "lines.jsonl:5: /seq: ",
        "lines.jsonl:6: has `type` twice\n",
        "lines.jsonl:7: is no JSON object\n",
        "lines.jsonl:8: has a `type` that is no text; ",
        "lines.jsonl:9: has no type; ",
        "lines.jsonl:10: refers to the conversation no, ",
        "lines.jsonl:10: refers to the message of that conversation m0, ",
        "9 of 10 lines can't be taken in; nothing was written",
    ] {
        assert!(complained.contains(told), "{told} in {complained}");
    }
    assert!(!complained.contains("lines.jsonl:4:"), "{complained}");
    verb::import(data, None, &[stream((1 << 53) - 1)]).ok();
}

#[test]
fn a_text_may_begin_with_a_mark_and_is_in_utf_8() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let lines = [conversation("c1", &["ann", "bob"]), message("m1", "c1", "ann", 1)];
    let text = lines.map(|line| line.to_string()).join("\n");
    std::fs::write(data.join("marked.jsonl"), format!("\u{feff}{text}")).expect("a file");
    let said = verb::run(data, None, &["import", "marked.jsonl"]).ok();
    assert_eq!(verb::in_all(&said), "2 lines: 2 written, 0 were there already.");
    let wide: Vec<u8> =
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(data.join("wide.jsonl"), wide).expect("a file");
    let complained = verb::run(data, None, &["import", "wide.jsonl"]).failed();
    assert!(complained.contains("wide.jsonl: is UTF-16; lines are UTF-8"), "{complained}");
}

#[test]
fn what_became_of_the_lines_is_counted_for_each_type() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let first = [conversation("c1", &["ann", "bob"]), message("m1", "c1", "ann", 1)];
    verb::import(data, None, &first).ok();
    let mut other = message("m1", "c1", "ann", 1);
    other["content"] = "other".into();
    let user = json!({ "type": "user", "id": "ann", "profile": { "firstName": "Ann" } });
    let more = [first[0].clone(), other, user, message("m2", "c1", "bob", 2)];
    let done = verb::import(data, None, &more);
    assert_eq!(
        done.said,
        "4 lines: 2 written, 1 were there already.\n\
         conversation: 0 written, 1 were there already\n\
         message: 1 written, 0 were there already, 1 not taken in\n\
         user: 1 written, 0 were there already\n"
    );
    let told = "lines.jsonl:2: message m1: is there with other content, in /content\n";
    assert!(done.complained.contains(told), "{done:?}");
    let twice = [message("m3", "c1", "ann", 3), {
        let mut line = message("m3", "c1", "bob", 3);
        line["content"] = "what else".into();
        line
    }];
    let complained = verb::import(data, None, &twice).failed();
    let told = "lines.jsonl:2: has the same id as lines.jsonl:1, and other content, in /senderId, \
                /content\n";
    assert!(
        complained.contains(told) && !complained.contains("has the same message"),
        "{complained}"
    );
}

#[test]
fn a_check_reads_and_tells_and_writes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let good = [conversation("c1", &["ann", "bob"]), message("m1", "c1", "ann", 1)];
    verb::write(&data.join("good.jsonl"), &good);
    let said = verb::run(data, None, &["import", "--check", "good.jsonl"]).ok();
    let all = "2 lines: 2 can be written, 0 are there already. Nothing is wrong with them.";
    assert_eq!(verb::in_all(&said), all);
    assert!(!data.join("stoa.db").exists(), "an import makes it");
    let later = [message("m2", "c1", "ann", 1)];
    verb::write(&data.join("later.jsonl"), &later);
    let check = ["import", "--check", "later.jsonl"];
    let complained = verb::run(data, None, &check).failed();
    assert!(complained.contains("later.jsonl:1: refers to the conversation c1"), "{complained}");
    verb::run(data, None, &["import", "good.jsonl"]).ok();
    verb::run(data, None, &check).ok();
    verb::run(data, None, &["import", "later.jsonl"]).ok();
}

#[test]
fn lines_may_come_by_a_pipe() {
    use std::{fs::File, process::Stdio};

    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let lines = [conversation("c1", &["ann", "bob"]), message("m1", "c1", "ann", 1)];
    verb::write(&data.join("lines.jsonl"), &lines);
    let piped = |args: &[&str]| {
        let lines = File::open(data.join("lines.jsonl")).expect("the file");
        let mut command = verb::command(data, None, args);
        verb::Done::from(command.stdin(Stdio::from(lines)).output().expect("the verb")).ok()
    };
    assert_eq!(verb::in_all(&piped(&["import", "-"])), "2 lines: 2 written, 0 were there already.");
    assert_eq!(verb::in_all(&piped(&["import"])), "2 lines: 0 written, 2 were there already.");
}

#[test]
fn what_refers_to_a_line_that_is_wrong_is_not_wrong_itself() {
    let folder = TempDir::new().expect("a folder");
    let mut bad = conversation("c1", &["ann", "bob"]);
    bad["colour"] = "red".into();
    let lines = [bad, message("m1", "c1", "ann", 1), message("m2", "c1", "bob", 2)];
    let complained = verb::import(folder.path(), None, &lines).failed();
    assert!(complained.contains("1 of 3 lines can't be taken in"), "{complained}");
}

#[test]
fn what_refers_to_a_wrong_line_and_to_what_that_is_in_is_not_wrong_itself() {
    let folder = TempDir::new().expect("a folder");
    let mut bad = message("m1", "c1", "ann", 1);
    bad["colour"] = "red".into();
    let mut answer = message("m2", "c1", "bob", 2);
    answer["replyTo"] = "m1".into();
    let mut read = conversation("c1", &["ann", "bob"]);
    read["participants"][1]["lastReadMessageId"] = "m1".into();
    let offer = json!({ "type": "offer", "id": "o1", "requestId": "r1", "sellerId": "sam" });
    let request = json!({
        "type": "request", "id": "r1", "buyerId": "ann", "title": "A lamp", "description": "Green",
        "budget": { "amount": "40", "currency": "USD" }, "status": "accepted",
        "createdAt": "2020-05-01T10:00:00Z", "updatedAt": "2020-05-01T10:00:00Z",
        "acceptedOfferId": "o1", "sellerId": "sam",
    });
    let lines = [read, bad, answer, offer, request];
    let complained = verb::import(folder.path(), None, &lines).failed();
    assert!(complained.contains("lines.jsonl:2: /colour"), "{complained}");
    assert!(complained.contains("lines.jsonl:4: "), "{complained}");
    assert!(complained.contains("2 of 5 lines can't be taken in"), "{complained}");
}

#[test]
fn a_line_that_is_there_twice_is_passed_over_the_second_time() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let first = message("m1", "c1", "ann", 1);
    let lines = [conversation("c1", &["ann", "bob"]), first.clone(), message("m2", "c1", "bob", 2)];
    verb::write(&data.join("one.jsonl"), &lines);
    // The same in another spelling.
    let other = first.to_string().replacen('{', "{ ", 1);
    std::fs::write(data.join("two.jsonl"), [lines[0].to_string(), other].join("\n"))
        .expect("a file");
    let said = verb::run(data, None, &["import", "one.jsonl", "two.jsonl"]).ok();
    assert_eq!(verb::in_all(&said), "5 lines: 3 written, 2 were there already.");
    assert_eq!(verb::exported(data, None).len(), 3);
}
