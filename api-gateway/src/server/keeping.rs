//! How long a connection is kept.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper_util::server::graceful::GracefulConnection;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::exchange::Exchange;

/// How long clients are waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Until a head has come, and for the end of a connection that was told to end.
    pub(super) head: Duration,
    /// Until the next call on a connection of HTTP/2.
    pub(super) idle: Duration,
    /// Until something of an answer is taken.
    pub(super) answer: Duration,
}

/// Why a connection was ended that its client would have kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its address has as many as it may have.
    Address,
    /// No request has come.
    Silent,
    /// There was no call for a while.
    Idle,
    /// Its client does not take an answer.
    Slow,
    /// Its client calls and does not want to know what comes of it, again and again.
    Resets,
}

impl Cut {
    const ALL: [Self; 5] = [Self::Address, Self::Silent, Self::Idle, Self::Slow, Self::Resets];

    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Resets => "resets",
        }
    }
}

/// How many connections were ended, and why.
#[derive(Clone, Default)]
pub(super) struct Cuts(Arc<[AtomicU64; Cut::ALL.len()]>);

impl Cuts {
    /// One more.
    pub(super) fn note(&self, cut: Cut) {
        self.0[cut as usize].fetch_add(1, Relaxed);
        tracing::debug!(reason = cut.name(), "a connection was ended");
    }

    /// Shows them.
    pub(super) fn show(&self, meter: &Meter) {
        let counts = Arc::clone(&self.0);
        meter
            .u64_observable_counter("portcullis.gateway.connections.ended")
            .with_unit("{connection}")
            .with_description("Connections that the gateway has ended although their clients would have kept them")
            .with_callback(move |seen| {
                for cut in Cut::ALL {
                    seen.observe(counts[cut as usize].load(Relaxed), &[KeyValue::new("reason", cut.name())]);
                }
            })
            .build();
    }
}

/// Serves a connection to its end, and ends it where its client keeps it for nothing. A client that is told to end it gets its
/// answers first, as far as it takes them in time.
pub(super) async fn keep<C>(
    connection: C,
    exchange: &Arc<Exchange>,
    patience: Patience,
    closing: &CancellationToken,
) -> Result<(), Cut>
where
    C: GracefulConnection,
    C::Error: ToString,
{
    let mut connection = pin!(connection);
    // By themselves, so that they are not looked at whenever something comes or goes.
    let mut orders = FuturesUnordered::new();
    orders.push(Keeper::new(Arc::clone(exchange), patience, closing.clone()).next());
    let mut ending = None;
    loop {
        let (order, keeper) = tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(error = error.to_string(), "a connection ended early");
                }
                return exchange.was_slow().then_some(Cut::Slow).or(ending).map_or(Ok(()), Err);
            }
            Some(next) = orders.next() => next,
        };
        match order {
            Order::Finish(cut) => {
                ending = ending.or(cut);
                connection.as_mut().graceful_shutdown();
            }
            Order::End(cut) => return Err(cut),
        }
        orders.push(keeper.next());
    }
}

/// What is to be done with a connection.
enum Order {
    /// What is under way is finished, and nothing else is begun.
    Finish(Option<Cut>),
    /// It ends at once.
    End(Cut),
}

/// Looks after a connection.
struct Keeper {
    exchange: Arc<Exchange>,
    patience: Patience,
    closing: CancellationToken,
    /// Until when a client that has said nothing yet is waited for.
    silent: Option<Instant>,
    idle: Watch,
    taken: Watch,
    drains: bool,
    /// Why it is told to finish, and until when that may take.
    ending: Option<(Cut, Instant)>,
}

impl Keeper {
    fn new(exchange: Arc<Exchange>, patience: Patience, closing: CancellationToken) -> Self {
        let silent = Some(Instant::now() + patience.head);
        let (idle, taken) = (Watch::new(patience.idle), Watch::new(patience.answer));
        Self { exchange, patience, closing, silent, idle, taken, drains: false, ending: None }
    }

    /// What is to be done next, as soon as it is.
    async fn next(mut self) -> (Order, Self) {
        let exchange = Arc::clone(&self.exchange);
        let far = Instant::now() + self.patience.idle;
        loop {
            let (silent, ending) = (self.silent.unwrap_or(far), self.ending.map_or(far, |(_, until)| until));
            tokio::select! {
                () = self.closing.cancelled(), if !self.drains => {
                    self.drains = true;
                    return (Order::Finish(None), self);
                }
                // Until it is known which version of HTTP a client speaks, no time-out of either version runs.
                () = exchange.first_words(), if self.silent.is_some() => self.silent = None,
                () = sleep_until(silent), if self.silent.is_some() => return (Order::End(Cut::Silent), self),
                () = exchange.too_many_abandoned(), if self.ending.is_none() => return self.finish(Cut::Resets),
                () = sleep_until(self.taken.until) => {
                    if self.taken.stood_still(exchange.taken(), exchange.is_owed()) {
                        return (Order::End(Cut::Slow), self);
                    }
                }
                () = sleep_until(self.idle.until), if self.ending.is_none() => {
                    if self.idle.stood_still(exchange.seen(), !exchange.is_open()) {
                        return self.finish(Cut::Idle);
                    }
                }
                () = sleep_until(ending), if self.ending.is_some() => {
                    let cut = self.ending.map_or(Cut::Idle, |(cut, _)| cut);
                    return (Order::End(cut), self);
                }
            }
        }
    }

    fn finish(mut self, cut: Cut) -> (Order, Self) {
        self.ending = Some((cut, Instant::now() + self.patience.head));
        (Order::Finish(Some(cut)), self)
    }
}

/// Looks from time to time whether a number still grows.
struct Watch {
    every: Duration,
    until: Instant,
    last: Option<u64>,
}

impl Watch {
    fn new(every: Duration) -> Self {
        Self { every, until: Instant::now() + every, last: None }
    }

    /// Whether the number is what it was when it was last looked at, and it was the client's turn then as now.
    fn stood_still(&mut self, number: u64, clients_turn: bool) -> bool {
        self.until = Instant::now() + self.every;
        let before = std::mem::replace(&mut self.last, clients_turn.then_some(number));
        clients_turn && before == Some(number)
    }
}
