//! What holds on both engines.

use std::{collections::BTreeMap, error::Error as _, sync::mpsc, time::Duration};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use stoa::{
    clock::{Clock, Timestamp},
    db::{self, Db, Kind, Portion, Row, StreamPosition, Tx, Value},
    error::{Code, Error, Result},
    id::Id,
    params,
    room::Room,
    stream::{Stream, Target, WireEvent},
};
use tokio::sync::oneshot;

use super::engine::{BlockedWriter, Happened, Store, happened, id, to_all};

on_both! {
    twenty_writers_number_their_events_without_holes,
    a_unit_that_fails_loses_only_itself,
    a_unit_is_lost_with_its_first_failed_statement,
    a_row_that_may_be_there_already_is_no_failure,
    values_come_back_as_they_went_in,
    a_parameter_may_be_nothing_and_then_something,
    what_is_not_kept_is_sent_without_a_number,
    what_is_read_is_of_one_moment,
    a_unit_that_reads_changes_nothing,
    a_store_stays_what_it_was_when_it_is_opened_again,
    old_events_go_and_young_ones_stay,
    a_stream_keeps_its_newest_events_and_no_more,
    an_event_of_many_streams_is_kept_once_and_each_has_its_share,
    more_than_a_unit_may_keep_is_refused_whole,
    what_is_read_at_once_is_bounded_and_ends_at_a_hole,
    a_restore_begins_every_stream_anew_and_changes_no_row_of_one,
    what_was_begun_is_waited_for_when_its_caller_has_gone,
    a_closed_store_says_so,
}

pub fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_764_000_000_000))
}

const NOTES: &str = "
    CREATE TABLE notes (
        id TEXT NOT NULL PRIMARY KEY,
        parent TEXT REFERENCES notes (id),
        stars BIGINT NOT NULL CHECK (stars < 6)
    )";

const NOTE: &str = "INSERT INTO notes (id, parent, stars) VALUES ($1, $2, $3)";

/// Writes a note and announces it.
async fn note(tx: &mut Tx<'_>, name: &str, parent: Option<&str>, stars: i64) -> Result<()> {
    tx.announce(happened("c1", stars));
    tx.execute(NOTE, &params![name, parent, stars]).await?;
    Ok(())
}

async fn position(db: &Db, stream: Stream) -> Option<StreamPosition> {
    let read = async move |tx: &mut Tx<'_>| Ok(db::position(tx, &stream).await?);
    db.read(read).await.expect("a position")
}

/// As much as there is.
const ALL: Portion = Portion { events: 100_000, bytes: usize::MAX };

/// Numbers and data of a stream's events after a number.
async fn after(db: &Db, stream: Stream, since: i64) -> Vec<(i64, String)> {
    let read = async move |tx: &mut Tx<'_>| Ok(db::events_after(tx, &stream, since, ALL).await?);
    let events = db.read(read).await.expect("events");
    events
        .into_iter()
        .map(|event| (event.seq, event.wire_events[0].data.get().to_owned()))
        .collect()
}

