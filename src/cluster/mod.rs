//! Several nodes on one Postgres, by way of Redis (`REDIS_URL`): what need not last is sent to the other
//! nodes' sockets, who is here is counted once over all of them, and a node is told at once that another
//! has committed. What is kept reaches every node by the store alone, so Redis may go away at any moment.
//!
//! | channel | message |
//! |---|---|
//! | `stoa:wake` | the node that has committed events; at most one in 2 ms |
//! | `stoa:soft` | `{"v":1,"n":node,"t":ms,"b":[…]}`: what is not kept, as the emitter writes it, and when |
//! | `stoa:presence` | who came and who went ([`Cluster::tick`]) |
//! | `stoa:ask` | `{"v":1,"n":node,"id":7,"q":…}`: a question to all others ([`Cluster::ask_others`]) |
//! | `stoa:reply:<node>` | `{"v":1,"n":node,"id":7,"a":…}`: what one of them answers |
//! | `stoa:probe:<node>` | to oneself, after some silence |
//! | `stoa:mark` | a name and a time: from here on messages of emitters are numbered anew ([`Emitted`]) |
//!
//! What has another `v` is a newer node's, and passed over.

mod asked;
mod asks;
mod claims;
mod connection;
mod emitters;
mod envelope;
mod examine;
mod names;
mod nodes;
mod presence;
mod queue;
mod scripts;
mod server;
mod shared;

pub use self::{
    asks::Answers,
    connection::{Change, Hearer},
    emitters::{Emitted, Source, Taken},
    examine::{ExamineError, Examined},
    nodes::Cluster,
    presence::{Online, Step, Ticked},
    server::Unusable,
    shared::{Away, State},
};
