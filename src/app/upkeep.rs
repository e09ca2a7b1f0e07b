//! What goes on beside the requests, until the server stops.

use super::{ground::Ground, rooms::Rooms, store};
use crate::{
    chat::prune_messages,
    db::{Db, Listener},
    log_limit,
};

/// Begins it, with who hears of other processes' records, where there may be some.
pub(super) fn begin(ground: &Ground, db: &Db, rooms: &Rooms, records: Option<Listener>) {
    let (tasks, config) = (&ground.tasks, &ground.config);
    let Rooms { access, accounts, idempotency, notifications, payments, proxy, users, .. } =
        rooms.clone();
    rooms.webhooks.deliver(tasks);
    if let Some(log) = rooms.presence_log.clone() {
        let kept = log.keep(rooms.presence.clone(), config.presence.grace);
        tasks.spawn_until_stopped("presence for webhooks", kept);
    }
    if let Some(records) = records {
        tasks.spawn_until_stopped("records of other processes", access.follow_records(records));
    }
    tasks.spawn_until_stopped(
        "old events",
        store::prune(db.clone(), config.database.event_retention),
    );
    if let Some(keep_for) = config.database.message_retention {
        tasks.spawn_until_stopped("old messages", prune_messages(db.clone(), keep_for));
    }
    tasks.spawn_until_stopped("old answers", idempotency.prune());
    tasks.spawn_until_stopped("old sign-ins", accounts.prune());
    tasks.spawn_until_stopped(
        "old notifications",
        notifications.prune(config.notifications.retention),
    );
    tasks.spawn_until_stopped("old revocations", users.clone().prune());
    tasks.spawn_until_stopped("erasures", users.carry_out_erasures());
    tasks.spawn_until_stopped("payouts", payments.watch_payouts(config.shkeeper.poll_interval));
    if let Some(proxy) = proxy {
        tasks.spawn_until_stopped("rights of a backend", proxy.renew_rights());
    }
    tasks.spawn_until_stopped("metrics", ground.metrics.clone().keep_up());
    tasks.spawn_until_stopped("history", rooms.admin.clone().keep_history());
    tasks.spawn_until_stopped("log", log_limit::tell_the_rest());
}