async fn a_restore_begins_every_stream_anew_and_changes_no_row_of_one(store: Store) {
    const GAP: i64 = 1_000_000_000;
    let say = async |conversation: &'static str| {
        let unit = async move |tx: &mut Tx<'_>| {
            tx.announce(happened(conversation, 1));
            Ok(())
        };
        store.db.write(unit).await.expect("a unit");
        store.sent().last().expect("an event").1
    };
    let stands = async |conversation: &'static str| {
        let stream = happened(conversation, 0).stream;
        let position = position(&store.db, stream.clone()).await.expect("a position");
        let read = async move |tx: &mut Tx<'_>| Ok(db::last_seq(tx, &stream).await?);
        assert_eq!(store.db.read(read).await.expect("a number"), position.seq);
        (position.seq, position.epoch)
    };
    assert_eq!((say("c1").await, say("c1").await, say("c2").await), (1, 2, 1));
    let (first, second) = (stands("c1").await.1, stands("c2").await.1);
    assert_ne!(first, second);
    store.db.start_anew().await.expect("a new life");
    assert_eq!(store.number("SELECT COUNT(*) FROM streams WHERE seq < 3").await, 2);
    let (seq, life) = stands("c1").await;
    assert_eq!((seq, stands("c2").await), (GAP + 2, (GAP + 1, life.clone())));
    assert!(life != first && life != second);
    assert_eq!((say("c1").await, say("c2").await, say("c3").await), (GAP + 3, GAP + 2, GAP + 1));
    assert_eq!(stands("c3").await, (GAP + 1, life.clone()));
    store.db.start_anew().await.expect("a new life");
    let (seq, next) = stands("c3").await;
    assert_eq!((seq, say("c3").await), (2 * GAP + 1, 2 * GAP + 2));
    assert_ne!(next, life);
    store.db.close().await;
    let db = store.reopen().await.expect("a store");
    let again = position(&db, happened("c3", 0).stream).await.expect("a position");
    assert_eq!((again.seq, again.epoch), (2 * GAP + 2, next));
}

async fn twenty_writers_number_their_events_without_holes(store: Store) {
    const UNITS: i64 = 20;
    let writers = (0..20).map(|writer| {
        let db = store.db.clone();
        tokio::spawn(async move {
            for unit in 0..UNITS {
                let data = writer * UNITS + unit;
                db.write(async move |tx| {
                    // In either order, so that they would wait for each other in a circle.
                    let (first, second) = if data % 2 == 0 { ("c1", "c2") } else { ("c2", "c1") };
                    tx.announce(happened(first, data));
                    tx.announce(happened(second, data));
                    if data % 7 == 0 { Err(Error::forbidden()) } else { Ok(()) }
                })
                .await
                .map_or_else(|error| assert_eq!(error.code(), Code::Forbidden), |()| ());
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer");
    }
    let kept = (0..20 * UNITS).filter(|data| data % 7 != 0).count();
    let mut sent = BTreeMap::<String, Vec<(i64, String)>>::new();
    for (stream, seq, data) in store.sent() {
        sent.entry(stream).or_default().push((seq, data));
    }
    for name in ["c1", "c2"] {
        let stream = Stream::Conversation(id(name));
        let stored = after(&store.db, stream.clone(), 0).await;
        let numbers: Vec<_> = stored.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (1..=i64::try_from(kept).expect("a count")).collect::<Vec<_>>());
        assert_eq!(sent[&stream.to_string()], stored, "what is sent has the order of the numbers");
        let position = position(&store.db, stream).await.expect("a stream");
        assert_eq!((position.seq, position.oldest), (numbers[kept - 1], 1));
    }
}

async fn a_unit_that_fails_loses_only_itself(store: Store) {
    store.run(&[NOTES, "INSERT INTO notes (id, stars) VALUES ('first', 1)"]).await;
    // On SQLite all of these wait behind one that holds the writer, and become one transaction.
    let blocked = BlockedWriter::block(&store.db).await;
    let refused = store.db.write(async |tx| {
        note(tx, "refused", None, 1).await?;
        Err::<(), _>(Error::new(Code::Conflict, "No."))
    });
    let panicked = store.db.write(async |tx| {
        note(tx, "panicked", None, 2).await?;
        assert!(tx.now() < Timestamp::from_millis(0), "as if something were wrong");
        Ok(())
    });
    let doubled = store.db.write(async |tx| note(tx, "first", None, 3).await);
    let dangling = store.db.write(async |tx| note(tx, "dangling", Some("nobody"), 3).await);
    let checked = store.db.write(async |tx| note(tx, "checked", None, 6).await);
    let good = store.db.write(async |tx| note(tx, "good", Some("first"), 5).await);
    let (refused, panicked, doubled, dangling, checked, good, ()) =
        tokio::join!(refused, panicked, doubled, dangling, checked, good, blocked.release());
    assert_eq!(refused.expect_err("its own refusal").code(), Code::Conflict);
    assert_eq!(panicked.expect_err("a failure").code(), Code::Internal);
    for (failed, kind) in
        [(doubled, Kind::Unique), (dangling, Kind::ForeignKey), (checked, Kind::Check)]
    {
        let error = failed.expect_err("a refusal");
        let cause = error.source().and_then(|cause| cause.downcast_ref::<db::Error>());
        assert_eq!((error.code(), cause.map(db::Error::kind)), (Code::Internal, Some(kind)));
    }
    good.expect("the good one");
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 2);
    let sent = [("conversation/c1".to_owned(), 1, "5".to_owned())];
    assert_eq!(store.sent(), sent, "the good one's event has the first number");
    assert!(store.db.is_available());
}

async fn a_unit_is_lost_with_its_first_failed_statement(store: Store) {
    store.run(&[NOTES]).await;
    let goes_on = store.db.write(async |tx| {
        note(tx, "a", None, 1).await?;
        assert!(note(tx, "a", None, 1).await.is_err());
        assert!(note(tx, "b", None, 1).await.is_err(), "nothing more is done");
        Ok(())
    });
    assert_eq!(goes_on.await.expect_err("a failure").code(), Code::Internal);
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 0);
    assert_eq!(store.sent(), []);
}

async fn a_row_that_may_be_there_already_is_no_failure(store: Store) {
    const ONCE: &str = "INSERT INTO notes (id, stars) VALUES ($1, 1) ON CONFLICT DO NOTHING";
    store.run(&[NOTES]).await;
    let twice = async |tx: &mut Tx<'_>| {
        let first = tx.execute(ONCE, &params!["a"]).await?;
        Ok((first, tx.execute(ONCE, &params!["a"]).await?))
    };
    assert_eq!(store.db.write(twice).await.expect("both"), (1, 0));
}

