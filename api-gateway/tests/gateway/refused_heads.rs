//! What the HTTP server itself refuses is answered as everything else is.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;

use crate::client::Answer;
use crate::raw::Raw;
use crate::stage::{LONG, STOP, Stage};

const TOO_LONG: &str = "`envName` is too long: the head of a request has at most 65536 bytes";
const MIB: usize = 1 << 20;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// The longest parameter that the URL of a common client holds. With its other fields the head is too long.
fn nearly_too_long(stage: &Stage, token: &str) -> reqwest::RequestBuilder {
    let path = format!("{STOP}?session={token}&envName={}", "x".repeat(65_400));
    stage.client.request(Method::GET, &path).header("x", "y".repeat(200))
}

/// A refusal that is the last answer of its connection, with all that other answers have.
#[track_caller]
fn assert_last(answer: &Answer, normal: &Answer, result: i64, named: &str) {
    answer.assert_refused(result, named);
    for name in ["content-type", "cache-control", "x-content-type-options"] {
        assert_eq!(answer.header(name), normal.header(name), "{name}");
    }
    for name in normal.headers.keys() {
        assert!(answer.headers.contains_key(name), "{name}");
    }
    assert_eq!((answer.header("connection"), answer.header("x-request-id").len()), ("close", 36));
}

#[tokio::test]
async fn a_parameter_that_no_head_holds_is_named() {
    let stage = Stage::start().await;
    let (token, normal) = (stage.stopper(), stage.client.get(STOP).await);
    let large = "x".repeat(MIB);
    for target in [
        format!("{STOP}?envName={large}&session={token}"),
        format!("{STOP}?session={token}&envName={large}"),
        format!("{STOP}?session={token}&other={}&envName={large}", "y".repeat(40_000)),
    ] {
        let mut raw = Raw::connect(stage.address).await;
        raw.send(get(&target)).await;
        let answer = raw.answer().await;
        assert_last(&answer, &normal, 3, TOO_LONG);
        assert_eq!(answer.json()["parameter"], "envName");
        assert_eq!(raw.rest().await, b"");
    }
    assert_last(&stage.client.send(nearly_too_long(&stage, &token)).await, &normal, 3, TOO_LONG);
    assert_eq!(stage.upstream.reached(), []);
}

#[tokio::test]
async fn the_bound_of_a_head_is_exact() {
    let stage = Stage::start().await;
    let target = format!("{STOP}?session={}&envName=a", stage.stopper());
    let head = |bytes: usize| {
        let begin = format!("GET {target} HTTP/1.1\r\nhost: x\r\nx: ");
        let filler = "x".repeat(bytes - begin.len() - 4);
        format!("{begin}{filler}\r\n\r\n")
    };
    let mut raw = Raw::connect(stage.address).await;
    raw.send(head(65_536)).await;
    raw.answer().await.assert_done();
    raw.send(head(65_537)).await;
    raw.answer().await.assert_refused(9107, "more than 65536 bytes");
}

#[tokio::test]
async fn requests_before_it_on_its_connection_do_not_matter() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let large = get(&format!("{STOP}?session={token}&envName={}", "x".repeat(MIB)));
    let good = get(&format!("{STOP}?session={token}&envName=a"));
    let form = format!("session={token}&envName=a");
    let type_ = "content-type: application/x-www-form-urlencoded";
    let head = format!("POST {STOP} HTTP/1.1\r\nhost: x\r\n{type_}\r\n");
    let post = format!("{head}content-length: {}\r\n\r\n{form}", form.len());
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    let unread = post.replace("POST", "PUT");
    for (before, result) in [(&good, 0), (&post, 0), (&chunked, 0), (&unread, 9106)] {
        let mut raw = Raw::connect(stage.address).await;
        for _ in 0..2 {
            raw.send(before).await;
            assert_eq!(raw.answer().await.json()["result"], result, "{before}");
        }
        raw.send(&large).await;
        raw.answer().await.assert_refused(3, TOO_LONG);
        assert_eq!(raw.rest().await, b"");
    }
    let mut raw = Raw::connect(stage.address).await;
    raw.send(format!("{good}{good}{large}")).await;
    raw.answer().await.assert_done();
    raw.answer().await.assert_done();
    raw.answer().await.assert_refused(3, TOO_LONG);
    // The same connection of a client that keeps it.
    for _ in 0..2 {
        stage.client.get(&format!("{STOP}?session={token}&envName=a")).await.assert_done();
        stage.client.send(nearly_too_long(&stage, &token)).await.assert_refused(3, TOO_LONG);
    }
}

