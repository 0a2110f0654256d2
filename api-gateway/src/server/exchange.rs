use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// What a connection of HTTP/1 knows of its call: its service and its socket share it. Both run in the same task.
#[derive(Default)]
pub(super) struct Exchange {
    calls: AtomicUsize,
    answering: AtomicBool,
    answered: AtomicBool,
    has_body: AtomicBool,
    unread: AtomicBool,
    spoken: Notify,
}

impl Exchange {
    /// A request has come.
    pub(super) fn request<B: Body + Unpin>(self: &Arc<Self>, request: Request<B>) -> Request<Watched<B>> {
        self.spoken();
        self.has_body.store(!request.body().is_end_stream(), Relaxed);
        self.answered.store(false, Relaxed);
        self.calls.fetch_add(1, Relaxed);
        self.answering.store(true, Relaxed);
        request.map(|body| self.watch(body, Self::request_left))
    }

    /// Its response is to be written.
    pub(super) fn response<B: Body + Unpin>(self: &Arc<Self>, response: Response<B>) -> Response<Watched<B>> {
        response.map(|body| self.watch(body, Self::response_left))
    }

    /// All that there was to write is written. True where a call with a body has ended with it.
    pub(super) fn flushed(&self) -> bool {
        let ended = self.answering.load(Relaxed) && self.answered.load(Relaxed);
        if ended {
            self.answering.store(false, Relaxed);
        }
        ended && self.has_body.load(Relaxed)
    }

    /// How many requests have come since this was asked last.
    pub(super) fn take_calls(&self) -> usize {
        self.calls.swap(0, Relaxed)
    }

    /// Whether what is written belongs to the response of a call.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Relaxed)
    }

    /// Whether what is read may be the body of a call.
    pub(super) fn may_read_body(&self) -> bool {
        self.is_answering() && self.has_body.load(Relaxed)
    }

    /// Whether the last body was not read to its end, so that its client may still be sending it.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The client has said something.
    pub(super) fn spoken(&self) {
        self.spoken.notify_one();
    }

    /// Resolves when the client has said something.
    pub(super) async fn first_words(&self) {
        self.spoken.notified().await;
    }

    fn watch<B: Body>(self: &Arc<Self>, body: B, left: fn(&Self, bool)) -> Watched<B> {
        Watched { body, ended: false, left, exchange: Arc::clone(self) }
    }

    fn request_left(&self, ended: bool) {
        self.unread.store(!ended, Relaxed);
    }

    fn response_left(&self, _ended: bool) {
        self.answered.store(true, Relaxed);
    }
}

/// A body that tells when nobody holds it any more, and whether it was read to its end.
pub(super) struct Watched<B: Body> {
    body: B,
    ended: bool,
    left: fn(&Exchange, bool),
    exchange: Arc<Exchange>,
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        (self.left)(&self.exchange, self.ended || self.body.is_end_stream());
    }
}
