//! What is wrong now, in words: what is away, and what the last minutes say.

use super::{figures::STEP, ring::Ring};
use crate::{
    admin::documents::{Severity, Trouble},
    rest::health::Condition,
};

/// How far back counts matter: five minutes.
const RECENT_STEPS: usize = 30;

/// How long something has to be slow.
const SLOW_STEPS: usize = 3;

/// Seconds from which one in a hundred units of work of the store is slow.
const SLOW_STORE: f32 = 0.25;

/// Seconds from which events come late.
const LATE: f32 = 1.0;

/// Refusals that are worth a word: tokens expire, and clients come with old ones.
const MANY_REFUSALS: f32 = 50.0;

/// Calls that fail by the server's fault in a second, from which on it is told.
const FAILED_CALLS: f32 = 0.001;

/// Seconds after which a payout should be through.
const LONG_PAYOUT: f32 = 3600.0;

/// Events that a webhook may be behind.
const FAR_BEHIND: f32 = 1000.0;

/// All of it, the worst first.
pub(super) fn find(ring: &Ring, state: &Condition) -> Vec<Trouble> {
    let mut found = away(state);
    found.extend(store(ring));
    found.extend(realtime(ring));
    found.extend(webhooks(ring));
    found.extend(money(ring));
    found.sort_by_key(|trouble| trouble.severity);
    found
}

fn bad(code: &'static str, title: impl Into<String>, detail: impl Into<String>) -> Trouble {
    Trouble { code, severity: Severity::Bad, title: title.into(), detail: detail.into() }
}

fn warning(code: &'static str, title: impl Into<String>, detail: impl Into<String>) -> Trouble {
    Trouble { code, severity: Severity::Warning, title: title.into(), detail: detail.into() }
}

/// What this node says of itself.
fn away(state: &Condition) -> Vec<Trouble> {
    let mut found = Vec::new();
    if state.is_draining {
        let detail = "This node takes no new sockets and lets go of those that it has.";
        found.push(bad("draining", "This node is stopping.", detail));
    }
    for part in &state.failing {
        let detail = "Whatever needs it is answered with 503 until it is back. The log says why.";
        found.push(bad("away", format!("The {part} is away."), detail));
    }
    for (part, told) in &state.details {
        match (*part, *told) {
            (_, "ok") => {}
            ("redis", _) => {
                let detail = "Events that are kept reach every node by the store; typing, presence and \
                     volatile events stay on this one until Redis is back.";
                found.push(warning("redis_away", "Redis is away.", detail));
            }
            ("proxy", _) => {
                let detail = "The backend of the event proxy does not answer: clients get `unavailable` \
                     for what it would be asked. It is tried once a second.";
                found.push(warning("proxy_failing", "The event proxy is failing.", detail));
            }
            (part, told) => {
                let title = format!("The {part} is {told}.");
                found.push(warning("degraded", title, "GET /readyz has it among its details."));
            }
        }
    }
    if state.is_trusting {
        let detail =
            "A socket without a token is believed when it says who it is (HANDSHAKE=trusting).";
        found.push(warning("trusting", "The handshake is trusting.", detail));
    }
    found
}

fn store(ring: &Ring) -> Vec<Trouble> {
    let mut found = Vec::new();
    let errors = recent(ring, "storeErrors");
    if let Some((_, count)) = errors.iter().find(|(reason, _)| *reason == "full") {
        let detail =
            format!("The store could not write {count} times in 5 minutes: its disk is full.");
        found.push(bad("disk_full", "The disk is full.", detail));
    }
    let others: Vec<_> = errors.into_iter().filter(|(reason, _)| *reason != "full").collect();
    if !others.is_empty() {
        let detail = format!("Units of work in 5 minutes, by why: {}.", listed(&others));
        found.push(bad("store_errors", "The store fails.", detail));
    }
    for (line, slowest) in slow(ring, "store", SLOW_STORE) {
        let work = line.trim_end_matches(" p99");
        let detail = format!(
            "For half a minute one {work} in a hundred has taken {slowest:.1} s. Look at its disk, or at \
             the server it is on."
        );
        found.push(warning("store_slow", "The store is slow.", detail));
    }
    for (_, slowest) in slow(ring, "tail", LATE) {
        let detail = format!("They go out {slowest:.1} s after they were stored.");
        found.push(warning("late", "Events are late.", detail));
    }
    found
}

