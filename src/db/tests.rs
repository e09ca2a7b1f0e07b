//! The store, on both engines.

use super::*;
use crate::{
    config::Config,
    id::Id,
    room::Room,
    stream::{DomainEvent, Rendering, Stream, Target},
};

struct Said(&'static str);

impl DomainEvent for Said {
    fn stream(&self) -> Stream {
        Stream::Conversation(Id::new(self.0).unwrap())
    }
    fn render(&self, seq: i64) -> Vec<Rendering> {
        let data = serde_json::value::to_raw_value(&seq).unwrap();
        let room = Room::Conversation(Id::new(self.0).unwrap());
        vec![Rendering {
            to: Target::Rooms { rooms: vec![room], except: Vec::new() },
            event: "said".to_owned().try_into().unwrap(),
            data,
            except_user: None,
            namespace: None,
            id: None,
        }]
    }
}

#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::for_tests();
    config.data = dir.path().to_owned();
    let db = Db::open(&config.database, &config.data, Clock::system()).await.unwrap();
    let n = db
        .write(async |tx| {
            tx.announce(Said("c1"));
            tx.announce(Said("c1"));
            Ok(7)
        })
        .await
        .unwrap();
    assert_eq!(n, 7);
    let (position, events) = db
        .read(async |tx| {
            let stream = Stream::Conversation(Id::new("c1").unwrap());
            Ok((position(tx, &stream).await?, events_after(tx, &stream, 0, 10).await?))
        })
        .await
        .unwrap();
    let position = position.unwrap();
    assert_eq!((position.seq, position.oldest), (2, 1));
    assert_eq!(events.len(), 2);
    db.close().await;
}
