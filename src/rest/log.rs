//! Logs: one JSON object a line for machines, or lines for people.

use std::{
    fmt,
    io::{IsTerminal, Write},
};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{ParseError, filter_fn},
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer, layer},
    layer::SubscriberExt as _,
    registry,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{LogConfig, LogFormat},
    traces::Spans,
};

/// Starts logging to standard output or error, each line with the name of this node where it has one, and
/// tracing where that is asked for.
/// The first call decides; a later one, as tests make, changes nothing.
///
/// # Errors
/// When the level is no filter.
pub fn init<W: Write + IsTerminal + 'static>(
    config: &LogConfig,
    node: Option<String>,
    output: fn() -> W,
    traces: Option<Spans<Registry>>,
) -> Result<(), ParseError> {
    let terminal = output().is_terminal();
    let format =
        config.format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    let how = Style { node, format, color: terminal };
    let subscriber = subscriber(&config.level, how, output, traces)?;
    // It fails when there is one already.
    let _ = subscriber.try_init();
    Ok(())
}

/// How lines are written.
struct Style {
    node: Option<String>,
    format: LogFormat,
    color: bool,
}

fn subscriber(
    level: &str,
    how: Style,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    traces: Option<Spans<Registry>>,
) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError> {
    let filter = EnvFilter::try_new(level)?;
    Ok(match traces {
        None => {
            Box::new(registry().with(filter).with(filter_fn(is_discreet)).with(lines(how, writer)))
        }
        // Spans that are traced and not logged need a filter of each.
        Some(traces) => {
            let lines = lines(how, writer).with_filter(filter_fn(is_discreet)).with_filter(filter);
            Box::new(registry().with(traces).with(lines))
        }
    })
}

/// What writes lines.
fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(
    Style { node, format, color }: Style,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Box<dyn Layer<S> + Send + Sync> {
    match format {
        LogFormat::Pretty => layer()
            .with_ansi(color)
            .with_writer(writer)
            .log_internal_errors(false)
            .map_event_format(|format| OfNode { format, node, is_json: false })
            .boxed(),
        // The list of spans and not the innermost alone: the request's id is in the outermost.
        LogFormat::Json => layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(writer)
            .log_internal_errors(false)
            .map_event_format(|format| OfNode { format, node, is_json: true })
            .boxed(),
    }
}

/// Lines in a format, with the name of the node where there is one.
struct OfNode<F> {
    format: F,
    node: Option<String>,
    is_json: bool,
}

impl<S, N, F> FormatEvent<S, N> for OfNode<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(node) = &self.node else {
            return self.format.format_event(context, writer, event);
        };
        if !self.is_json {
            write!(writer, "{node} ")?;
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').unwrap_or_default();
        write!(writer, r#"{{"stoa_node":"{node}",{rest}"#)
    }
}

/// Whether something may be logged at all, whatever the filter says. Below `info` the libraries tell
/// headers, bodies and frames, and so the tokens and texts in them; this server's own lines do not.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let (target, level) = (metadata.target(), *metadata.level());
    let is_own = target
        .strip_prefix("stoa")
        .is_some_and(|rest| matches!(rest, "") || rest.starts_with("::"));
    // A database's URL that can't be read is quoted, parameter by parameter.
    let quotes = target.starts_with("sqlx_postgres::options");
    is_own || level <= if quotes { Level::ERROR } else { Level::INFO }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{sync::Arc, time::Duration};

    use parking_lot::Mutex;
    use tracing::subscriber::DefaultGuard;

    use super::*;

    /// What was logged on this thread.
    #[derive(Clone, Default)]
    pub(in crate::rest) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        /// Gathers what this thread logs until the guard is dropped.
        pub(in crate::rest) fn gather(level: &str, format: LogFormat) -> (Self, DefaultGuard) {
            Self::gather_of(None, level, format)
        }

        fn gather_of(node: Option<&str>, level: &str, format: LogFormat) -> (Self, DefaultGuard) {
            let lines = Self::default();
            let writer = lines.clone();
            let node = node.map(str::to_owned);
            let how = Style { node, format, color: false };
            let subscriber = subscriber(level, how, move || writer.clone(), None).unwrap();
            (lines, tracing::subscriber::set_default(subscriber))
        }

        pub(in crate::rest) fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_names_its_node_where_there_may_be_others() {
        let (lines, guard) = Lines::gather_of(Some("n1"), "info", LogFormat::Json);
        tracing::info!(latency_ms = 3, "answered");
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!((&line["stoa_node"], &line["latency_ms"]), (&"n1".into(), &3.into()));
        drop(guard);
        let (lines, _guard) = Lines::gather_of(Some("n1"), "info", LogFormat::Pretty);
        tracing::info!("answered");
        assert!(lines.text().starts_with("n1 "), "{}", lines.text());
    }

    #[test]
    fn a_json_line_has_its_fields_beside_the_message_and_the_request_it_belongs_to() {
        let (lines, _guard) = Lines::gather("info", LogFormat::Json);
        let _request = tracing::info_span!("request", request_id = "r1").entered();
        let _inner = tracing::info_span!("query").entered();
        tracing::info!(latency_ms = 3, "answered");
        tracing::debug!("not at this level");
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "answered");
        assert_eq!(line["latency_ms"], 3);
        assert_eq!(line["target"], module_path!());
        assert_eq!(line["spans"][0]["request_id"], "r1");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_line_for_people_is_plain_text() {
        let (lines, _guard) = Lines::gather("stoa=debug", LogFormat::Pretty);
        tracing::debug!(n = 1, "hello");
        let line = lines.text();
        assert!(line.contains("DEBUG") && line.ends_with("hello n=1\n"), "{line}");
    }

    #[test]
    fn what_libraries_tell_below_info_is_not_logged_whatever_the_filter_says() {
        for filter in
            ["trace", "hyper=trace", "trace,hyper::proto=trace,stoa=trace", "[frame]=trace"]
        {
            let (lines, _guard) = Lines::gather(filter, LogFormat::Json);
            for target in ["hyper", "stoa_engine", "log"] {
                // A target is part of what is known before the program runs.
                match target {
                    "hyper" => tracing::debug!(target: "hyper::proto", "secret"),
                    "log" => tracing::trace!(target: "log", "secret"),
                    _ => tracing::debug!(target: "stoa_engine", "secret"),
                }
            }
            let _frame =
                tracing::trace_span!(target: "tungstenite", "frame", bytes = "secret").entered();
            tracing::warn!(target: "sqlx_postgres::options::parse", "secret");
            tracing::warn!(target: "hyper::proto", "a warning");
            tracing::trace!("of our own");
            let text = lines.text();
            assert!(!text.contains("secret"), "{filter}: {text}");
            let is_asked_for = filter == "trace" || filter.contains("stoa=trace");
            assert_eq!(text.contains("of our own"), is_asked_for, "{filter}: {text}");
        }
    }

    #[test]
    fn logging_may_be_started_twice_but_not_with_a_bad_filter() {
        let config = |level: &str| LogConfig {
            level: level.into(),
            format: None,
            slow_request: Duration::ZERO,
            node: None,
        };
        assert!(init(&config("off"), None, std::io::stdout, None).is_ok());
        assert!(init(&config("off"), None, std::io::stdout, None).is_ok());
        assert!(init(&config("stoa=loud"), None, std::io::stdout, None).is_err());
    }
}