async fn values_come_back_as_they_went_in(store: Store) {
    const SAMPLES: &str = "
        CREATE TABLE samples (
            id TEXT NOT NULL PRIMARY KEY, n BIGINT, t TEXT, b BYTEA, flag BIGINT NOT NULL
        )";
    // The parameters are not in the order of their numbers, and one of them comes twice.
    const INSERT: &str = "
        INSERT INTO samples (b, t, n, id, flag) VALUES ($4, $3, $2, $1, $5)
        RETURNING id, n, t, b, flag, n = $2 AS same";
    store.run(&[SAMPLES]).await;
    let json =
        RawValue::from_string(r#"{"amount": 1.10, "é": "\u0000"}"#.to_owned()).expect("JSON");
    let rooms = [Value::from(Room::Sellers), Value::from(&Stream::Global), Value::from(json)];
    for (name, text) in ["a", "b", "c"].into_iter().zip(rooms) {
        let blob = vec![0, 159, 146, 150];
        let params = params![id(name), i64::MIN, text.clone(), blob.clone(), true];
        let insert = async move |tx: &mut Tx<'_>| Ok(tx.one(INSERT, &params).await?);
        let row: Row = store.db.write(insert).await.expect("a row");
        assert_eq!(row.get::<Id>("id").expect("a value"), id(name));
        assert_eq!(row.get::<i64>("n").expect("a value"), i64::MIN);
        assert_eq!(Value::from(row.get::<String>("t").expect("a value")), text);
        assert_eq!(row.get::<Vec<u8>>("b").expect("a value"), blob);
        assert!(row.get::<bool>("flag").expect("a value"));
        assert!(row.get::<bool>("same").expect("a value"), "a condition is a flag");
    }
    let exists = "SELECT EXISTS (SELECT 1 FROM samples WHERE t = 'sellers')";
    assert_eq!(store.number(exists).await, 1);
    assert_eq!(store.number("SELECT CAST(SUM(flag) AS BIGINT) FROM samples").await, 3);
    let many = async |tx: &mut Tx<'_>| Ok(tx.optional("SELECT id FROM samples", &[]).await?);
    assert!(store.db.read(many).await.is_err(), "three rows are not one");
}

async fn a_parameter_may_be_nothing_and_then_something(store: Store) {
    const SAMPLES: &str = "CREATE TABLE samples (n BIGINT, t TEXT, b BYTEA)";
    const INSERT: &str = "INSERT INTO samples (n, t, b) VALUES ($1, $2, $3) RETURNING n, t, b";
    store.run(&[SAMPLES]).await;
    let something = || params![7, "seven", vec![7_u8]];
    let nothing = || [Value::Null, Value::Null, Value::Null];
    for values in [nothing(), something(), nothing()] {
        let unit = async move |tx: &mut Tx<'_>| Ok(tx.one(INSERT, &values).await?);
        let row: Row = store.db.write(unit).await.expect("a row");
        let number = row.get::<Option<i64>>("n").expect("a value");
        assert_eq!(row.get::<Option<String>>("t").expect("a value").is_some(), number == Some(7));
        assert_eq!(row.get::<Option<Vec<u8>>>("b").expect("a value").is_some(), number == Some(7));
    }
    assert_eq!(store.number("SELECT COUNT(*) FROM samples WHERE n IS NULL").await, 2);
}

async fn what_is_not_kept_is_sent_without_a_number(store: Store) {
    let passing = |data| Happened { stream: Stream::Global, data, kept: false };
    store
        .db
        .write(async move |tx| {
            tx.announce(passing(1));
            tx.announce(happened("c1", 2));
            tx.announce(passing(3));
            Ok(())
        })
        .await
        .expect("a unit");
    let mut sent: Vec<_> = store.sent().into_iter().map(|(_, seq, data)| (seq, data)).collect();
    // What is not kept has no place in the order of what is.
    sent.sort_by_key(|(seq, _)| *seq);
    assert_eq!(sent, [(0, "1".to_owned()), (0, "3".to_owned()), (1, "2".to_owned())]);
    assert_eq!(position(&store.db, Stream::Global).await, None);
    assert_eq!(store.number("SELECT COUNT(*) FROM events").await, 1);
}

async fn what_is_read_is_of_one_moment(store: Store) {
    const COUNT: &str = "SELECT COUNT(*) FROM notes";
    store.run(&[NOTES]).await;
    let (looked, look) = tokio::sync::oneshot::channel();
    let (written, write) = mpsc::channel::<()>();
    let db = store.db.clone();
    let reader = tokio::spawn(async move {
        let twice = async move |tx: &mut Tx<'_>| {
            let before: i64 = tx.one(COUNT, &[]).await?.get(0)?;
            let _ = looked.send(());
            write.recv().expect("a write");
            Ok((before, tx.one(COUNT, &[]).await?.get::<i64>(0)?))
        };
        db.read(twice).await
    });
    look.await.expect("a first look");
    store.run(&["INSERT INTO notes (id, stars) VALUES ('a', 1)"]).await;
    written.send(()).expect("a reader");
    assert_eq!(reader.await.expect("no panic").expect("two looks"), (0, 0));
    assert_eq!(store.number(COUNT).await, 1);
}

