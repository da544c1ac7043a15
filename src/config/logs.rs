//! Logging: one subscriber for the process, lines to the standard error stream.
//!
//! Messages are fixed sentences; what varies stands in fields, so that lines can be counted.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, LogLevel};

/// Installs the subscriber for the whole process. A second call changes nothing and answers
/// `false`: tests and embedders may have their own.
pub fn install(log: Log) -> bool {
    subscriber(log, io::stderr).try_init().is_ok()
}

fn subscriber<W>(log: Log, writer: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match log.level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    // A failed write is not reported by `eprintln!`, which panics when standard error is closed.
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .log_internal_errors(false);
    // Frames of HTTP/2 and records of TLS only help to diagnose these protocols.
    let of_libraries = match level {
        LevelFilter::DEBUG => LevelFilter::INFO,
        other => other,
    };
    let targets = Targets::new().with_default(of_libraries).with_target("signet", level);
    match (log.format, level == of_libraries) {
        (LogFormat::Standard, true) => Box::new(lines.with_ansi(false).finish()),
        (LogFormat::Standard, false) => Box::new(lines.with_ansi(false).finish().with(targets)),
        (LogFormat::Json, true) => {
            Box::new(lines.json().flatten_event(true).with_current_span(false).finish())
        }
        (LogFormat::Json, false) => Box::new(
            lines.json().flatten_event(true).with_current_span(false).finish().with(targets),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = Log { level: LogLevel::Info, format };
        let subscriber = subscriber(log, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not this");
            tracing::info!(count = 3, "something happened");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_hold_message_and_fields() {
        let text = logged(LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "something happened");
        assert_eq!(line["count"], 3);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn standard_lines_are_for_eyes_and_keep_the_level() {
        let text = logged(LogFormat::Standard);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("INFO") && text.contains("something happened count=3"), "{text}");
    }
}
