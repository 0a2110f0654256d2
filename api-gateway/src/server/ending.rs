//! The end of a connection whose client may still be sending.

use std::io;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::head::Head;
use crate::answer::Answer;
use crate::request_log::RequestLog;

/// How long to wait for the rest of a head before it is refused: the parameter that is wrong and `Accept` may be in it.
const REST_TIME: Duration = Duration::from_secs(1);
/// How long to take in what is sent after an answer.
const LINGER_TIME: Duration = Duration::from_secs(3);
/// How much of what nobody needs is taken in.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Answers a head that the HTTP server has refused with this status, and closes.
pub(super) async fn refuse(mut stream: Stream, mut head: Head, status: StatusCode) -> io::Result<()> {
    let mut log = RequestLog::begin("unknown");
    if !head.is_complete() {
        let rest = discard(&mut stream, |bytes| {
            head.read(bytes);
            head.is_complete()
        });
        // What is known by then has to do.
        let _ = timeout(REST_TIME, rest).await;
    }
    let failure = head.failure(status);
    log.failed(&failure);
    let answer = Answer::failure(&failure, head.form(), None);
    log.answered(&answer);
    let response = encode(answer.into_response(log.id()), head.is_of_head()).await?;
    timeout(LINGER_TIME, stream.write_all(&response)).await??;
    linger(stream).await
}

/// Says that nothing more comes. Behind TLS that is said in words, which a client may not take.
pub(super) async fn close(stream: &mut Stream) -> io::Result<()> {
    timeout(LINGER_TIME, stream.shutdown()).await?
}

/// Says that nothing more comes, and closes once the client has understood it. To close with unread bytes resets the
/// connection, and by that the client loses its answer (RFC 9112, section 9.6).
pub(super) async fn linger(mut stream: Stream) -> io::Result<()> {
    close(&mut stream).await?;
    let _ = timeout(LINGER_TIME, discard(&mut stream, |_| false)).await;
    Ok(())
}

/// Reads until it is enough, the client ends or the bound is reached.
async fn discard(stream: &mut Stream, mut enough: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 16 * 1024];
    let mut discarded = 0;
    while discarded < MAX_DISCARDED_BYTES
        && let Ok(read @ 1..) = stream.read(&mut buffer).await
        && !enough(&buffer[..read])
    {
        discarded += read;
    }
}

/// A response of HTTP/1.1 after which the connection is closed (RFC 9112, section 2.1).
async fn encode(response: Response<axum::body::Body>, without_body: bool) -> io::Result<Vec<u8>> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now()).map_err(io::Error::other)?;
    let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let end = format!("content-length: {}\r\nconnection: close\r\ndate: {date}\r\n\r\n", body.len());
    bytes.extend_from_slice(end.as_bytes());
    if !without_body {
        bytes.extend_from_slice(&body);
    }
    Ok(bytes)
}
