//! How credentials are used: noted in memory beside each call, and told to the authority in batches. No call waits for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::CredentialId;
use jiff::Timestamp;
use lifecycle::{Clock, Lifecycle};
use proto::token::v1::{CredentialUse, ReportUsesRequest};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::authority::Authority;

/// How often uses are told. With the authority in reach, none is told later than twice this.
const INTERVAL: Duration = Duration::from_secs(2);

/// How many uses a report holds at most, as the authority takes them.
const LONGEST: usize = 500;

/// How many uses of a credential a report tells at most, as the authority takes them.
const MOST: i64 = 1_000_000;

/// Of how many credentials uses are kept while the authority is out of reach.
const CREDENTIALS: usize = 100_000;

/// How long the last reports may take when the gateway stops.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before the last report is tried again.
const LAST_PAUSE: Duration = Duration::from_millis(100);

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// The uses that the authority is still to be told.
#[derive(Clone)]
pub(crate) struct Uses(Arc<Shared>);

struct Shared {
    clock: Clock,
    pending: Mutex<Pending>,
    ended: Notify,
}

#[derive(Default)]
struct Pending {
    /// By credential and day: uses of two days are counted apart.
    uses: HashMap<(CredentialId, i64), Use>,
    /// Uses that there was no room for.
    lost: u64,
}

/// How a credential was used.
#[derive(Clone, Copy)]
struct Use {
    count: i64,
    last_at: Timestamp,
    address: Option<IpAddr>,
    method: &'static str,
}

impl Uses {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared { clock, pending: Mutex::default(), ended: Notify::new() }))
    }

    /// Notes a call that a credential was good for.
    pub(crate) fn note(&self, credential: CredentialId, address: Option<IpAddr>, method: &'static str) {
        let last_at = self.0.clock.now();
        let mut pending = self.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let room = pending.uses.len() < CREDENTIALS;
        let key = (credential, day(last_at));
        match pending.uses.get_mut(&key) {
            Some(known) => *known = Use { count: known.count + 1, last_at, address, method },
            None if room => drop(pending.uses.insert(key, Use { count: 1, last_at, address, method })),
            None => pending.lost += 1,
        }
    }

    /// No call will be noted any more: what is left is told, and [`Self::report`] ends.
    pub(crate) fn end(&self) {
        self.0.ended.notify_one();
    }

    fn take(&self) -> Vec<CredentialUse> {
        let mut pending = self.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.lost > 0 {
            tracing::warn!(uses.lost = pending.lost, "the use of too many credentials waits for the authority");
            pending.lost = 0;
        }
        // The map goes as well: one that once held many would keep their room.
        let uses = std::mem::take(&mut pending.uses);
        drop(pending);
        uses.into_iter().map(|((credential, _), used)| used.to_wire(credential)).collect()
    }

    /// Tells the authority, from time to time, until the end.
    pub(crate) async fn report(self, authority: Authority, lifecycle: Lifecycle) {
        let mut reports = Reports::new(authority);
        loop {
            let last = tokio::select! {
                () = self.0.ended.notified() => true,
                () = lifecycle.aborted() => return,
                () = tokio::time::sleep(INTERVAL) => false,
            };
            reports.add(&self.take());
            if last {
                return reports.finish().await;
            }
            reports.send().await;
        }
    }
}

impl Use {
    fn to_wire(self, credential: CredentialId) -> CredentialUse {
        CredentialUse {
            kind: credential.kind.to_wire().into(),
            credential_id: credential.number,
            last_used_at: Some(proto::time::to_wire(self.last_at)),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            method: self.method.to_owned(),
            count: self.count.min(MOST),
        }
    }
}

/// Days since 1970, UTC.
fn day(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(DAY_SECONDS)
}

/// The reports that the authority has not confirmed. Each keeps its number, so that one whose answer was lost is not counted
/// twice.
struct Reports {
    authority: Authority,
    reporter: String,
    next: i64,
    waiting: std::collections::VecDeque<ReportUsesRequest>,
}

impl Reports {
    fn new(authority: Authority) -> Self {
        Self { authority, reporter: Uuid::now_v7().to_string(), next: 1, waiting: std::collections::VecDeque::new() }
    }

    fn add(&mut self, uses: &[CredentialUse]) {
        for chunk in uses.chunks(LONGEST) {
            // While the authority is out of reach, nothing grows without a bound.
            if self.waiting.len() * LONGEST >= CREDENTIALS {
                tracing::warn!(uses.lost = chunk.len(), "too many reports of uses wait for the authority");
                continue;
            }
            let (reporter, sequence) = (self.reporter.clone(), self.next);
            self.next += 1;
            self.waiting.push_back(ReportUsesRequest { reporter, sequence, uses: chunk.to_vec() });
        }
    }

    /// Sends what waits, in its order, as far as the authority takes it.
    async fn send(&mut self) {
        while let Some(report) = self.waiting.front() {
            if let Err(failure) = self.authority.report_uses(report.clone()).await {
                tracing::debug!(error = %failure, "uses were not reported yet");
                return;
            }
            self.waiting.pop_front();
        }
    }

    async fn finish(mut self) {
        let sent = tokio::time::timeout(LAST_PATIENCE, async {
            loop {
                self.send().await;
                if self.waiting.is_empty() {
                    return;
                }
                tokio::time::sleep(LAST_PAUSE).await;
            }
        });
        if sent.await.is_err() {
            tracing::warn!("the last uses of credentials were not reported: the authority is out of reach");
        }
    }
}