async fn a_unit_that_reads_changes_nothing(store: Store) {
    store.run(&[NOTES]).await;
    store.db.read(async |tx| note(tx, "a", None, 1).await).await.expect_err("a refusal");
    let announces = async |tx: &mut Tx<'_>| {
        tx.announce(happened("c1", 1));
        Ok(())
    };
    store.db.read(announces).await.expect_err("a refusal");
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 0);
    assert_eq!((store.sent(), position(&store.db, happened("c1", 1).stream).await), (vec![], None));
}

async fn a_store_stays_what_it_was_when_it_is_opened_again(store: Store) {
    let say = async |tx: &mut Tx<'_>| {
        tx.announce(happened("c1", 1));
        Ok(())
    };
    let stream = Stream::Conversation(id("c1"));
    store.db.write(say).await.expect("a unit");
    let before = position(&store.db, stream.clone()).await.expect("a stream");
    store.db.close().await;
    let again = store.reopen().await.expect("the store again");
    assert_eq!(position(&again, stream.clone()).await.as_ref(), Some(&before));
    again.write(say).await.expect("a unit");
    let after = position(&again, stream).await.expect("a stream");
    assert_eq!((after.seq, after.epoch, after.oldest), (before.seq + 1, before.epoch, 1));
    again.close().await;
}

