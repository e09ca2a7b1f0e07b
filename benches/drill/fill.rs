//! The rows: a market and its payments, conversations of every shape, and what users are told and
//! earn.

use std::time::Instant;

use anyhow::Result;
use stoa::clock::Clock;

use super::engine::{Cell, Engine};

/// The conversation with a third of the messages.
pub const LONG: &str = "00000000-0000-7000-8000-10000000000a";

/// Milliseconds, when all begins.
const BEGIN: i64 = 1_764_000_000_000;

const STATUSES: [&str; 7] =
    ["open", "accepted", "paid", "shipped", "delivered", "completed", "cancelled"];

const CONVERSATIONS: &str = "id, kind, metadata, created_by, created_at, messages, \
    last_activity_at, participants, listed_at";
const PARTICIPANTS: &str = "conversation_id, user_id, joined_at, last_read, listed_at, place, sent, \
    last_sent, read_sent";
const MESSAGES: &str = "id, conversation_id, ordinal, sender_id, first_name, content, \
    attachments, created_at, sender_ordinal, sender_previous";
const REQUESTS: &str = "id, buyer_id, title, description, budget_amount, budget_currency, \
    metadata, status, seller_id, code_tries, created_at, updated_at";
const OFFERS: &str = "id, request_id, seller_id, amount, currency, status, created_at, \
    updated_at, buyer_id, called_off";
const PAYMENTS: &str = "id, request_id, buyer_id, seller_id, provider, amount, currency, \
    status, received, ledger_entries, created_at, updated_at";

