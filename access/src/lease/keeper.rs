//! Keeps a lease: the stream to one of the authority's replicas, and to another where that one does not answer.

use std::time::Duration;

use proto::token::v1::leases_client::LeasesClient;
use proto::token::v1::{WatchRequest, WatchResponse};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status, Streaming};

use super::wire::{Introduction, MalformedMessage, from_authority};
use super::{Disorder, Holder, LeaseHandle, ToAuthority, ToHolder};
use crate::Replicas;

/// How long a replica may take to begin a stream.
const PATIENCE: Duration = Duration::from_secs(1);

/// The wait before the next try, after every replica was tried in vain: at first, and at the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many messages wait to be sent.
const OUTGOING: usize = 64;

/// A lease is asked for so often while one lasts, and a replica that has not answered by then is left.
const QUESTIONS_PER_LEASE: u32 = 3;

/// Keeps a process's lease until it is told to give it back.
pub struct LeaseKeeper {
    lease: LeaseHandle,
    authority: Replicas,
    service_key: AsciiMetadataValue,
    place: String,
    released: CancellationToken,
}

/// Why a stream has ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the lease was given back")]
    Released,
    #[error("the replica cannot be reached")]
    Connect(#[from] tonic::transport::Error),
    #[error("the replica has ended the stream")]
    Status(#[from] Box<Status>),
    #[error("the replica is leaving")]
    Left,
    #[error("the replica does not answer")]
    Silent,
    #[error(transparent)]
    Malformed(#[from] MalformedMessage),
    #[error(transparent)]
    Disorder(#[from] Disorder),
}

/// A stream, as long as it lasts.
struct Stream {
    number: u64,
    outgoing: mpsc::Sender<WatchRequest>,
    incoming: Streaming<WatchResponse>,
}

impl LeaseKeeper {
    /// Keeps the lease by these replicas, which know the service by its key. `place` is where operators find the process.
    /// The lease is given back when `released` is cancelled.
    #[must_use]
    pub fn new(
        lease: LeaseHandle,
        authority: Replicas,
        service_key: AsciiMetadataValue,
        place: String,
        released: CancellationToken,
    ) -> Self {
        Self { lease, authority, service_key, place, released }
    }

    /// Keeps it.
    pub async fn keep(self) {
        let mut replica = self.authority.preferred();
        let (mut wait, mut in_vain) = (FIRST_WAIT, 0);
        loop {
            let mut leased = false;
            let ended = self.stream(replica, &mut leased).await;
            if let Ended::Released = ended {
                return;
            }
            let cause = std::error::Error::source(&ended).map(ToString::to_string);
            tracing::debug!(error = %ended, cause, replica, "a stream to the authority has ended");
            replica = (replica + 1) % self.authority.len();
            if leased {
                (wait, in_vain) = (FIRST_WAIT, 0);
            }
            in_vain += 1;
            if in_vain <= self.authority.len() {
                continue;
            }
            if in_vain == self.authority.len() + 1 {
                tracing::warn!(error = %ended, cause, "the authority is out of reach: there is no lease");
            }
            tokio::select! {
                () = self.released.cancelled() => return,
                () = tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))) => {}
            }
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }

    /// Has a stream until it ends, and says whether there was a lease by it.
    async fn stream(&self, replica: usize, leased: &mut bool) -> Ended {
        let begun = tokio::select! {
            () = self.released.cancelled() => return Ended::Released,
            begun = timeout(PATIENCE, self.begin(replica)) => begun.unwrap_or(Err(Ended::Silent)),
        };
        match begun {
            Ok((stream, every)) => self.serve(stream, every, leased).await.err().unwrap_or(Ended::Released),
            Err(ended) => ended,
        }
    }

    async fn serve(&self, mut stream: Stream, every: Duration, leased: &mut bool) -> Result<(), Ended> {
        self.ask(&stream)?;
        let mut questions = interval(every);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        questions.reset();
        let mut answered = false;
        loop {
            tokio::select! {
                biased;
                message = stream.incoming.message() => {
                    let message = message.map_err(Box::new)?.ok_or(Ended::Left)?;
                    let (message, _) = from_authority(message)?;
                    self.take(&stream, &message)?;
                    answered |= matches!(message, ToHolder::Lease { .. });
                    *leased |= answered;
                }
                () = self.released.cancelled() => {
                    let release = self.lease.change(|holder, _| holder.release());
                    stream.send(release)?;
                    // The replica ends the stream when it has written that down.
                    let ended = async { while stream.incoming.message().await.is_ok_and(|message| message.is_some()) {} };
                    drop(timeout(PATIENCE, ended).await);
                    return Ok(());
                }
                _ = questions.tick() => {
                    if !std::mem::take(&mut answered) {
                        return Err(Ended::Silent);
                    }
                    self.lease.change(Holder::forget);
                    self.ask(&stream)?;
                }
            }
        }
    }

    /// Begins a stream on a connection of its own, and answers how often to ask on it.
    async fn begin(&self, replica: usize) -> Result<(Stream, Duration), Ended> {
        let channel = self.authority.connect(replica).await?;
        let resume = self.lease.change(|holder, _| holder.connect());
        let introduction = Introduction::of(self.lease.id(), &self.place, resume);
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        outgoing.try_send(introduction.to_wire()).map_err(|_| Ended::Silent)?;
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", self.service_key.clone());
        let mut incoming = LeasesClient::new(channel).watch(request).await.map_err(Box::new)?.into_inner();
        let first = incoming.message().await.map_err(Box::new)?.ok_or(Ended::Left)?;
        let (first, lease_duration) = from_authority(first)?;
        let every = lease_duration.ok_or(MalformedMessage)? / QUESTIONS_PER_LEASE;
        let stream = Stream { number: resume.stream, outgoing, incoming };
        self.take(&stream, &first)?;
        Ok((stream, every.max(Duration::from_millis(1))))
    }

    fn ask(&self, stream: &Stream) -> Result<(), Ended> {
        let question = self.lease.change(Holder::ask);
        stream.send(question)
    }

    /// What is answered is sent after it has been applied.
    fn take(&self, stream: &Stream, message: &ToHolder) -> Result<(), Ended> {
        let answer = self.lease.change(|holder, now| holder.take(stream.number, message, now))?;
        answer.map_or(Ok(()), |answer| stream.send(answer))
    }
}

impl Stream {
    /// Nothing waits for a replica that does not read.
    fn send(&self, message: ToAuthority) -> Result<(), Ended> {
        self.outgoing.try_send(message.into()).map_err(|_| Ended::Silent)
    }
}