/// Announces so many events in a conversation, in one unit.
async fn say(db: &Db, conversation: &'static str, events: i64) {
    let unit = async move |tx: &mut Tx<'_>| {
        (1..=events).for_each(|data| tx.announce(happened(conversation, data)));
        Ok(())
    };
    db.write(unit).await.expect("a unit");
}

/// Announces one event.
async fn tell(db: &Db, event: WireEvent) {
    let unit = async move |tx: &mut Tx<'_>| {
        tx.announce(event);
        Ok(())
    };
    db.write(unit).await.expect("a unit");
}

async fn old_events_go_and_young_ones_stay(store: Store) {
    const DAY: Duration = Duration::from_hours(24);
    let oldest = async |stream: &str| {
        let position = position(&store.db, Stream::Conversation(id(stream))).await;
        position.expect("a stream").oldest
    };
    say(&store.db, "long", 350).await;
    say(&store.db, "short", 5).await;
    tell(&store.db, to_all(&["u1", "u2"])).await;
    store.clock.advance(DAY / 2);
    say(&store.db, "long", 30).await;
    assert_eq!(db::prune_events(&store.db, DAY).await.expect("pruned"), 0, "all are young");
    store.clock.advance(DAY / 2);
    assert_eq!(db::prune_events(&store.db, DAY).await.expect("pruned"), 357);
    assert_eq!((oldest("long").await, oldest("short").await), (351, 6));
    assert_eq!(store.number("SELECT COUNT(*) FROM shared_events").await, 0);
    store.clock.advance(DAY);
    assert_eq!(db::prune_events(&store.db, DAY).await.expect("pruned"), 30);
    assert_eq!(store.number("SELECT COUNT(*) FROM events").await, 0);
    assert_eq!(oldest("long").await, 381);
}

async fn a_stream_keeps_its_newest_events_and_no_more(mut store: Store) {
    // As an earlier version left it.
    say(&store.db, "c1", 300).await;
    store.config.event_count = 10;
    store.db.close().await;
    let db = store.reopen().await.expect("the store again");
    let stream = Stream::Conversation(id("c1"));
    let mut kept = 300;
    for last in 301..=700 {
        say(&db, "c1", 1).await;
        let position = position(&db, stream.clone()).await.expect("a stream");
        let now = position.seq + 1 - position.oldest;
        assert!(now < kept || now == 10, "{now} after {kept}");
        assert!(now + 2 >= kept, "a unit removes no more than a few");
        assert_eq!(position.seq, last);
        assert_eq!(after(&db, stream.clone(), last - 10).await.len(), 10);
        kept = now;
    }
    assert_eq!(kept, 10);
    say(&db, "c1", 25).await;
    let left = after(&db, stream, 714).await.len();
    assert_eq!(left, 11, "what one unit says is kept whole");
    db.close().await;
}