fn realtime(ring: &Ring) -> Vec<Trouble> {
    let mut found = Vec::new();
    let slow = recent(ring, "closes").into_iter().find(|(reason, _)| *reason == "slow");
    if let Some((_, count)) = slow {
        let title = format!("{} cut.", many(count, "slow consumer was", "slow consumers were"));
        let detail =
            "In 5 minutes, since they took too little for too long. They come back and catch up.";
        found.push(warning("slow_consumers", title, detail));
    }
    let refusals = recent(ring, "refusals");
    if total(&refusals) >= MANY_REFUSALS {
        let title = format!("{} refused.", many(total(&refusals), "call was", "calls were"));
        let detail = format!("In 5 minutes, by why: {}.", listed(&refusals));
        found.push(warning("refusals", title, detail));
    }
    let overflows = total(&recent(ring, "overflows"));
    if overflows > 0.0 {
        let title = format!("{} refused.", many(overflows, "event was", "events were"));
        let detail = "In 5 minutes, since the queue of their connection was full: somebody sends faster \
             than it can be done.";
        found.push(warning("queue_full", title, detail));
    }
    let failed = ring.last("http", RECENT_STEPS).into_iter().find(|(line, _)| *line == "5xx");
    let failed = failed.map_or(0.0, |(_, rates)| rates.iter().sum::<f32>());
    if failed > FAILED_CALLS {
        let count = (failed * STEP.as_secs_f32()).round().max(1.0);
        let title =
            format!("{} by the server’s fault.", many(count, "call failed", "calls failed"));
        let detail =
            "In 5 minutes, with a status of 500 or above. The log has each by its requestId.";
        found.push(warning("failed_calls", title, detail));
    }
    let panics = recent(ring, "panics");
    if !panics.is_empty() {
        let detail = format!("In 5 minutes, by task: {}. The log says where.", listed(&panics));
        found.push(bad("panics", "A task panicked.", detail));
    }
    found
}

fn webhooks(ring: &Ring) -> Vec<Trouble> {
    let mut found = Vec::new();
    for (name, count) in now(ring, "webhooksRetried") {
        let title = format!("The webhook {name} is failing.");
        let detail = format!("{} tried again.", many(count, "event is", "events are"));
        found.push(warning("webhook_failing", title, detail));
    }
    for (name, count) in now(ring, "webhooksBehind") {
        if count >= FAR_BEHIND {
            let title = format!("The webhook {name} is behind.");
            let detail = format!("{} to be told yet.", many(count, "event is", "events are"));
            found.push(warning("webhook_behind", title, detail));
        }
    }
    for (name, count) in recent(ring, "webhooksPutAside") {
        let title = format!("The webhook {name} gave up.");
        let detail = format!(
            "{} put aside in 5 minutes. POST /api/webhook-endpoints/{name}/replay tells them again.",
            many(count, "event was", "events were")
        );
        found.push(bad("webhook_put_aside", title, detail));
    }
    found
}

fn money(ring: &Ring) -> Vec<Trouble> {
    let oldest = now(ring, "oldestPayout").into_iter().map(|(_, seconds)| seconds).next();
    let late = oldest.filter(|seconds| *seconds > LONG_PAYOUT);
    let words = |seconds: f32| {
        let detail = format!("The oldest for {:.1} hours.", seconds / 3600.0);
        warning("payouts_pending", "A payout does not come through.", detail)
    };
    late.map(words).into_iter().collect()
}

/// What was counted in the last minutes, by line; of those that were.
fn recent<'a>(ring: &'a Ring, figure: &str) -> Vec<(&'a str, f32)> {
    let lines = ring.last(figure, RECENT_STEPS).into_iter();
    let sums = lines.map(|(line, values)| (line, values.iter().sum::<f32>()));
    sums.filter(|(_, sum)| *sum > 0.0).collect()
}

/// What it is now, by line; of those that are.
fn now<'a>(ring: &'a Ring, figure: &str) -> Vec<(&'a str, f32)> {
    let lines = ring.last(figure, 1).into_iter();
    let last = lines.filter_map(|(line, values)| Some((line, *values.last()?)));
    last.filter(|(_, value)| *value > 0.0).collect()
}

/// The 99th percentiles that have been above this all the while, with the least that each was.
fn slow<'a>(ring: &'a Ring, figure: &str, above: f32) -> Vec<(&'a str, f32)> {
    let lines = ring.last(figure, SLOW_STEPS).into_iter();
    let lines = lines.filter(|(line, values)| line.ends_with("p99") && values.len() == SLOW_STEPS);
    let least = lines.map(|(line, values)| (line, values.into_iter().fold(f32::MAX, f32::min)));
    least.filter(|(_, least)| *least > above).collect()
}

