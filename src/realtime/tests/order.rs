//! What comes before what: CONNECT, joins, leaves, and bursts into one room.

use std::sync::Arc;

use tokio::sync::{Barrier, mpsc};

use super::{
    JOIN, LEAVE, PAUSE, Seen, Server, Told, Violation,
    client::{Client, Packet},
    room, token, within,
};
use crate::event::Namespace;

/// The number of an event of a series without padding.
fn number(event: &str) -> Seen<u64> {
    let number = event.strip_prefix(r#"["check:told",{"number":"#);
    let number = number.and_then(|rest| rest.strip_suffix(r#","padding":""}]"#));
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or_else(|| Violation::Frame(format!("not as it was sent: {event}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_heard_whole_from_its_joins_acknowledgement_to_its_leaves() -> Seen<()> {
    const ROUNDS: u64 = 200;
    let server = Arc::new(Server::start());
    let mut client = Client::connected(server.address).await?;
    let (begin, bursts) = mpsc::channel(1);
    let telling = tokio::spawn(tell_bursts(server.clone(), bursts));
    for round in 0..ROUNDS {
        // A burst falls somewhere around the next few lines.
        begin.send(round).await.expect("a teller");
        // What is told between the join and its acknowledgement may come before that.
        let (mut heard, _) = client.asked(Namespace::Root, JOIN, &room(1)).await?;
        server.tell(&room(1), u64::MAX, "");
        let (more, _) = client.asked(Namespace::Root, LEAVE, &room(1)).await?;
        heard.extend(more);
        let mut heard: Vec<u64> = heard.iter().map(|event| number(event)).collect::<Seen<_>>()?;
        let own = heard.iter().position(|number| *number == u64::MAX);
        heard.remove(own.ok_or_else(|| Violation::Lost("told after the join".into()))?);
        if heard.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
            return Err(Violation::Order(format!("{heard:?} is no whole part of a burst")));
        }
        let (after, _) = client.asked(Namespace::Root, PAUSE, &0).await?;
        if !after.is_empty() {
            return Err(Violation::Order(format!("{after:?} after the leave")));
        }
    }
    drop(begin);
    within("the teller", telling).await?.expect("no panic");
    Ok(())
}

async fn tell_bursts(server: Arc<Server>, mut bursts: mpsc::Receiver<u64>) {
    while let Some(round) = bursts.recv().await {
        for number in 0..30 {
            server.tell(&room(1), round * 30 + number, "");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_comes_first_and_then_everything_from_some_event_on() -> Seen<()> {
    const CLIENTS: usize = 60;
    /// All of it is less than what may wait for one peer.
    const EVENTS: u64 = 3000;
    let server = Arc::new(Server::start());
    let connected = Arc::new(Barrier::new(CLIENTS + 1));
    let listen = |namespace| {
        let (server, connected, token) = (server.clone(), connected.clone(), token());
        async move {
            let mut client = Client::open(server.address).await?;
            // Fails when anything of the namespace comes before.
            client.connect_as(namespace, &token).await?;
            connected.wait().await;
            let mut next = None;
            while next != Some(EVENTS) {
                let Packet::Event(_, event) = client.next().await? else {
                    return Err(Violation::Lost("the stream ended".into()));
                };
                let number = number(&event)?;
                if next.is_some_and(|next| next != number) {
                    return Err(Violation::Order(format!("{number} instead of {next:?}")));
                }
                next = Some(number + 1);
            }
            Ok(())
        }
    };
    let clients = (0..CLIENTS).map(|client| tokio::spawn(listen(Namespace::ALL[client % 3])));
    let clients: Vec<_> = clients.collect();
    for number in 0..EVENTS {
        if number == EVENTS - 1 {
            // Everyone hears at least the last one.
            within("everyone", connected.wait()).await?;
        }
        server.realtime.emitter().emit_global(&Told { number, padding: String::new() });
        tokio::task::yield_now().await;
    }
    for client in clients {
        within("a client", client).await?.expect("no panic")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_many_publishers_into_one_room_is_heard_whole_and_in_one_order() -> Seen<()> {
    const MEMBERS: usize = 30;
    const PUBLISHERS: u64 = 16;
    /// All of it is less than what may wait for one peer.
    const EACH: u64 = 500;
    let server = Arc::new(Server::start());
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        let mut member = Client::connected(server.address).await?;
        member.asked(Namespace::Root, JOIN, &room(1)).await?;
        members.push(member);
    }
    for publisher in 0..PUBLISHERS {
        let server = server.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                server.tell(&room(1), publisher * EACH + number, "");
            }
        });
    }
    let listen = |mut member: Client| async move {
        let mut heard = Vec::new();
        while heard.len() < usize::try_from(PUBLISHERS * EACH).unwrap() {
            let Packet::Event(_, event) = member.next().await? else {
                return Err(Violation::Lost(format!("ended after {}", heard.len())));
            };
            heard.push(number(&event)?);
        }
        Ok(heard)
    };
    let members = members.into_iter().map(|member| tokio::spawn(listen(member)));
    let heard = futures_util::future::join_all(members.collect::<Vec<_>>()).await;
    let heard: Vec<Vec<u64>> =
        heard.into_iter().map(|heard| heard.expect("no panic")).collect::<Seen<_>>()?;
    if heard.iter().any(|other| *other != heard[0]) {
        return Err(Violation::Order("members heard a room in different orders".into()));
    }
    for publisher in 0..PUBLISHERS {
        let of = heard[0].iter().copied().filter(|number| number / EACH == publisher);
        if !of.eq(publisher * EACH..(publisher + 1) * EACH) {
            return Err(Violation::Order(format!("publisher {publisher} is out of order")));
        }
    }
    Ok(())
}
