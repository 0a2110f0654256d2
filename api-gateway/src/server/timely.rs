use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::exchange::Exchange;

/// Who takes so much is not slow.
const ENOUGH_BYTES: usize = 16 * 1024;

/// A socket that is cut where its client does not take what is written: in each `time` that it is waited for [`ENOUGH_BYTES`], or
/// all that there is.
pub(super) struct Timely<S> {
    socket: S,
    time: Duration,
    late: Option<Pin<Box<Sleep>>>,
    /// How much was taken since it is waited.
    taken: usize,
    exchange: Arc<Exchange>,
}

impl<S: Unpin> Timely<S> {
    pub(super) fn new(socket: S, time: Duration, exchange: Arc<Exchange>) -> Self {
        Self { socket, time, late: None, taken: 0, exchange }
    }

    /// What has come of a try to write so many bytes.
    fn tried(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(written)) => {
                if self.late.is_some() {
                    self.taken += written;
                    if written == bytes || self.taken >= ENOUGH_BYTES {
                        self.late = None;
                    }
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.late.is_none() {
                    self.taken = 0;
                }
                let time = self.time;
                let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
                if late.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.exchange.found_slow();
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not taken in time")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.tried(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.tried(context, parts.iter().map(|part| part.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Behind TLS what was written may still be waiting here.
        let flushed = Pin::new(&mut self.socket).poll_flush(context).map_ok(|()| 0);
        self.tried(context, 0, flushed).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
