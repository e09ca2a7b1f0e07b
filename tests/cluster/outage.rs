//! Redis goes away, comes back, or says nothing: what is kept is heard on every node all the time, what
//! is not on its own.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::json;

use super::Common;
use crate::support::{Person, TestApp, eventually, redis::Redis, within};

/// Two people in a conversation, each on a node of their own.
pub(super) async fn talk(here: &TestApp, there: &TestApp) -> (Person, Person, String) {
    let (mut ann, mut bob) = (here.user("ann").await, there.user("bob").await);
    let talk = ann.group(&["bob"]).await;
    for person in [&mut ann, &mut bob] {
        person.join("conversation:join", &talk).await;
    }
    (ann, bob, talk)
}

/// Has one type until the other sees it: what is said before their nodes hear each other is lost.
pub(super) async fn until_seen(ann: &mut Person, bob: &mut Person, talk: &str) {
    let seen = eventually(async || {
        ann.emit_ack("typing:start", json!({ "conversationId": talk })).await;
        bob.emit_ack("typing:stop", json!({ "conversationId": talk })).await;
        (!bob.queued("typing:start").is_empty()).then_some(())
    });
    within("typing on the other node", seen).await;
}

#[tokio::test]
async fn a_node_starts_without_redis_and_joins_the_others_when_it_comes() {
    let mut common = Common::with(Redis::absent()).await;
    let [here, there] = [common.node().await, common.node().await];
    let (mut ann, mut bob, talk) = talk(&here, &there).await;
    let mut tab = here.user("cat").await;
    ann.say(&talk, "without").await;
    assert_eq!(bob.expect("message:new").await["content"], "without");
    let emit = json!({ "to": "everyone", "event": "x", "volatile": true });
    assert_eq!(here.post("/api/emit", emit).await.ok()["sockets"], 2);
    tab.expect("x").await;
    assert!(bob.queued("x").is_empty());
    common.redis.resume();
    until_seen(&mut ann, &mut bob, &talk).await;
}

#[tokio::test]
async fn redis_may_be_killed_and_come_back() {
    let mut common = Common::new().await;
    let [here, there] = common.two().await;
    let (mut ann, mut bob, talk) = talk(&here, &there).await;
    for round in 0..3 {
        until_seen(&mut ann, &mut bob, &talk).await;
        common.redis.stop();
        here.parted().await;
        there.parted().await;
        let words = format!("without {round}");
        ann.say(&talk, &words).await;
        assert_eq!(bob.expect("message:new").await["content"], words);
        ann.emit_ack("typing:start", json!({ "conversationId": talk })).await;
        common.redis.resume();
        here.joined().await;
        there.joined().await;
    }
    until_seen(&mut ann, &mut bob, &talk).await;
}

/// Stands before Redis. Once it is deaf, what it has for who subscribed goes nowhere.
fn before(redis: &Redis) -> (u16, Arc<AtomicBool>) {
    let port = redis.port();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let own = listener.local_addr().expect("a port").port();
    let deaf = Arc::new(AtomicBool::new(false));
    let is_deaf = deaf.clone();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("Redis");
            let subscribed = Arc::new(AtomicBool::new(false));
            let pass = |mut from: TcpStream, mut to: TcpStream, is_up: bool| {
                let (subscribed, is_deaf) = (subscribed.clone(), is_deaf.clone());
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(read @ 1..) = from.read(&mut bytes) {
                        let some = &bytes[..read];
                        if is_up && some.windows(9).any(|word| word == b"SUBSCRIBE") {
                            subscribed.store(true, Ordering::SeqCst);
                        }
                        let is_lost = !is_up
                            && subscribed.load(Ordering::SeqCst)
                            && is_deaf.load(Ordering::SeqCst);
                        if !is_lost && to.write_all(some).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Both);
                });
            };
            let copy = |stream: &TcpStream| stream.try_clone().expect("a stream");
            pass(copy(&client), copy(&server), true);
            pass(server, client, false);
        }
    });
    (own, deaf)
}

#[tokio::test]
async fn a_subscription_that_hears_nothing_is_made_anew() {
    let common = Common::new().await;
    let (port, deaf) = before(&common.redis);
    let through = format!("redis://127.0.0.1:{port}");
    let here = common.node().await;
    let there = Box::pin(TestApp::with(|config| {
        common.set(config);
        config.cluster.redis_url = Some(through.into());
    }));
    let there = there.await;
    here.joined().await;
    there.joined().await;
    let (mut ann, mut bob, talk) = talk(&here, &there).await;
    until_seen(&mut ann, &mut bob, &talk).await;
    deaf.store(true, Ordering::SeqCst);
    there.parted().await;
    deaf.store(false, Ordering::SeqCst);
    there.joined().await;
    until_seen(&mut ann, &mut bob, &talk).await;
}