fn total(lines: &[(&str, f32)]) -> f32 {
    lines.iter().map(|(_, count)| count).sum()
}

fn listed(lines: &[(&str, f32)]) -> String {
    let each: Vec<_> = lines.iter().map(|(line, count)| format!("{line} {count:.0}")).collect();
    each.join(", ")
}

fn many(count: f32, one: &str, others: &str) -> String {
    if (count - 1.0).abs() < 0.5 { format!("1 {one}") } else { format!("{count:.0} {others}") }
}

#[cfg(test)]
mod tests {
    use super::{super::reading::read, *};
    use crate::clock::Timestamp;

    /// What is told after a quiet reading and then these, one a step.
    fn told(texts: &[&str]) -> Vec<(&'static str, String, String)> {
        let mut ring = Ring::default();
        for (step, text) in [""].iter().chain(texts).enumerate() {
            let now = Timestamp::from_millis(i64::try_from(step).unwrap() * 10_000);
            ring.push(now, read(text));
        }
        let found = find(&ring, &Condition::default());
        found.into_iter().map(|it| (it.code, it.title, it.detail)).collect()
    }

    fn codes(texts: &[&str]) -> Vec<&'static str> {
        told(texts).into_iter().map(|(code, ..)| code).collect()
    }

    #[test]
    fn nothing_is_wrong_with_a_node_that_does_nothing() {
        assert_eq!(told(&["", "", ""]), []);
    }

    #[test]
    fn what_is_away_is_told_first() {
        let mut state = Condition { failing: vec!["store"], ..Condition::default() };
        state.details = vec![("proxy", "ok"), ("redis", "away")];
        let found = find(&Ring::default(), &state);
        let codes: Vec<_> = found.iter().map(|it| (it.code, it.title.as_str())).collect();
        assert_eq!(codes, [("away", "The store is away."), ("redis_away", "Redis is away.")]);
    }

    #[test]
    fn what_was_counted_is_told_for_five_minutes() {
        let cut = "stoa_slow_consumers_closed_total 2";
        let found = told(&[cut]);
        assert_eq!(found[0].1, "2 slow consumers were cut.");
        assert_eq!(codes(&[cut; RECENT_STEPS]), ["slow_consumers"]);
        assert_eq!(codes(&[cut; RECENT_STEPS + 1]), Vec::<&str>::new());
    }

    #[test]
    fn each_trouble_has_its_words() {
        for (text, code) in [
            ("stoa_store_errors_total{work=\"write\",reason=\"full\"} 3", "disk_full"),
            ("stoa_store_errors_total{work=\"write\",reason=\"busy\"} 3", "store_errors"),
            ("stoa_handshakes_refused_total{reason=\"origin\"} 60", "refusals"),
            ("stoa_queue_overflows_total 1", "queue_full"),
            (
                "stoa_http_requests_total{route=\"/\",method=\"GET\",status=\"500\"} 1",
                "failed_calls",
            ),
            ("stoa_task_panics_total{task=\"payouts\"} 1", "panics"),
            ("stoa_webhook_retried_events{webhook=\"shop\"} 4", "webhook_failing"),
            ("stoa_webhook_behind_events{webhook=\"shop\"} 4000", "webhook_behind"),
            (
                "stoa_webhook_deliveries_total{webhook=\"shop\",outcome=\"put_aside\"} 1",
                "webhook_put_aside",
            ),
            ("stoa_payouts_oldest_pending_seconds 7200", "payouts_pending"),
        ] {
            assert_eq!(codes(&[text]), [code], "{text}");
        }
    }

    #[test]
    fn a_store_is_slow_when_it_has_been_for_a_while() {
        let after = |step: usize, slow: bool| {
            let fast = if slow { 0 } else { 100 * step };
            format!(
                "stoa_store_unit_duration_seconds_bucket{{work=\"write\",le=\"0.1\"}} {fast}\n\
                 stoa_store_unit_duration_seconds_bucket{{work=\"write\",le=\"0.5\"}} {all}\n\
                 stoa_store_unit_duration_seconds_bucket{{work=\"write\",le=\"+Inf\"}} {all}",
                all = 100 * step
            )
        };
        let slow = [after(1, true), after(2, true), after(3, true)];
        let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
        assert_eq!(codes(&slow), ["store_slow"]);
        assert_eq!(codes(&slow[..2]), Vec::<&str>::new());
        let fast = [after(1, false), after(2, false), after(3, false)];
        let fast: Vec<&str> = fast.iter().map(String::as_str).collect();
        assert_eq!(codes(&fast), Vec::<&str>::new());
    }
}