const CONTENTS: &str = "id, kind, title, body, data, created_at, told, kept";
const NOTIFICATIONS: &str = "user_id, ordinal, id, created_at, read_at";
const LEDGER: &str = "user_id, ordinal, id, points, balance, reason, reference, \
    referred_user_id, created_at";

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn int(n: usize) -> Cell {
    Cell::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn at(n: usize) -> Cell {
    Cell::Int(BEGIN + i64::try_from(n).unwrap_or_default())
}

fn id(kind: u8, n: usize) -> String {
    format!("{n:08x}-0000-7000-8000-{kind:x}00000000000")
}

/// The id of a conversation's message: what tells conversations apart is in the middle of it.
pub fn message_id(conversation: &str, ordinal: usize) -> String {
    let middle = format!("-{}-", &conversation[4..8]);
    format!("{ordinal:08x}{}", conversation[8..].replace("-8000-", &middle))
}

/// The first of the groups of 1,000.
pub fn first_group() -> String {
    id(2, 0)
}

/// The first of the twenty conversations of one user.
pub fn first_of_early() -> String {
    id(6, 0)
}

/// A conversation.
struct Conversation {
    id: String,
    people: Vec<String>,
    messages: usize,
    /// How many of the people, from the first, wrote them, in turns.
    writers: usize,
    /// When the last message came.
    active: usize,
    /// How far what orders it is ahead of that.
    ahead: usize,
}

/// Fills a store; the seconds that it took.
///
/// # Errors
/// The store's.
pub fn fill(engine: &mut Engine, rows: usize) -> Result<f64> {
    let start = Instant::now();
    market(engine, rows)?;
    notifications(engine, rows / 10)?;
    points(engine, rows / 10)?;
    let all = conversations(rows);
    engine.insert(
        "conversations",
        CONVERSATIONS,
        &mut all.iter().map(|one| {
            vec![
                text(&one.id),
                text("group"),
                text("null"),
                text(&one.people[0]),
                at(0),
                int(one.messages),
                at(one.active),
                int(one.people.len()),
                at(one.active),
            ]
        }),
    )?;
    engine.insert(
        "participants",
        PARTICIPANTS,
        &mut all.iter().flat_map(|one| {
            one.people.iter().zip(1..).map(|(person, index)| {
                // The `index`th wrote what leaves that when it is divided by the number of writers.
                let (sent, last) = match one.writers {
                    writers if index > writers => (0, 0),
                    writers => {
                        let last = (1..=one.messages).rev().find(|n| n % writers == (index - 1));
                        last.map_or((0, 0), |last| (last.div_ceil(writers), last))
                    }
                };
                vec![
                    text(&one.id),
                    text(person),
                    at(0),
                    int(0),
                    at(one.active + one.ahead),
                    int(index),
                    int(sent),
                    int(last),
                    int(0),
                ]
            })
        }),
    )?;
    engine.insert(
        "messages",
        MESSAGES,
        &mut all.iter().flat_map(|one| {
            (1..=one.messages).map(|ordinal| {
                let sender = &one.people[ordinal % one.writers];
                vec![
                    text(message_id(&one.id, ordinal)),
                    text(&one.id),
                    int(ordinal),
                    text(sender),
                    text("Somebody"),
                    text("What people write to each other is about as long as this line is."),
                    text("[]"),
                    at(one.active),
                    int(ordinal.div_ceil(one.writers)),
                    int(ordinal.saturating_sub(one.writers)),
                ]
            })
        }),
    )?;
    engine.insert(
        "authorships",
        "user_id, conversation_id, first_message",
        &mut all.iter().flat_map(|one| {
            (1..=one.writers.min(one.messages)).map(|ordinal| {
                let sender = &one.people[ordinal % one.writers];
                vec![text(sender), text(&one.id), int(ordinal)]
            })
        }),
    )?;
    engine.settle()?;
    Ok(start.elapsed().as_secs_f64())
}

fn market(engine: &Engine, rows: usize) -> Result<()> {
    let status = |n: usize| STATUSES[n / 3 % STATUSES.len()];
    // Of the first buyer 200, of the others as many as there are.
    let buyer = |n: usize| {
        let others = (rows / 50).max(1);
        let first = n.is_multiple_of((rows / 200).max(1));
        format!("b{:06}", if first { 0 } else { 1 + n % others })
    };
    let seller = |n: usize| format!("s{:04}", n % 1000);
    engine.insert(
        "purchase_requests",
        REQUESTS,
        &mut (0..rows).map(|n| {
            let sold = !["open", "cancelled"].contains(&status(n));
            vec![
                text(id(1, n)),
                text(buyer(n)),
                text("A lamp"),
                text("Green, and not too bright: it is to stand beside the bed."),
                text("40"),
                text("USD"),
                text("null"),
                text(status(n)),
                if sold { text(seller(n)) } else { Cell::Null },
                int(0),
                at(n),
                at(n),
            ]
        }),
    )?;
    // One seller waits for an answer on half of what is open, and on a little that was called off long
    // ago.
    let offered = |n: usize| status(n) == "open" || (status(n) == "cancelled" && n < rows / 100);
    let offers = (0..rows).filter(|n| offered(*n)).step_by(2);
    engine.insert(
        "offers",
        OFFERS,
        &mut offers.map(|n| {
            let called_off = status(n) == "cancelled";
            vec![
                text(id(3, n)),
                text(id(1, n)),
                text("busy"),
                text("35.5"),
                text("USD"),
                text("pending"),
                at(n),
                at(n),
                text(buyer(n)),
                int(called_off.into()),
            ]
        }),
    )?;
    let paid = (0..rows).filter(|n| !["open", "accepted", "cancelled"].contains(&status(*n)));
    engine.insert(
        "payments",
        PAYMENTS,
        &mut paid.take(rows / 5).map(|n| {
            vec![
                text(id(4, n)),
                text(id(1, n)),
                text(buyer(n)),
                text(seller(n)),
                text("decentralized"),
                text("35.5"),
                text("USD"),
                text("confirmed"),
                text("35.5"),
                int(1),
                at(n),
                at(n),
            ]
        }),
    )
}

/// As many for one user as there are, of whom the oldest 50 and the newest 10 are unread, and the
/// newest 10 for another. They are new: old ones would be given up.
fn notifications(engine: &Engine, rows: usize) -> Result<()> {
    let now = Clock::system().now().millis();
    let few = rows.saturating_sub(10);
    engine.insert(
        "notification_contents",
        CONTENTS,
        &mut (0..rows).map(|n| {
            let kept = if n < few { 1 } else { 2 };
            vec![
                text(id(9, n)),
                text("offer"),
                text("An offer for your lamp"),
                text("What people are told is about as long as this line is, or a little longer."),
                text("{\"offerId\":\"o1\"}"),
                Cell::Int(now),
                int(kept),
                int(kept),
            ]
        }),
    )?;
    engine.insert(
        "notifications",
        NOTIFICATIONS,
        &mut (0..rows + 10).map(|n| {
            let (user, ordinal, of) = match n.checked_sub(rows) {
                None => ("overtold", n + 1, n),
                Some(n) => ("told", n + 1, few + n),
            };
            let unread = n < 50 || n >= few;
            let read_at = if unread { Cell::Null } else { Cell::Int(now) };
            vec![text(user), int(ordinal), text(id(9, of)), Cell::Int(now), read_at]
        }),
    )?;
    engine.insert(
        "notification_inboxes",
        "user_id, last_ordinal, unread, read_upto",
        &mut [("overtold", rows, 60), ("told", 10, 10)]
            .into_iter()
            .map(|(user, last, unread)| vec![text(user), int(last), int(unread), int(0)]),
    )
}

/// A ledger of one user.
fn points(engine: &Engine, rows: usize) -> Result<()> {
    engine.insert(
        "points_ledger",
        LEDGER,
        &mut (1..=rows).map(|n| {
            vec![
                text("earner"),
                int(n),
                text(id(10, n)),
                int(1),
                int(n),
                text("A purchase"),
                text(n.to_string()),
                text(""),
                at(n),
            ]
        }),
    )?;
    let account = vec![text("earner"), int(rows), int(rows), int(rows)];
    let columns = "user_id, points, lifetime, entries";
    engine.insert("points_accounts", columns, &mut std::iter::once(account))
}

/// Of a million messages: 2,000 conversations of one user with 150 each, one with 300,000, 50 groups
/// of 1,000 with 1,000 each, and the rest in conversations of two with ten each. Beside them 2,000 of
/// one user that were all active within the same two minutes.
fn conversations(rows: usize) -> Vec<Conversation> {
    let people = |of: &str, from: usize, count: usize| {
        (from..from + count).map(|n| format!("{of}{n:06}")).collect::<Vec<_>>()
    };
    let with = |mut people: Vec<String>, user: &str| {
        people.push(user.to_owned());
        people
    };
    let mut all = Vec::new();
    let long = rows * 3 / 10;
    all.push(Conversation {
        id: LONG.to_owned(),
        people: ["writer", "behind"].map(str::to_owned).to_vec(),
        messages: long,
        writers: 1,
        active: rows,
        ahead: 0,
    });
    let many = (rows / 500).max(10);
    all.extend((0..many).map(|n| Conversation {
        id: id(5, n),
        people: with(people("p", n, 2), "reader"),
        messages: long / many,
        writers: 2,
        active: n * 7919 % many * 60_000,
        ahead: 0,
    }));
    all.extend((0..many).map(|n| Conversation {
        id: id(8, n),
        people: with(people("p", n, 2), "hasty"),
        messages: 0,
        writers: 2,
        active: n * 7919 % many * 60,
        ahead: 15_000,
    }));
    all.extend((0..50).map(|n| Conversation {
        id: id(2, n),
        people: with(people("g", n, 999), "crowded"),
        messages: rows / 1000,
        writers: 999,
        active: n * 17 % 50 * 60_000,
        ahead: 0,
    }));
    all.extend((0..20).map(|n| Conversation {
        id: id(6, n),
        people: with(people("p", n, 2), "early"),
        messages: 150,
        writers: 2,
        active: n * 60_000,
        ahead: 0,
    }));
    all.extend((0..rows / 30).map(|n| Conversation {
        id: id(7, n),
        people: people("q", n, 2),
        messages: 10,
        writers: 2,
        active: n,
        ahead: 0,
    }));
    all
}
