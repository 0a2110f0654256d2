use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tls::Connector;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Status};

/// How long one replica may take to answer what can be asked of another as well.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether a service takes connections again.
const AGAIN: Duration = Duration::from_millis(25);
/// How many calls wait for that at once: while a service is gone, those for others must find room.
const MOST_WAITING: usize = 256;

/// The replicas of a service, of which one is preferred as long as it answers. Cheap to clone; every clone prefers the same.
#[derive(Clone, Debug)]
pub struct Replicas(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoints: Vec<Endpoint>,
    connector: Connector,
    channels: Vec<Channel>,
    preferred: AtomicUsize,
    patience: Duration,
    waiting: Semaphore,
}

impl Replicas {
    /// The replicas at these addresses, and what connects to them. It connects to none of them yet.
    ///
    /// # Panics
    /// Where there is none: the configuration sees to that.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>, connector: Connector) -> Self {
        Self::patient(endpoints, connector, Duration::ZERO)
    }

    /// The same, of a service that may be started anew: for so long a call waits until one takes connections.
    ///
    /// # Panics
    /// Where there is none: the configuration sees to that.
    #[must_use]
    pub fn patient(endpoints: Vec<Endpoint>, connector: Connector, patience: Duration) -> Self {
        assert!(!endpoints.is_empty(), "a service has a replica");
        let connect = |endpoint: &Endpoint| endpoint.connect_with_connector_lazy(connector.clone());
        let channels: Vec<Channel> = endpoints.iter().map(connect).collect();
        // Not all of those who ask prefer the same.
        let preferred = AtomicUsize::new(rand::random_range(0..channels.len()));
        let waiting = Semaphore::new(MOST_WAITING);
        Self(Arc::new(Shared { endpoints, connector, channels, preferred, patience, waiting }))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.channels.len()
    }

    /// Never: there is one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The one that is preferred.
    #[must_use]
    pub fn preferred(&self) -> usize {
        self.0.preferred.load(Ordering::Relaxed)
    }

    /// The connection to one.
    #[must_use]
    pub fn channel(&self, replica: usize) -> Channel {
        self.0.channels[replica % self.len()].clone()
    }

    /// A connection of one's own to one.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub async fn connect(&self, replica: usize) -> Result<Channel, tonic::transport::Error> {
        let endpoint = &self.0.endpoints[replica % self.len()];
        endpoint.connect_with_connector(self.0.connector.clone()).await
    }

    /// Another one is preferred, unless that is so already.
    pub fn avoid(&self, replica: usize) {
        let next = (replica + 1) % self.len();
        let _ = self.0.preferred.compare_exchange(replica, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Asks one after the other what changes nothing, until one answers. Only an outage makes it go on.
    ///
    /// # Errors
    /// The last one's.
    pub async fn ask<T, F>(&self, question: impl Fn(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let first = self.preferred();
        let mut last = Status::unavailable("no replica answers");
        for replica in first..first + self.len() {
            let answer = question(self.channel(replica));
            let answer = if self.len() == 1 {
                answer.await
            } else {
                let timed = timeout(PATIENCE, answer).await;
                timed.unwrap_or_else(|_| Err(Status::deadline_exceeded("the replica does not answer")))
            };
            match answer {
                Err(status) if is_outage(&status) => {
                    self.avoid(replica % self.len());
                    last = status;
                }
                answered => return answered,
            }
        }
        Err(last)
    }

    /// Calls what may change something: goes on to another one only where the call was certainly not sent. Where none takes
    /// connections it waits for as long as the patience is.
    ///
    /// # Errors
    /// As the call fails.
    pub async fn call<T, F>(&self, attempt: impl Fn(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut waiting = None;
        loop {
            let last = match self.call_once(&attempt).await {
                Err(status) if was_not_sent(&status) => status,
                answered => return answered,
            };
            let (_room, deadline) = match &waiting {
                Some(waiting) => waiting,
                None => {
                    let Ok(room) = self.0.waiting.try_acquire() else { return Err(last) };
                    waiting.insert((room, Instant::now() + self.0.patience))
                }
            };
            if *deadline < Instant::now() + AGAIN {
                return Err(last);
            }
            sleep(AGAIN).await;
        }
    }

    /// Calls one after the other until the call was sent.
    async fn call_once<T, F>(&self, attempt: &impl Fn(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let first = self.preferred();
        let mut last = Status::unavailable("no replica answers");
        for replica in first..first + self.len() {
            match attempt(self.channel(replica)).await {
                Err(status) if was_not_sent(&status) => {
                    self.avoid(replica % self.len());
                    last = status;
                }
                answered => return answered,
            }
        }
        Err(last)
    }
}

/// Whether the replica could not answer, rather than that it answered something unwelcome. What it says under its own name is
/// an answer: its database may be out of reach, and so it is for the others.
#[must_use]
pub fn is_outage(status: &Status) -> bool {
    // A connection that breaks under a call gives it a code that tells nothing, and a source, which no answer has.
    let broken = matches!(status.code(), Code::Unknown | Code::Internal) && status.source().is_some();
    let outage = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled);
    broken || outage && !is_answer(status)
}

/// A status that came by the wire has no source.
fn is_answer(status: &Status) -> bool {
    status.source().is_none() && !status.details().is_empty()
}

/// Whether a call failed before a byte of it was sent: there was no connection, or one that its service had closed for new calls.
fn was_not_sent(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(cause) = next {
        let closed = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        let unprocessed = cause.downcast_ref::<h2::Error>().is_some_and(is_unprocessed);
        if closed || unprocessed || cause.is::<ConnectError>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Whether a server has said that it has not looked at a request: it ends the connection, and the request came after the last one
/// that it takes, or it refuses the stream (RFC 9113, sections 6.8 and 8.7).
fn is_unprocessed(error: &h2::Error) -> bool {
    let leaves = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    let refuses = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (leaves || refuses)
}
