use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::api::{Api, Clock, Reply, micros};
use crate::board::Board;
use crate::caller::{self, Shared};
use crate::faults;
use crate::history::{Call, Fault, History, Revocation};
use crate::population::{ACCOUNTS, Account, Size, populate};
use crate::request::Requester;
use crate::revoker::{self, Work};
use crate::stack::{GATEWAYS, Shape, Stack};

/// How many clients call through each gateway.
const CALLERS: usize = 8;

/// How many clients revoke.
const REVOKERS: usize = 6;

/// How often it is told how far all is.
const TOLD: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// How many revocations are to be confirmed.
    pub revocations: usize,
    /// Decides what is called, revoked and broken. What the machine makes of it differs each time.
    pub seed: u64,
    /// What the services are told.
    pub shape: Shape,
    /// How long it may take.
    pub at_most: Duration,
}

/// Starts everything, lets clients call and revoke while it is broken again and again, ends it, and answers what was done.
///
/// # Errors
/// Where the system does not work at all, or it takes too long.
pub async fn run(run: &Run) -> anyhow::Result<History> {
    sqlx::any::install_default_drivers();
    let mut rng = StdRng::seed_from_u64(run.seed);
    let stack = Arc::new(Stack::prepare(Shape { log_admissions: true, ..run.shape }).await?);
    let size = Size {
        // The last ones of an account are not alone, and other ways take from the same.
        tokens: run.revocations + run.revocations / 4 + 2_000,
        sessions: run.revocations / 5 + 200,
        passwords: run.revocations / 200 + 2,
    };
    let mut accounts = populate(&stack.database_url, size, &mut rng).await.context("the population")?;
    stack.start_all().await;
    let patience = run.shape.lease * 3 + Duration::from_secs(3);
    let api = Api::new(&stack, patience);
    make_environments(&api, &accounts).await?;

    let clock = Clock::start();
    let shared = Arc::new(Shared {
        board: Board::new(&mut accounts),
        clock,
        environments: accounts.iter().map(|account| account.environment.clone()).collect(),
        enough: AtomicBool::new(false),
        calls: AtomicU64::new(0),
    });
    let work = Arc::new(Work {
        shared: Arc::clone(&shared),
        sessions: accounts.iter().map(|account| account.session.clone()).collect(),
        passwords: Mutex::new((ACCOUNTS..accounts.len()).collect()),
        wanted: run.revocations,
        confirmed: AtomicUsize::new(0),
    });
    let requester = Requester::new(&stack, patience + run.shape.lease, clock)?;
    let began = clock.now();
    let mut callers = JoinSet::new();
    for number in 0..CALLERS * GATEWAYS {
        let rng = StdRng::seed_from_u64(rng.random());
        callers.spawn(caller::call(number % GATEWAYS, api.clone(), Arc::clone(&shared), rng));
    }
    let seeds = (StdRng::seed_from_u64(rng.random()), StdRng::seed_from_u64(rng.random()));
    let done = async {
        tokio::select! {
            done = async { tokio::try_join!(revoke(&work, &requester, seeds.0), break_things(run, &stack, &work, seeds.1)) } => done,
            never = tell(&work) => match never {},
            () = tokio::time::sleep(run.at_most) => {
                anyhow::bail!("{} of {} revocations within {:?}", work.confirmed(), run.revocations, run.at_most)
            }
        }
    };
    let (revocations, faults) = done.await?;
    shared.enough.store(true, Ordering::Relaxed);
    let calls: Vec<Call> = callers.join_all().await.into_iter().flatten().collect();
    let span = (began, clock.now());
    let admissions = stack.end_all().await?;
    Ok(History { lease: micros(run.shape.lease), span, calls, revocations, faults, admissions })
}

/// Each account whose tokens are revoked gets an environment to look at. It is stopped: nothing has to run for that.
pub(crate) async fn make_environments(api: &Api, accounts: &[Account]) -> anyhow::Result<()> {
    for account in &accounts[..ACCOUNTS] {
        let name = &account.environment;
        let env = serde_json::json!({ "shortdomain": name }).to_string();
        let nodes = serde_json::json!([{ "nodeType": "worker", "count": 1 }]).to_string();
        let form = [("env", env), ("nodes", nodes)];
        let made = api.post(0, "environment/control/rest/createenvironment", &account.session, &form).await;
        let form = [("envName", name.clone())];
        let stopped = api.post(0, "environment/control/rest/stopenv", &account.session, &form).await;
        for reply in [made, stopped] {
            match reply {
                Reply::Done(_) => {}
                Reply::Refused(_, answer) => anyhow::bail!("the environment {name}: {answer}"),
                Reply::Unknown => anyhow::bail!("the environment {name}: no answer"),
            }
        }
    }
    Ok(())
}

async fn revoke(work: &Arc<Work>, requester: &Requester, mut rng: StdRng) -> anyhow::Result<Vec<Revocation>> {
    let revokers = (0..REVOKERS).map(|_| {
        let rng = StdRng::seed_from_u64(rng.random());
        revoker::revoke(Arc::clone(work), requester.clone(), rng)
    });
    Ok(try_join_all(revokers).await?.into_iter().flatten().collect())
}

/// Breaks things until everything is revoked. Between the faults all comes up again and has its peace.
async fn break_things(run: &Run, stack: &Arc<Stack>, work: &Work, mut rng: StdRng) -> anyhow::Result<Vec<Fault>> {
    let (mut faults, clock) = (Vec::new(), work.shared.clock);
    while work.confirmed() < run.revocations {
        tokio::time::sleep(faults::calm(run.shape.lease, &mut rng)).await;
        let began = clock.now();
        let plans = faults::plan(run.shape.lease, &mut rng);
        try_join_all(plans.iter().map(|plan| faults::make(*plan, stack))).await?;
        stack.ready().await;
        let ended = clock.now();
        faults.extend(plans.iter().map(|plan| Fault {
            kind: plan.harm.kind(),
            victim: plan.harm.victim(),
            detail: format!("{} for {} ms", plan.harm, plan.lasts.as_millis()),
            began,
            ended,
        }));
    }
    Ok(faults)
}

/// Says now and then how far all is, so that nobody takes it for hung.
async fn tell(work: &Work) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(TOLD).await;
        let calls = work.shared.calls.load(Ordering::Relaxed);
        eprintln!("  {} of {} revocations, {calls} calls", work.confirmed(), work.wanted);
    }
}
