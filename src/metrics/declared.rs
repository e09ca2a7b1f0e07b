//! Every metric, with its labels and the values with which it is there from the start. Values that are
//! not known before, such as routes, are few: no label has what a caller made up.

use metrics::{Counter, Gauge, Histogram, SharedString};

/// Declares metrics: kind, function with the labels in order, each with the values it begins with, and
/// name. The doc comment is the help text in `/metrics`.
macro_rules! declare {
    (@handle counter) => { Counter };
    (@handle gauge) => { Gauge };
    (@handle histogram) => { Histogram };
    (@describe counter $name:literal $doc:expr) => { metrics::describe_counter!($name, $doc) };
    (@describe gauge $name:literal $doc:expr) => { metrics::describe_gauge!($name, $doc) };
    (@describe histogram $name:literal $doc:expr) => { metrics::describe_histogram!($name, $doc) };
    (@begin $function:ident ($($bound:ident)*)) => { let _ = $function($($bound),*); };
    (@begin $function:ident ($($bound:ident)*) $label:ident [$($value:literal)*] $($rest:tt)*) => {
        for &$label in &[$($value),*] as &[&'static str] {
            declare!(@begin $function ($($bound)* $label) $($rest)*);
        }
    };
    ($($(#[doc = $doc:literal])+
    $kind:ident $function:ident($($label:ident: [$($value:literal),*]),*) = $name:literal;)+) => {
        $($(#[doc = $doc])+
        pub fn $function($($label: impl Into<SharedString>),*) -> declare!(@handle $kind) {
            metrics::$kind!($name $(, stringify!($label) => $label.into())*)
        })+

        pub(super) fn describe() {
            $(declare!(@describe $kind $name concat!($($doc),+).trim_start());)+
        }

        /// The names of all metrics.
        pub const NAMES: &[&str] = &[$($name),+];

        /// Has all of them there, without changing what they have.
        pub(super) fn begin() {
            $(declare!(@begin $function () $($label [$($value)*])*);)+
        }
    };
}

declare! {
    /// 1, by the name of this node: there is one where there may be others.
    gauge node_info(node: []) = "stoa_node_info";
    /// Requests answered, by route, method and status.
    counter http_requests(
        route: ["unmatched"],
        method: ["GET"],
        status: ["404"]
    ) = "stoa_http_requests_total";
    /// Time to an answer in seconds, by route and method.
    histogram http_duration(
        route: ["unmatched"],
        method: ["GET"]
    ) = "stoa_http_request_duration_seconds";
    /// Requests refused because their caller asked too fast, by class: `write` and `read` of users,
    /// `operator`, `stranger` for addresses without valid credentials, and those of accounts:
    /// `login`, `account_login`, `address_login`, `registration`, `password_reset`.
    counter requests_limited(
        class: ["write", "read", "operator", "stranger", "login", "account_login", "address_login", "registration", "password_reset"]
    ) = "stoa_http_requests_limited_total";
    /// Passwords that were tried, by outcome: `right` or `wrong`.
    counter logins(outcome: ["right", "wrong"]) = "stoa_logins_total";
    /// Refresh tokens that were used twice: each ended what was refreshed with it.
    counter refresh_reuses() = "stoa_refresh_tokens_reused_total";
    /// Open Socket.IO connections, by namespace.
    gauge connections(namespace: ["/", "/chat", "/marketplace"]) = "stoa_connections";
    /// Calls refused because of the token or API key that they came with, by the reason's stable
    /// code.
    counter credentials_refused(
        reason: ["token_missing", "token_invalid", "token_expired"]
    ) = "stoa_http_credentials_refused_total";
    /// Handshakes refused, by the reason's stable code.
    counter handshakes_refused(
        reason: ["token_missing", "token_invalid", "token_expired", "origin", "address_limit", "user_limit"]
    ) = "stoa_handshakes_refused_total";
    /// Events received, by name (`proxied` for one that a backend is asked, `unknown` for any other that
    /// is not in the catalogue) and outcome: `ok`
    /// or the code of the error.
    counter events_in(
        event: ["unknown", "proxied"],
        outcome: ["ok"]
    ) = "stoa_events_received_total";
    /// Questions to the backend of the event proxy, by kind (`event`, `join`), by the pattern that took
    /// the event, and by outcome: `answered`, `refused`, or why there is no answer (`timeout`,
    /// `unreachable`, `status`, `unreadable`, `too_large`), and it was not asked (`open`, `busy`).
    counter proxy_questions(
        kind: ["event", "join"],
        event: ["rooms"],
        outcome: ["answered"]
    ) = "stoa_proxy_questions_total";
    /// Time from an event's turn to the backend's answer in seconds, by kind and pattern.
    histogram proxy_duration(
        kind: ["event", "join"],
        event: ["rooms"]
    ) = "stoa_proxy_question_duration_seconds";
    /// Answers of that backend that were not done, by the part that could not be: `join`, `leave`.
    counter proxy_answers_refused(part: ["join", "leave"]) = "stoa_proxy_answers_refused_total";
    /// Events that webhooks had to tell, by webhook and by what became of it: `delivered`, `nothing` (it was
    /// taken back, or is too old), `status`, `timeout`, `unreachable` (it is tried again), `put_aside`, and
    /// `gone` (a 410 turned the webhook off).
    counter webhook_deliveries(
        webhook: ["default"],
        outcome: ["delivered", "nothing", "status", "timeout", "unreachable", "put_aside", "gone"]
    ) = "stoa_webhook_deliveries_total";
    /// Time of the calls that delivered an event in seconds, by webhook.
    histogram webhook_duration(webhook: ["default"]) = "stoa_webhook_delivery_duration_seconds";
    /// Kept events after the first that a webhook is still to be told, by webhook.
    gauge webhook_behind(webhook: ["default"]) = "stoa_webhook_behind_events";
    /// Events that a webhook failed to tell and tries again, by webhook.
    gauge webhook_retried(webhook: ["default"]) = "stoa_webhook_retried_events";
    /// Events delivered to sockets of this node, one for each socket, by name.
    counter events_out(event: ["other"]) = "stoa_events_delivered_total";
    /// Volatile events that were dropped for a socket for which bytes waited.
    counter volatile_dropped() = "stoa_volatile_events_dropped_total";
    /// Connections closed because they took too little for too long.
    counter slow_consumers() = "stoa_slow_consumers_closed_total";
    /// Clients that came back to a session, by what became of it (`recovered`, `lost`).
    counter recoveries(outcome: ["recovered", "lost"]) = "stoa_recoveries_total";
    /// Connections closed because their token was revoked or their user blocked.
    counter revoked_closed() = "stoa_revoked_closed_total";
    /// Transports closed because they sent too much that is no event within its rate.
    counter rate_limited() = "stoa_rate_limited_closed_total";
    /// Open TCP connections that are no websocket.
    gauge http_connections() = "stoa_http_connections";
    /// TCP connections refused because their peer has as many as it may.
    counter http_connections_refused() = "stoa_http_connections_refused_total";
    /// Users who came or went, by what they are now (`online`, `offline`).
    counter presence_transitions(to: ["online", "offline"]) = "stoa_presence_transitions_total";
    /// Events refused because the queue of their connection was full.
    counter queue_overflows() = "stoa_queue_overflows_total";
    /// Whether this node is one of several, which Redis joins.
    gauge cluster_configured() = "stoa_cluster_configured";
    /// Whether this node is connected to Redis.
    gauge cluster_connected() = "stoa_cluster_connected";
    /// Times that the connection to Redis was lost.
    counter cluster_lost() = "stoa_cluster_connections_lost_total";
    /// Messages to Redis, by channel.
    counter cluster_published(
        channel: ["wake", "soft", "presence", "ask", "reply", "probe"]
    ) = "stoa_cluster_messages_published_total";
    /// Messages from Redis, by channel.
    counter cluster_received(
        channel: ["wake", "soft", "presence", "ask", "reply", "probe"]
    ) = "stoa_cluster_messages_received_total";
    /// Events that are not kept and were sent to other nodes.
    counter cluster_sent() = "stoa_cluster_events_sent_total";
    /// What other nodes did not hear, or this one could not read: `away`, `queue_full`,
    /// `unreadable`, and questions that it had no time for: `busy`.
    counter cluster_dropped(
        reason: ["away", "queue_full", "unreadable", "busy"]
    ) = "stoa_cluster_dropped_total";
    /// What emitters of other backends published and this node took, by emitter (`node`, `python`) and by
    /// what became of it: `sent`, `done` (a command), `refused`, `unreadable`, `unavailable` (the store was
    /// away); and what it could not take: `dropped`.
    counter bridge_messages(
        emitter: ["node", "python"],
        outcome: ["sent", "done", "refused", "unreadable", "unavailable", "dropped"]
    ) = "stoa_bridge_messages_total";
    /// Time until a unit of work is begun in seconds, by kind of work (`read`, `write`).
    histogram store_wait(work: ["read", "write"]) = "stoa_store_wait_duration_seconds";
    /// Time until a unit of work is answered in seconds, its wait included, by kind of work.
    histogram store_duration(work: ["read", "write"]) = "stoa_store_unit_duration_seconds";
    /// Units of work that wait until they are begun, by kind of work.
    gauge store_queued(work: ["read", "write"]) = "stoa_store_queued_units";
    /// Time of a transaction's commit in seconds: a flush of the disk, which on SQLite serves many units.
    histogram store_commit() = "stoa_store_commit_duration_seconds";
    /// Units of work that the store failed, by kind of work and why: `unavailable`, `full`, `timeout`,
    /// `busy`, `too_large`, `other`. What a unit itself refused is none of them.
    counter store_errors(
        work: ["read", "write"],
        reason: ["unavailable", "full", "timeout", "busy", "too_large", "other"]
    ) = "stoa_store_errors_total";
    /// Bytes that the store takes: the `database`, and on SQLite its `log`, looked at once in a minute.
    gauge store_bytes(part: ["database", "log"]) = "stoa_store_size_bytes";
    /// Whether the store does what it is asked.
    gauge store_available() = "stoa_store_available";
    /// Time from when an event was announced until this node handed it on in seconds, whichever node
    /// kept it.
    histogram tail_lag() = "stoa_tail_lag_seconds";
    /// Positions before the last event that was handed on whose events may still come.
    gauge tail_missing() = "stoa_tail_missing_positions";
    /// Rooms with sockets of this node, by kind: `user` and so on, as the prefix of their names has it.
    gauge rooms(
        kind: ["user", "conversation", "chat", "request", "seller", "sellers", "buyer", "buyers",
            "checkout", "admins", "other"]
    ) = "stoa_rooms";
    /// Time from when an event was sent until the last socket of this node was written to in seconds, by
    /// name; `bundle` for many small ones that are sent as one.
    histogram broadcast_duration(event: ["other", "bundle"]) = "stoa_broadcast_duration_seconds";
    /// Questions to the backend of the event proxy that are under way or wait.
    gauge proxy_waiting() = "stoa_proxy_waiting_questions";
    /// Payouts that the provider has not said to be through, by status, as the store has them; 10,000 at
    /// most.
    gauge payouts_pending(status: ["pending", "processing"]) = "stoa_payouts_pending";
    /// Since how many seconds the oldest of these is under way.
    gauge payouts_oldest() = "stoa_payouts_oldest_pending_seconds";
    /// Nodes whose leases go on, this one among them; 0 without Redis.
    gauge cluster_nodes() = "stoa_cluster_nodes";
    /// Leases of this node that ended although it was there.
    counter cluster_leases_lost() = "stoa_cluster_leases_lost_total";
    /// Events that wait to be sent to other nodes.
    gauge cluster_queued() = "stoa_cluster_queued_events";
    /// Time of an answer by Redis in seconds.
    histogram cluster_ask() = "stoa_cluster_redis_duration_seconds";
    /// Time from when another node sent events that are not kept until this one has heard of them in
    /// seconds, as far as their clocks agree.
    histogram cluster_lag() = "stoa_cluster_lag_seconds";
    /// Panics of tasks, by the task's name.
    counter task_panics(task: ["work"]) = "stoa_task_panics_total";
}
