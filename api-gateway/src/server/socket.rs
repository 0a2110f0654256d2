//! The socket of a connection. What the HTTP server itself refuses it would answer with a bare status: here that is put in the
//! API's form.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use http::StatusCode;
use tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ending::{close, linger, refuse};
use super::exchange::Exchange;
use super::head::Heads;

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) struct Socket {
    state: State,
    exchange: Arc<Exchange>,
    heads: Heads,
    preface: Preface,
    refused: Option<StatusCode>,
}

enum State {
    Open(Stream),
    Ending(BoxFuture<'static, io::Result<()>>),
    Ended,
}

/// How much of the preface of HTTP/2 has come.
enum Preface {
    Bytes(usize),
    Other,
}

impl Socket {
    pub(super) fn new(stream: Stream, exchange: Arc<Exchange>) -> Self {
        let (heads, preface) = (Heads::default(), Preface::Bytes(0));
        Self { state: State::Open(stream), exchange, heads, preface, refused: None }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        match &mut self.state {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Ending(_) | State::Ended => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn is_http2(&self) -> bool {
        matches!(self.preface, Preface::Bytes(bytes) if bytes == HTTP2_PREFACE.len())
    }

    /// How much the HTTP server may read. By itself it takes a head of twice its bound, if that comes in one piece.
    fn room(&self) -> usize {
        if self.is_http2() || self.exchange.may_read_body() { usize::MAX } else { self.heads.room() }
    }

    /// Takes in what the HTTP server reads.
    fn heard(&mut self, bytes: &[u8]) {
        if self.is_http2() {
            return;
        }
        if let Preface::Bytes(known) = self.preface {
            let rest = &HTTP2_PREFACE[known..];
            let length = bytes.len().min(rest.len());
            self.preface =
                if bytes[..length] == rest[..length] { Preface::Bytes(known + length) } else { Preface::Other };
        }
        self.heads.advance(self.exchange.take_calls());
        if !self.exchange.may_read_body() {
            self.heads.read(bytes);
        }
    }

    /// Whether these bytes are an answer of the HTTP server's own: it writes them where no call is being answered.
    fn refuses(&mut self, bytes: &[u8]) -> bool {
        if self.refused.is_none() && !self.is_http2() && !self.exchange.is_answering() {
            self.refused = status(bytes);
            if self.refused.is_some() {
                self.exchange.spoken();
            }
        }
        self.refused.is_some()
    }

    /// How the connection ends.
    fn end(&mut self, mut stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        if let Some(status) = self.refused {
            self.heads.advance(self.exchange.take_calls());
            return Box::pin(refuse(stream, self.heads.take_current(), status));
        }
        if self.exchange.is_unread() && !self.is_http2() {
            return Box::pin(linger(stream));
        }
        Box::pin(async move { close(&mut stream).await })
    }
}

/// The status of a response that begins with these bytes.
fn status(bytes: &[u8]) -> Option<StatusCode> {
    let code = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    StatusCode::from_bytes(code).ok().filter(StatusCode::is_client_error)
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = self.room();
        if room >= buffer.remaining() {
            let before = buffer.filled().len();
            ready!(self.stream()?.poll_read(context, buffer))?;
            self.heard(&buffer.filled()[before..]);
            return Poll::Ready(Ok(()));
        }
        let mut limited = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(self.stream()?.poll_read(context, &mut limited))?;
        self.heard(limited.filled());
        let read = limited.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.refuses(bytes) { Poll::Ready(Ok(bytes.len())) } else { self.stream()?.poll_write(context, bytes) }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty());
        if first.is_some_and(|first| self.refuses(first)) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        self.stream()?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        matches!(&self.state, State::Open(stream) if stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The HTTP server flushes what it shuts down, each time that it looks whether it is.
        let State::Open(stream) = &mut self.state else { return Poll::Ready(Ok(())) };
        ready!(Pin::new(stream).poll_flush(context))?;
        if self.exchange.flushed() {
            // What came behind a body in one piece with it is not told apart from it.
            self.exchange.take_calls();
            self.heads = Heads::default();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Open(stream) => State::Ending(self.end(stream)),
            state => state,
        };
        let State::Ending(mut ending) = state else { return Poll::Ready(Ok(())) };
        let ended = ending.as_mut().poll(context);
        if ended.is_pending() {
            self.state = State::Ending(ending);
        }
        ended
    }
}
