//! What a process writes, seen from outside: each test starts itself again as the process.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use telemetry::{InitError, LogFormat, TelemetryConfig};

/// This test program, to run one test as a process that logs.
fn process(test: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
    command.args(["--exact", test, "--nocapture"]).env("TELEMETRY_PROCESS", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts again")
}

fn is_process() -> bool {
    std::env::var_os("TELEMETRY_PROCESS").is_some()
}

fn log(config: &TelemetryConfig) {
    let _guard = telemetry::init("test", config).expect("the process does not log yet");
    let span = tracing::info_span!("task", task.name = "watch");
    let _entered = span.enter();
    tracing::debug!("not asked for");
    tracing::info!(token.id = 7, "token \"deploy\"\nrevoked");
}

fn written(mut child: Child) -> String {
    let mut text = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut text).expect("it is text");
    assert!(child.wait().expect("it is our child").success(), "{text}");
    text
}

#[test]
fn machines_get_one_object_a_line() {
    if is_process() {
        return log(&TelemetryConfig { format: LogFormat::Json, ..TelemetryConfig::default() });
    }
    let text = written(process("machines_get_one_object_a_line"));
    assert_eq!(text.lines().count(), 1, "{text}");
    let event: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&event["level"], &event["token.id"]), (&"INFO".into(), &7.into()));
    assert_eq!(event["message"], "token \"deploy\"\nrevoked");
    assert_eq!(event["span"]["task.name"], "watch");
}

#[test]
fn people_get_plain_lines_where_there_is_no_terminal() {
    if is_process() {
        return log(&TelemetryConfig::default());
    }
    let text = written(process("people_get_plain_lines_where_there_is_no_terminal"));
    assert!(text.contains("INFO") && text.contains("token.id=7") && text.contains("watch"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("not asked for"), "{text}");
}

#[test]
fn nobody_fails_because_nobody_reads_the_log() {
    if is_process() {
        // Goes on when the other end of standard error is gone.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return log(&TelemetryConfig::default());
    }
    let mut child = process("nobody_fails_because_nobody_reads_the_log");
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(b"go on").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_nobody_is_told_of_costs_nothing() {
    if !is_process() {
        return drop(written(process("what_nobody_is_told_of_costs_nothing")));
    }
    use tracing::{Level, span};
    let _guard = telemetry::init("test", &TelemetryConfig::default()).expect("the process does not log yet");
    assert_eq!(tracing::level_filters::LevelFilter::current(), Level::INFO);
    assert!(!span!(target: "api_gateway", Level::INFO, "logged").is_disabled());
    for span in [
        span!(target: "trace", Level::INFO, "of a call"),
        span!(target: "h2", Level::DEBUG, "of a library"),
        span!(target: "h2", Level::TRACE, "of a library"),
    ] {
        assert!(span.is_disabled(), "{span:?}");
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    let config = TelemetryConfig { filter: "info,sqlx=loud".to_owned(), ..TelemetryConfig::default() };
    assert!(matches!(telemetry::init("test", &config), Err(InitError::Filter(_))));
}

#[test]
fn unknown_keys_are_errors() {
    let read = |text: &str| serde_json::from_str::<TelemetryConfig>(text);
    assert_eq!(read("{}").unwrap(), TelemetryConfig::default());
    assert_eq!(read(r#"{"format": "json"}"#).unwrap().format, LogFormat::Json);
    assert!(read(r#"{"filters": "info"}"#).unwrap_err().to_string().contains("filters"));
    assert!(read(r#"{"format": "xml"}"#).is_err());
}
