//! What the callers call with: shared between them and the revokers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use crate::history::{Kind, Method, Taken};
use crate::population::{ACCOUNTS, Account, Target};
use crate::stack::GATEWAYS;

/// With how many tokens of an account the callers call at a time: those that are revoked next, so that they are in every cache.
const WINDOW: usize = 60;

/// How many of those whose time is over are called with now and then.
const REMEMBERED: usize = 2_000;

/// A credential that is about to be taken away, or was just now.
pub(crate) struct Doomed {
    pub(crate) target: Arc<Target>,
    pub(crate) taken: Taken,
    confirmed: AtomicBool,
    /// Calls that were begun, before the confirmation and after it, by gateway.
    begun: [[AtomicU32; GATEWAYS]; 2],
    ended: [[AtomicU32; GATEWAYS]; 2],
}

impl Doomed {
    pub(crate) fn new(taken: Taken, target: Arc<Target>) -> Arc<Self> {
        let (confirmed, begun, ended) = Default::default();
        Arc::new(Self { target, taken, confirmed, begun, ended })
    }

    /// From now on calls count as made after the confirmation.
    pub(crate) fn confirm(&self) {
        self.confirmed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::SeqCst)
    }

    fn phase(&self) -> usize {
        usize::from(self.is_confirmed())
    }

    fn was_called(&self, calls: u32) -> bool {
        self.ended[self.phase()].iter().all(|ended| ended.load(Ordering::Relaxed) >= calls)
    }
}

/// A call that is to be made.
pub(crate) struct Job {
    pub(crate) target: Arc<Target>,
    /// Which of its values.
    pub(crate) value: u32,
    pub(crate) method: Method,
    doomed: Option<(Arc<Doomed>, usize)>,
}

/// All credentials, by what is known of them.
pub(crate) struct Board {
    doomed: Mutex<Vec<Arc<Doomed>>>,
    /// By account: what is alive. The revokers take from the end.
    tokens: Vec<Mutex<Vec<Arc<Target>>>>,
    sessions: Vec<Mutex<Vec<Arc<Target>>>>,
    over: Mutex<VecDeque<Arc<Doomed>>>,
    called: Notify,
}

impl Board {
    pub(crate) fn new(accounts: &mut [Account]) -> Self {
        Self {
            doomed: Mutex::default(),
            tokens: accounts.iter_mut().map(|account| Mutex::new(std::mem::take(&mut account.tokens))).collect(),
            sessions: accounts.iter_mut().map(|account| Mutex::new(std::mem::take(&mut account.sessions))).collect(),
            over: Mutex::default(),
            called: Notify::new(),
        }
    }

    fn pool(&self, kind: Kind, account: usize) -> MutexGuard<'_, Vec<Arc<Target>>> {
        let pools = if kind == Kind::Token { &self.tokens } else { &self.sessions };
        lock(&pools[account])
    }

    /// Takes up to so many of an account's out of what is alive.
    pub(crate) fn take(&self, kind: Kind, account: usize, most: usize) -> Vec<Arc<Target>> {
        let mut pool = self.pool(kind, account);
        let rest = pool.len().saturating_sub(most);
        pool.split_off(rest)
    }

    /// Gives back what is alive still, or again.
    pub(crate) fn give_back(&self, target: Arc<Target>) {
        let mut pool = self.pool(target.credential.kind, target.account);
        // Its turn comes again after the others of the window.
        let place = pool.len().saturating_sub(WINDOW);
        pool.insert(place, target);
    }

    /// Shows the callers what is to be taken away.
    pub(crate) fn doom(&self, doomed: &[Arc<Doomed>]) {
        lock(&self.doomed).extend(doomed.iter().cloned());
    }

    /// It is called with no more, or now and then only.
    pub(crate) fn is_over(&self, doomed: &[Arc<Doomed>]) {
        lock(&self.doomed).retain(|other| !doomed.iter().any(|doomed| Arc::ptr_eq(doomed, other)));
        let mut over = lock(&self.over);
        over.extend(doomed.iter().filter(|doomed| doomed.is_confirmed()).cloned());
        let surplus = over.len().saturating_sub(REMEMBERED);
        over.drain(..surplus);
    }

    /// Waits until each was called so often through each gateway in its present phase, or for so long.
    pub(crate) async fn called(&self, doomed: &[Arc<Doomed>], calls: u32, patience: Duration) {
        let all = async {
            loop {
                let called = self.called.notified();
                if doomed.iter().all(|doomed| doomed.was_called(calls)) {
                    return;
                }
                called.await;
            }
        };
        // One of the gateways may be frozen: then the others have to do.
        let _ = tokio::time::timeout(patience, all).await;
    }

    /// What to call next through a gateway: mostly what is about to be revoked or was just now.
    pub(crate) fn pick(&self, gateway: usize, rng: &mut StdRng) -> Option<Job> {
        let chance = rng.random_range(0..100);
        let doomed = if chance < 75 { self.least_called(gateway) } else { None };
        let over = if chance >= 90 { self.long_over(rng) } else { None };
        if let Some(doomed) = doomed.or(over) {
            return Some(job(doomed, gateway, rng));
        }
        let account = rng.random_range(0..ACCOUNTS);
        let kind = if rng.random_bool(0.2) { Kind::Session } else { Kind::Token };
        let target = {
            let pool = self.pool(kind, account);
            let window = pool.len().min(WINDOW);
            if window == 0 {
                return None;
            }
            Arc::clone(&pool[pool.len() - 1 - rng.random_range(0..window)])
        };
        let method = if rng.random() { Method::GetEnvs } else { Method::GetEnvInfo };
        let method = if target.may_call(method) { method } else { Method::GetEnvs };
        Some(Job { value: target.newest(), target, method, doomed: None })
    }

    fn least_called(&self, gateway: usize) -> Option<Arc<Doomed>> {
        let doomed = lock(&self.doomed);
        let begun = |doomed: &Arc<Doomed>| {
            let phase = doomed.phase();
            let begun = doomed.begun[phase][gateway].load(Ordering::Relaxed);
            // The first calls after a confirmation are what matters most.
            (begun > 1, 1 - phase, begun)
        };
        doomed.iter().min_by_key(|doomed| begun(doomed)).cloned()
    }

    fn long_over(&self, rng: &mut StdRng) -> Option<Arc<Doomed>> {
        let over = lock(&self.over);
        let place = if over.is_empty() { None } else { Some(rng.random_range(0..over.len())) };
        place.and_then(|place| over.get(place).cloned())
    }

    /// A call has ended.
    pub(crate) fn made(&self, job: &Job, gateway: usize) {
        if let Some((doomed, phase)) = &job.doomed {
            doomed.ended[*phase][gateway].fetch_add(1, Ordering::Relaxed);
            self.called.notify_waiters();
        }
    }
}

fn job(doomed: Arc<Doomed>, gateway: usize, rng: &mut StdRng) -> Job {
    let target = Arc::clone(&doomed.target);
    let any = if rng.random() { Method::GetEnvs } else { Method::GetEnvInfo };
    let (value, method) = match doomed.taken {
        Taken::Credential => (target.newest(), if target.may_call(any) { any } else { Method::GetEnvs }),
        Taken::Value(value) => (value, if target.may_call(any) { any } else { Method::GetEnvs }),
        Taken::Method(method) => (target.newest(), method),
    };
    let phase = doomed.phase();
    doomed.begun[phase][gateway].fetch_add(1, Ordering::Relaxed);
    Job { target, value, method, doomed: Some((doomed, phase)) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}
