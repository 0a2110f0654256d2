use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// How many calls more than are answered a client of HTTP/2 may abandon (`RST_STREAM`) on one connection.
const MOST_ABANDONED: usize = 100;

/// How many bytes of an answer are handed over at once. What is handed over is out of sight, and can be kept as long as a client of
/// HTTP/2 likes that has asked for one byte of it.
const SLICE: usize = 16 * 1024;

/// What a connection knows of its calls: its service and its socket share it. Of a connection of HTTP/1, both run in the same task.
#[derive(Default)]
pub(super) struct Exchange {
    calls: AtomicUsize,
    answering: AtomicBool,
    answered: AtomicBool,
    has_body: AtomicBool,
    unread: AtomicBool,
    spoken: Notify,
    /// How many calls there were, and how many of them are not over yet.
    seen: AtomicU64,
    open: AtomicUsize,
    /// How often something was taken of an answer, and how many answers wait for their client to take more.
    taken: AtomicU64,
    owed: AtomicUsize,
    slow: AtomicBool,
    abandoned: AtomicUsize,
    too_many_abandoned: Notify,
}

/// A call, until it is answered.
pub(super) struct Answering(Option<Arc<Exchange>>);

impl Answering {
    /// Its response is to be written.
    pub(super) fn response<B: Body<Data = Bytes> + Unpin>(mut self, response: Response<B>) -> Response<Watched<B>> {
        let exchange = self.0.take().expect("it is answered once");
        let abandoned = exchange.abandoned.load(Relaxed);
        if let Some(fewer) = abandoned.checked_sub(1) {
            // One that is answered is worth one that was abandoned.
            let _ = exchange.abandoned.compare_exchange(abandoned, fewer, Relaxed, Relaxed);
        }
        response.map(|body| {
            let mut body = exchange.watch(body, Side::Answer { owed: false });
            body.owe(true);
            body
        })
    }
}

impl Drop for Answering {
    /// Nobody wants to know what comes of it any more.
    fn drop(&mut self) {
        let Some(exchange) = self.0.take() else { return };
        exchange.open.fetch_sub(1, Relaxed);
        if exchange.abandoned.fetch_add(1, Relaxed) >= MOST_ABANDONED {
            exchange.too_many_abandoned.notify_one();
        }
    }
}

impl Exchange {
    /// A request has come.
    pub(super) fn request<B: Body<Data = Bytes> + Unpin>(self: &Arc<Self>, request: Request<B>) -> Request<Watched<B>> {
        self.spoken();
        self.has_body.store(!request.body().is_end_stream(), Relaxed);
        self.answered.store(false, Relaxed);
        self.calls.fetch_add(1, Relaxed);
        self.answering.store(true, Relaxed);
        request.map(|body| self.watch(body, Side::Request))
    }

    /// It is being worked on.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.seen.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Answering(Some(Arc::clone(self)))
    }

    /// How many calls there were.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Relaxed)
    }

    /// Whether a call is not over yet.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Relaxed) > 0
    }

    /// How often something was taken of an answer.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Whether an answer waits for its client to take more of it.
    pub(super) fn is_owed(&self) -> bool {
        self.owed.load(Relaxed) > 0
    }

    /// The client does not take what is written.
    pub(super) fn found_slow(&self) {
        self.slow.store(true, Relaxed);
    }

    /// Whether it did not.
    pub(super) fn was_slow(&self) -> bool {
        self.slow.load(Relaxed)
    }

    /// Resolves when the client has abandoned more calls than anybody does who wants them answered.
    pub(super) async fn too_many_abandoned(&self) {
        self.too_many_abandoned.notified().await;
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

    fn watch<B: Body<Data = Bytes>>(self: &Arc<Self>, body: B, side: Side) -> Watched<B> {
        Watched { body, rest: Bytes::new(), is_sliced: false, ended: false, side, exchange: Arc::clone(self) }
    }
}

/// Whose body it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    /// `owed`: it is the client's turn to take more of it.
    Answer {
        owed: bool,
    },
}

/// A body that tells when nobody holds it any more, and whether it was read to its end; of an answer, whether it is waited for.
pub(super) struct Watched<B: Body> {
    body: B,
    /// What was not handed over yet of its last frame.
    rest: Bytes,
    is_sliced: bool,
    ended: bool,
    side: Side,
    exchange: Arc<Exchange>,
}

impl<B: Body> Watched<B> {
    /// Of an answer: whether it is the client's turn from now on.
    fn owe(&mut self, now: bool) {
        if let Side::Answer { owed } = &mut self.side
            && *owed != now
        {
            *owed = now;
            let count = &self.exchange.owed;
            if now {
                count.fetch_add(1, Relaxed)
            } else {
                count.fetch_sub(1, Relaxed)
            };
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Watched<B> {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) if self.side != Side::Request => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        if self.rest.len() > SLICE {
            self.is_sliced = true;
            return Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(SLICE)))));
        }
        let last = std::mem::take(&mut self.rest);
        // It would keep all that came before it.
        let last = if std::mem::take(&mut self.is_sliced) { Bytes::copy_from_slice(&last) } else { last };
        Poll::Ready(Some(Ok(Frame::data(last))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = self.poll_next(context);
        self.ended |= matches!(frame, Poll::Ready(None));
        if self.side != Side::Request {
            self.exchange.taken.fetch_add(1, Relaxed);
            self.owe(frame.is_ready());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        self.owe(false);
        let exchange = &self.exchange;
        match self.side {
            Side::Request => exchange.unread.store(!(self.ended || self.body.is_end_stream()), Relaxed),
            Side::Answer { .. } => {
                exchange.open.fetch_sub(1, Relaxed);
                exchange.answered.store(true, Relaxed);
            }
        }
    }
}