async fn an_event_of_many_streams_is_kept_once_and_each_has_its_share(store: Store) {
    let people: Vec<String> = (0..1200).map(|n| format!("u{n:04}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let event = to_all(&names);
    tell(&store.db, event).await;
    assert_eq!(store.number("SELECT COUNT(*) FROM shared_events").await, 1);
    assert_eq!(store.number("SELECT COUNT(*) FROM events WHERE wire <> ''").await, 0);
    for who in ["u0000", "u0777", "u1199"] {
        let stream = Stream::User(id(who));
        let read = async move |tx: &mut Tx<'_>| Ok(db::events_after(tx, &stream, 0, ALL).await?);
        let events = store.db.read(read).await.expect("events");
        let [event] = &*events else { panic!("{events:?}") };
        let own = Target::Rooms { rooms: vec![Room::User(id(who))], except: Vec::new() };
        assert_eq!((event.seq, &event.wire_events[0].to), (1, &own));
    }
    // Again, where the streams are there already.
    let event = to_all(&names);
    tell(&store.db, event).await;
    assert_eq!(store.number("SELECT COUNT(*) FROM streams WHERE seq = 2").await, 1200);
}

async fn more_than_a_unit_may_keep_is_refused_whole(mut store: Store) {
    store.config.max_unit_event_bytes = 100_000;
    store.db.close().await;
    let db = store.reopen().await.expect("the store again");
    let unit = async |tx: &mut Tx<'_>| {
        (1..=1000).for_each(|data| tx.announce(happened("c1", data)));
        Ok(())
    };
    assert_eq!(db.write(unit).await.expect_err("a refusal").code(), Code::TooLarge);
    assert_eq!(position(&db, Stream::Conversation(id("c1"))).await, None);
    // What a new stream takes counts, too.
    let unit = async |tx: &mut Tx<'_>| {
        (0..350).for_each(|n| tx.announce(happened(&format!("new-{n}"), 1)));
        Ok(())
    };
    assert_eq!(db.write(unit).await.expect_err("a refusal").code(), Code::TooLarge);
    assert_eq!(position(&db, Stream::Conversation(id("new-1"))).await, None);
    let unit = async |tx: &mut Tx<'_>| {
        (0..350).for_each(|_| tx.announce(happened("c2", 1)));
        Ok(())
    };
    db.write(unit).await.expect("what fits into one stream");
    say(&db, "c1", 100).await;
    assert!(db.is_available());
    db.close().await;
}

async fn what_is_read_at_once_is_bounded_and_ends_at_a_hole(store: Store) {
    say(&store.db, "c1", 50).await;
    let stream = Stream::Conversation(id("c1"));
    let read = async |since: i64, events: u32, bytes: usize| {
        let stream = stream.clone();
        let portion = Portion { events, bytes };
        let read =
            async move |tx: &mut Tx<'_>| Ok(db::events_after(tx, &stream, since, portion).await?);
        let events = store.db.read(read).await.expect("events");
        events.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 3, usize::MAX).await, [1, 2, 3]);
    assert_eq!(read(7, 3, 0).await, [8], "one is read whatever its size");
    let some = read(0, 100, 1000).await.len();
    assert!((5..20).contains(&some), "{some} of about 75 bytes each");
    store.run(&["DELETE FROM events WHERE seq = 5"]).await;
    assert_eq!(read(0, 100, usize::MAX).await, [1, 2, 3, 4]);
    assert_eq!(read(4, 100, usize::MAX).await, [0_i64; 0]);
    assert_eq!(read(5, 2, usize::MAX).await, [6, 7]);
}

async fn what_was_begun_is_waited_for_when_its_caller_has_gone(store: Store) {
    store.run(&[NOTES]).await;
    let (go_on, told) = oneshot::channel::<()>();
    let db = store.db.clone();
    let work = async move {
        told.await.map_err(Error::internal)?;
        db.write(async |tx| note(tx, "a", None, 1).await).await
    };
    assert!(store.db.run_to_completion(work).now_or_never().is_none(), "the caller hangs up");
    let mut idle = Box::pin(store.db.idle());
    assert!(idle.as_mut().now_or_never().is_none(), "it is not done yet");
    go_on.send(()).expect("work");
    idle.await;
    assert_eq!(store.number("SELECT COUNT(*) AS notes FROM notes").await, 1);
}

async fn a_closed_store_says_so(store: Store) {
    store.run(&[NOTES]).await;
    store.db.close().await;
    for refused in [
        store.db.write(async |tx| note(tx, "a", None, 1).await).await,
        store.db.read(async |_| Ok(())).await,
    ] {
        let error = refused.expect_err("a refusal");
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.retry_after().is_some());
    }
    store.db.close().await;
}
