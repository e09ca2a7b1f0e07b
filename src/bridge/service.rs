//! Does what emitters ask, in the order in which it was published: what they send is kept, and heard, as what
//! backends send over REST.

use std::{mem::take, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::{
    message::{Asked, Refusal},
    node, python,
    rights::Rights,
    sockets::SocketCommands,
};
use crate::{
    cluster::{Emitted, Source, Taken},
    config::Config,
    control::{Control, SocketsCommand},
    db::Db,
    error::{Code, Error, Result},
    event::InvalidPattern,
    log_limit, metrics,
    realtime::{EmitService, ExternalEvent},
    tasks::Tasks,
};

/// How often it is looked whether the store is back.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The bridge.
pub struct Bridge {
    rights: Rights,
    db: Db,
    emits: EmitService,
    commands: SocketCommands,
    tasks: Tasks,
}

impl Bridge {
    /// By way of these, as far as emitters may.
    ///
    /// # Errors
    /// When a pattern is none, of which a validated configuration has none.
    pub fn new(
        config: &Config,
        db: Db,
        emits: EmitService,
        commands: SocketCommands,
        tasks: Tasks,
    ) -> Result<Self, InvalidPattern> {
        Ok(Self { rights: Rights::new(config)?, db, emits, commands, tasks })
    }

    /// Does what is taken, until the server stops; what was taken by then, too.
    pub async fn carry_out(self, mut taken: mpsc::Receiver<Taken>) {
        let mut stopping = std::pin::pin!(self.tasks.stopping());
        loop {
            tokio::select! {
                () = &mut stopping => break,
                some = taken.recv() => match some {
                    Some(some) => self.do_all(some).await,
                    None => return,
                },
            }
        }
        taken.close();
        while let Some(some) = taken.recv().await {
            self.do_all(some).await;
        }
    }

    async fn do_all(&self, taken: Taken) {
        let mut emits = Vec::new();
        for Emitted { source, channel, payload, .. } in &taken.messages {
            match self.read(*source, channel, payload) {
                Ok(Asked::Emit(emit)) => {
                    // Those that are kept are sent before the others of a call.
                    let is_other =
                        |last: &(Source, ExternalEvent)| last.1.volatile != emit.volatile;
                    if emits.last().is_some_and(is_other) {
                        self.send(take(&mut emits)).await;
                    }
                    emits.push((*source, emit));
                }
                Ok(Asked::Command(command)) => {
                    self.send(take(&mut emits)).await;
                    self.command(*source, command).await;
                }
                Err(refusal) => pass_over(*source, &refusal),
            }
        }
        self.send(emits).await;
        // Only now may another node take what comes later.
        drop(taken);
    }

    fn read(&self, source: Source, channel: &str, payload: &[u8]) -> Result<Asked, Refusal> {
        self.rights.size(payload.len())?;
        match source {
            Source::NodeEvents => node::broadcast(payload, &self.rights),
            Source::NodeRequests => node::request(channel, payload, &self.rights),
            Source::Python => python::message(payload, &self.rights),
        }
    }

    /// Sends events together; where the store does not take them all, each by itself.
    async fn send(&self, emits: Vec<(Source, ExternalEvent)>) {
        let all = emits.iter().map(|(_, emit)| emit.clone()).collect::<Vec<_>>();
        if all.is_empty() {
            return;
        }
        let sent = self.emits.send(all).await;
        let is_one_of_several =
            |error: &Error| error.code() != Code::Unavailable && emits.len() > 1;
        if !sent.as_ref().is_err_and(is_one_of_several) {
            let sources = emits.iter().map(|(source, _)| *source);
            return self.note(sources, "sent", sent.map(drop)).await;
        }
        for (source, emit) in emits {
            let sent = self.emits.send(vec![emit]).await;
            self.note([source], "sent", sent.map(drop)).await;
        }
    }

    /// Has all nodes do something with their sockets, after what was sent before.
    async fn command(&self, source: Source, command: SocketsCommand) {
        let others = Control::Sockets { command: command.clone() };
        let told = self.db.instruct(others).await;
        if told.is_ok() {
            self.commands.carry_out(command).await;
        }
        self.note([source], "done", told).await;
    }

    /// Counts what has become of messages; waits for a store that is away.
    async fn note(
        &self,
        sources: impl IntoIterator<Item = Source>,
        done: &'static str,
        outcome: Result<()>,
    ) {
        let Err(error) = outcome else {
            for source in sources {
                metrics::bridge_messages(source.label(), done).increment(1);
            }
            return;
        };
        let is_away = error.code() == Code::Unavailable;
        let refusal = Refusal::Store(error);
        for source in sources {
            pass_over(source, &refusal);
        }
        if is_away {
            self.until_store_is_back().await;
        }
    }

    /// What was published meanwhile waits. What the store was asked to keep and gave no answer to is not
    /// tried again: it may have been kept.
    async fn until_store_is_back(&self) {
        let back = async {
            while self.db.read(async |_| Ok(())).await.is_err() {
                sleep(LOOK_INTERVAL).await;
            }
        };
        tokio::select! {
            () = back => {}
            () = self.tasks.stopping() => {}
        }
    }
}

/// Says in the log why nothing is done, once in a while for each reason.
fn pass_over(source: Source, refusal: &Refusal) {
    let emitter = source.label();
    metrics::bridge_messages(emitter, refusal.label()).increment(1);
    let about = refusal.to_string();
    if let Some(left_out) = log_limit::admit("bridge", None, &about) {
        tracing::warn!(emitter, why = about, left_out, "what an emitter published is passed over");
    }
}
