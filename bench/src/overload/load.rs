//! Calls over HTTP/1.1, by as little work as that takes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How many connections are open at once at most. What finds none is not sent.
const MOST_CONNECTIONS: usize = 900;

/// How many calls a run has at most.
const MOST_CALLS: usize = 1_000_000;

/// For how long they come as a surprise.
const FIRST: Duration = Duration::from_secs(1);

/// How often calls are sent, as many as are due by then.
const TICK: Duration = Duration::from_millis(1);

/// A request as it is sent, and to whom.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) address: SocketAddr,
    pub(super) text: Arc<str>,
}

/// What came of a number of calls.
#[derive(Default)]
pub(super) struct Run {
    /// How long each of those took that were done, from when it was due.
    pub(super) accepted: Vec<Duration>,
    /// Those of them that were due in the first second.
    pub(super) at_first: Vec<Duration>,
    pub(super) refused: usize,
    /// How long it took to be told so.
    pub(super) told_after: Vec<Duration>,
    pub(super) not_sent: usize,
    time: Duration,
}

/// What a call was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Done,
    /// By the error 9105.
    Refused,
}

impl Run {
    fn over(time: Duration) -> Self {
        Self { time, ..Self::default() }
    }

    fn add(&mut self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Done => self.accepted.push(took),
            Outcome::Refused => {
                self.refused += 1;
                self.told_after.push(took);
            }
        }
    }

    fn take(&mut self, begun: Instant, (outcome, due, took): (Outcome, Instant, Duration)) {
        if outcome == Outcome::Done && due.duration_since(begun) < FIRST {
            self.at_first.push(took);
        }
        self.add(outcome, took);
    }

    /// How many there were to be.
    pub(super) fn calls(&self) -> usize {
        self.accepted.len() + self.refused + self.not_sent
    }

    #[expect(clippy::cast_precision_loss, reason = "there are fewer than a million")]
    pub(super) fn accepted_per_second(&self) -> f64 {
        self.accepted.len() as f64 / self.time.as_secs_f64()
    }
}

/// So many callers, each of whom calls again as soon as it is answered.
pub(super) async fn closed(request: Request, callers: usize, time: Duration) -> anyhow::Result<Run> {
    let begun = Instant::now();
    let mut calling = JoinSet::new();
    for _ in 0..callers {
        let request = request.clone();
        calling.spawn(async move {
            let mut connection = Connection::open(&request).await?;
            let mut run = Run::default();
            while begun.elapsed() < time {
                let due = Instant::now();
                run.add(connection.call(&request).await?, due.elapsed());
            }
            anyhow::Ok(run)
        });
    }
    let mut all = Run::over(time);
    while let Some(run) = calling.join_next().await {
        let run = run??;
        all.accepted.extend(run.accepted);
        all.refused += run.refused;
        all.told_after.extend(run.told_after);
    }
    Ok(all)
}

/// So many calls a second, whatever becomes of those before.
pub(super) async fn open(request: Request, per_second: f64, time: Duration) -> anyhow::Result<Run> {
    let free = Arc::new(Mutex::new(Vec::<Connection>::new()));
    let mut calls = JoinSet::new();
    let mut all = Run::over(time);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, gap) = (Instant::now(), Duration::from_secs_f64(1.0 / per_second));
    let mut due = begun;
    let mut sent = 0;
    while begun.elapsed() < time && sent < MOST_CALLS {
        ticks.tick().await;
        while let Some(call) = calls.try_join_next() {
            all.take(begun, call??);
        }
        while due <= Instant::now() {
            let (at, request, free) = (due, request.clone(), Arc::clone(&free));
            (due, sent) = (due + gap, sent + 1);
            if calls.len() >= MOST_CONNECTIONS {
                all.not_sent += 1;
                continue;
            }
            calls.spawn(async move {
                let pooled = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut connection = match pooled {
                    Some(connection) => connection,
                    None => Connection::open(&request).await?,
                };
                let outcome = connection.call(&request).await?;
                free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                anyhow::Ok((outcome, at, at.elapsed()))
            });
        }
    }
    while let Some(call) = calls.join_next().await {
        all.take(begun, call??);
    }
    Ok(all)
}

struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    async fn open(request: &Request) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(request.address).await.context("the gateway takes no connection")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    async fn call(&mut self, request: &Request) -> anyhow::Result<Outcome> {
        self.stream.write_all(request.text.as_bytes()).await?;
        let mut length = 0;
        loop {
            self.line.clear();
            if self.stream.read_line(&mut self.line).await? == 0 {
                bail!("the connection ended");
            }
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        outcome(&self.body)
    }
}

fn outcome(body: &[u8]) -> anyhow::Result<Outcome> {
    if body.starts_with(b"{\"result\":0,") || body == b"{\"result\":0}" {
        return Ok(Outcome::Done);
    }
    if body.starts_with(b"{\"result\":9105,") {
        return Ok(Outcome::Refused);
    }
    bail!("an answer is neither: {}", String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_done_nor_refused_is_an_error() {
        assert_eq!(outcome(br#"{"result":0,"env":{}}"#).unwrap(), Outcome::Done);
        assert_eq!(outcome(br#"{"result":9105,"error":"busy"}"#).unwrap(), Outcome::Refused);
        assert!(outcome(br#"{"result":99}"#).is_err());
    }
}