#[tokio::test]
async fn heads_that_are_none_are_refused() {
    let stage = Stage::start().await;
    let normal = stage.client.get(STOP).await;
    let body = "a=b&".repeat(MIB);
    let fields = |count| format!("GET {STOP} HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
    for (head, result, text) in [
        (get("/1.0/<x>"), 3, "the path must be percent-encoded"),
        (get("/1.0/\u{1}"), 3, "the path must be percent-encoded"),
        (get(&format!("{STOP}?envName=<x>")), 3, "`envName` must be percent-encoded"),
        (get(&format!("{STOP}?envName=a b&x=y")), 3, "`envName` must be percent-encoded"),
        (get(&format!("{STOP}?nodes=[{{\"count\":1}}]")), 3, "`nodes` must be percent-encoded"),
        (
            format!("POST /<x> HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
            3,
            "the path must be percent-encoded",
        ),
        (format!("GET {STOP} HTTP/1.1\r\na b: c\r\n\r\n"), 3, "the head of the request is malformed"),
        ("nonsense\r\n\r\n".to_owned(), 3, "the head of the request is malformed"),
        (format!("GET {STOP} HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(MIB)), 9107, "more than 65536 bytes"),
        (get(&format!("/{}", "x".repeat(MIB))), 9107, "more than 65536 bytes"),
        (get(&format!("{STOP}?{}", "x".repeat(MIB))), 9107, "more than 65536 bytes"),
        (fields(101), 9107, "more than 100 fields"),
    ] {
        let mut raw = Raw::connect(stage.address).await;
        raw.send(&head).await;
        assert_last(&raw.answer().await, &normal, result, text);
        assert_eq!(raw.rest().await, b"");
    }
    let mut raw = Raw::connect(stage.address).await;
    raw.send(fields(100)).await;
    raw.answer().await.assert_refused(702, "");
}

#[tokio::test]
async fn a_refused_head_is_answered_in_the_form_that_it_asks_for() {
    let stage = Stage::start().await;
    for (target, status, title) in [
        (format!("{STOP}?envName={}", "x".repeat(MIB)), 400, "Bad Request"),
        (format!("/{}", "x".repeat(MIB)), 413, "Payload Too Large"),
        ("/<x>".to_owned(), 400, "Bad Request"),
    ] {
        let mut raw = Raw::connect(stage.address).await;
        raw.send(format!("GET {target} HTTP/1.1\r\nAccept: application/problem+json\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"));
        assert_eq!((&answer.json()["status"], &answer.json()["title"]), (&status.into(), &title.into()));
        assert_eq!(raw.rest().await, b"");
    }
    let mut raw = Raw::connect(stage.address).await;
    raw.send("HEAD /<x> HTTP/1.1\r\n\r\n").await;
    let answer = String::from_utf8(raw.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

/// Its sender waits for an answer, and does not end.
#[tokio::test]
async fn a_head_that_does_not_end_is_refused_in_time() {
    let head = jiff::SignedDuration::from_millis(200);
    let stage = Stage::configured(|config| config.head_timeout = head).await;
    let mut raw = Raw::connect(stage.address).await;
    raw.send(format!("GET {STOP}?envName={}", "x".repeat(100_000))).await;
    raw.answer().await.assert_refused(3, TOO_LONG);
    assert_eq!(raw.rest().await, b"");
    stage.gateway.begin_drain();
    stage.gateway.drained(LONG).await.unwrap();
}

/// Who is told so before all of it was sent must not lose the answer over the rest.
#[tokio::test]
async fn a_body_that_is_not_read_does_not_cost_its_sender_the_answer() {
    let stage = Stage::start().await;
    let body = "x".repeat(8 * MIB);
    for (verb, result) in [("POST", 9107), ("PUT", 9106)] {
        let mut raw = Raw::connect(stage.address).await;
        let head = format!("{verb} {STOP} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        raw.send(format!("{head}{body}")).await;
        raw.answer().await.assert_refused(result, "");
        assert_eq!(raw.rest().await, b"");
    }
}

/// A tunnel is what a 200 would mean (RFC 9110, section 9.3.6).
#[tokio::test]
async fn a_connect_is_never_told_that_it_has_succeeded() {
    let stage = Stage::start().await;
    for target in ["example.org:443", STOP, "/nowhere", "/healthz"] {
        let mut raw = Raw::connect(stage.address).await;
        raw.send(format!("CONNECT {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert!((400..500).contains(&answer.status), "{target}: {answer:?}");
    }
}

/// Of what requests are made, whole and broken, and noise.
#[derive(Clone, Debug)]
enum Piece {
    Word(&'static str),
    Noise(Vec<u8>),
    Filler(u8, usize),
}

const WORDS: [&str; 30] = [
    "GET ",
    "POST ",
    "HEAD ",
    "CONNECT ",
    STOP,
    "/healthz",
    "/<",
    "?",
    "&",
    "envName=",
    "session=",
    "=",
    " ",
    "%4",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    " HTTP/2\r\n",
    "\r\n",
    "\n",
    "\r\n\r\n",
    "host: x\r\n",
    "content-length: 3\r\n",
    "content-length: x\r\n",
    "transfer-encoding: chunked\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "expect: 100-continue\r\n",
    "connection: close\r\n",
    "connection: keep-alive\r\n",
    "accept: application/problem+json\r\n",
    HTTP2_PREFACE,
];

const HTTP2_PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        6 => proptest::sample::select(WORDS.to_vec()).prop_map(Piece::Word),
        // A request that is one, so that what is behind it counts.
        2 => Just(Piece::Word("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")),
        1 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(Piece::Noise),
        1 => (any::<u8>(), 0..70_000_usize).prop_map(|(byte, count)| Piece::Filler(byte, count)),
    ]
}

fn bytes(pieces: Vec<Piece>) -> Vec<u8> {
    let bytes = pieces.into_iter().map(|piece| match piece {
        Piece::Word(word) => word.as_bytes().to_vec(),
        Piece::Noise(bytes) => bytes,
        Piece::Filler(byte, count) => vec![byte; count],
    });
    bytes.collect::<Vec<_>>().concat()
}

/// Whether these are whole answers in our form, or nothing.
fn is_answered(mut heard: &[u8]) -> bool {
    while !heard.is_empty() {
        if let Some(rest) = heard.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
            heard = rest;
            continue;
        }
        let Some(end) = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
        let (head, rest) = heard.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_lowercase();
        if !head.contains("x-request-id: ") {
            return false;
        }
        let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
        let Some(length) = length.filter(|length: &usize| *length > 0) else { return false };
        // The answer to a HEAD has no body.
        if rest.first() != Some(&b'{') {
            heard = rest;
            continue;
        }
        let Some((body, rest)) = rest.split_at_checked(length) else { return false };
        if !serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|body| body.is_object()) {
            return false;
        }
        heard = rest;
    }
    true
}

#[test]
fn any_bytes_get_our_answer_or_a_close() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::start());
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let pieces = proptest::collection::vec(piece(), 0..16);
    let answered = runner.run(&pieces, |pieces| {
        let sent = bytes(pieces);
        let heard = runtime.block_on(async {
            let mut raw = Raw::connect(stage.address).await;
            raw.send(&sent).await;
            raw.finish().await;
            raw.rest_or_reset().await
        });
        let http2 = sent.starts_with(HTTP2_PREFACE.as_bytes());
        prop_assert!(http2 || is_answered(&heard), "{}", String::from_utf8_lossy(&heard));
        Ok(())
    });
    answered.unwrap();
    let health = runtime.block_on(stage.client.send(stage.client.request(Method::GET, "/healthz")));
    assert_eq!(health.status, 200, "it serves on");
}
