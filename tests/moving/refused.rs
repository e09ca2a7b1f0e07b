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
fn a_check_reads_and_tells_and_writes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let good = [conversation("c1", &["ann", "bob"]), message("m1", "c1", "ann", 1)];
    verb::write(&data.join("good.jsonl"), &good);
    let said = verb::run(data, None, &["import", "--check", "good.jsonl"]).ok();
    assert_eq!(said, "2 lines: 1 conversation, 1 message. Nothing is wrong with them.\n");
    assert!(!data.join("stoa.db").exists(), "there was nothing to ask it");
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
    assert_eq!(piped(&["import", "-"]), "2 lines: 2 written, 0 were there already.\n");
    assert_eq!(piped(&["import"]), "2 lines: 0 written, 2 were there already.\n");
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
    assert_eq!(said, "5 lines: 3 written, 2 were there already.\n");
    assert_eq!(verb::exported(data, None).len(), 3);
}
