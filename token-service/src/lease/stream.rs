use std::time::Duration;

use access::Revision;
use access::lease::wire::{Introduction, to_holder};
use access::lease::{HolderId, Line, ToAuthority, ToHolder};
use futures::future::{BoxFuture, Fuse, FusedFuture, FutureExt};
use futures::stream::{BoxStream, StreamExt};
use proto::token::v1::{WatchRequest, WatchResponse};
use proto::{ErrorKind, Failure};
use storage::StorageError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::Leases;
use crate::store::NewLease;

/// How long a holder may take to introduce itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many messages wait to be sent to a holder. One that does not read them is left.
const OUTGOING: usize = 64;

/// The longest name of a place that is kept.
const LONGEST_PLACE: usize = 255;

/// Who has a stream.
#[derive(Clone, Debug)]
struct Holder {
    id: HolderId,
    pub(crate) name: String,
    pub(crate) place: String,
}

/// Why a stream ends.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the holder has gone")]
    Gone,
    #[error("the holder does not read")]
    Slow,
    #[error("the holder has said what cannot be")]
    Malformed,
    #[error("the service ends")]
    Draining,
    #[error("the database did not answer")]
    Storage(#[from] StorageError),
}

/// Begins a holder's stream.
pub(crate) async fn watch(
    leases: &Leases,
    name: &str,
    mut requests: Streaming<WatchRequest>,
) -> Result<BoxStream<'static, Result<WatchResponse, Failure>>, Failure> {
    let first = tokio::time::timeout(PATIENCE, requests.message()).await;
    let first = first.ok().and_then(Result::ok).flatten();
    let introduction = first.and_then(|first| Introduction::from_wire(first).ok());
    let Introduction { holder, place, applied } = introduction.ok_or_else(|| {
        Failure::new(ErrorKind::InvalidParameter, "the first message must say who the holder is, by a UUID")
    })?;
    let place = place.chars().filter(|letter| !letter.is_control()).take(LONGEST_PLACE).collect();
    let holder = Holder { id: holder, name: name.to_owned(), place };
    let recent = leases.clock.now() - leases.replayed();
    let log = leases.store.change_log(recent).await.map_err(crate::grpc::storage_failure)?;
    let line = Line::begin(applied, log);
    // What it is told to begin with instead it has not applied before it says something after that.
    let applied = applied.filter(|applied| *applied == line.sent()).unwrap_or(Revision(0));

    let (outgoing, messages) = mpsc::channel(OUTGOING);
    let stream = Stream { leases: leases.clone(), holder, applied, line, outgoing };
    leases.lifecycle.spawn("token-service.stream", stream.run(requests));
    Ok(ReceiverStream::new(messages).map(Ok).boxed())
}

struct Stream {
    leases: Leases,
    holder: Holder,
    applied: Revision,
    line: Line,
    outgoing: mpsc::Sender<WatchResponse>,
}

/// A lease that is written down, and the newest revision that was read after that.
type Written = Result<(u64, Revision), StorageError>;

impl Stream {
    async fn run(mut self, requests: Streaming<WatchRequest>) {
        let id = self.holder.id;
        tracing::info!(holder.id = %id, holder.name = self.holder.name, holder.place = self.holder.place, "a holder has come");
        let number = self.leases.acknowledgements.begin(id, &self.holder.name, self.applied);
        let ended = self.serve(requests).await.err();
        self.leases.acknowledgements.end(id, number);
        let reason = ended.map_or_else(|| "its lease was given back".to_owned(), |ended| ended.to_string());
        tracing::info!(holder.id = %id, holder.name = self.holder.name, reason, "a holder's stream has ended");
    }

    async fn serve(&mut self, mut requests: Streaming<WatchRequest>) -> Result<(), Ended> {
        let remember_for = self.leases.remember_for();
        let begun = self.line.sent();
        self.send(ToHolder::Begin { after: begun, remember_for })?;
        let mut newest = self.leases.feed.subscribe();
        newest.mark_changed();
        let mut waiting = self.leases.waiting.subscribe();
        let draining = self.leases.lifecycle.draining();
        tokio::pin!(draining);
        let mut leaving = false;
        let mut writing: Fuse<BoxFuture<'static, Written>> = Fuse::terminated();
        loop {
            // Who waits for an acknowledgement is answered first.
            if leaving && *waiting.borrow_and_update() == 0 {
                return Err(Ended::Draining);
            }
            tokio::select! {
                _ = newest.changed() => self.pass_on().await?,
                message = requests.message() => {
                    let message = message.ok().flatten().ok_or(Ended::Gone)?;
                    match ToAuthority::try_from(message).map_err(|_| Ended::Malformed)? {
                        ToAuthority::Ask { number } => {
                            // Who asks has taken the beginning.
                            self.acknowledge(begun)?;
                            if writing.is_terminated() {
                                writing = self.write(number).fuse();
                            }
                        }
                        ToAuthority::Acknowledge { revision } => self.acknowledge(revision)?,
                        ToAuthority::Release => return Ok(self.leases.store.release_lease(self.holder.id).await?),
                    }
                }
                written = &mut writing => {
                    let (number, revision) = written?;
                    self.line.owe(number, self.leases.duration, revision);
                    self.leases.feed.want(revision);
                    self.pass_on().await?;
                }
                () = &mut draining, if !leaving => leaving = true,
                _ = waiting.changed(), if leaving => {}
            }
        }
    }

    /// Sends the changes that are new, and the lease that is owed.
    async fn pass_on(&mut self) -> Result<(), Ended> {
        loop {
            let changes = self.leases.feed.after(self.line.sent()).await?;
            self.line.send(&changes).into_iter().try_for_each(|message| self.send(message))?;
            if changes.is_empty() {
                return Ok(());
            }
        }
    }

    fn send(&self, message: ToHolder) -> Result<(), Ended> {
        let message = to_holder(message, self.leases.duration);
        self.outgoing.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Ended::Slow,
            mpsc::error::TrySendError::Closed(_) => Ended::Gone,
        })
    }

    fn acknowledge(&self, revision: Revision) -> Result<(), Ended> {
        // What was not sent cannot have been applied.
        if revision > self.line.sent() {
            return Err(Ended::Malformed);
        }
        self.leases.acknowledgements.add(self.holder.id, revision, self.leases.feed.foreign());
        Ok(())
    }

    /// Writes a lease down, beside the stream: changes go on meanwhile.
    fn write(&self, number: u64) -> BoxFuture<'static, Written> {
        let (leases, holder) = (self.leases.clone(), self.holder.clone());
        let acknowledged = leases.acknowledgements.of(holder.id).unwrap_or(Revision(0));
        async move {
            let lease = NewLease {
                holder: holder.id,
                name: &holder.name,
                place: &holder.place,
                replica: &leases.replica,
                duration: leases.duration,
                acknowledged,
            };
            leases.store.renew_lease(&lease).await?;
            leases.acknowledgements.leased(holder.id, acknowledged);
            Ok((number, leases.store.revision().await?))
        }
        .boxed()
    }
}
