//! A flood of sign-ins: what memory it takes, and what it does to Introspect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Authority, AuthorityClient};
use rand::SeedableRng;
use rand::rngs::StdRng;
use testkit::TestDatabase;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Code;

use crate::measure::{quantile, timed};
use crate::population::{Size, login, populate};
use crate::report::{Goal, Measured};

/// How many sign in at once, each of an account of its own.
const SIGN_INS: usize = 500;

/// An introspection begins this often, whether the one before has been answered or not.
const PACE: Duration = Duration::from_millis(4);

/// How long Introspect is measured while nothing else happens.
const IDLE: Duration = Duration::from_secs(8);

/// On the default database, SQLite, with the default configuration.
pub(super) async fn measure() -> anyhow::Result<[Measured; 2]> {
    let database = TestDatabase::sqlite();
    let mut authority = Authority::prepare(&database.url).await;
    let size = Size { accounts: SIGN_INS, tokens_per_account: 1, kept: SIGN_INS };
    let population = populate(&database.url, size, &mut StdRng::seed_from_u64(1)).await?;
    authority.start().await;
    let client = authority.client();
    let token: Arc<str> = population.tokens[0].as_str().into();

    let enough = Arc::new(AtomicBool::new(false));
    // The first second is for the connection and the caches.
    probe(&client, &token, Arc::clone(&enough), Duration::from_secs(1)).await?;
    let mut idle = probe(&client, &token, Arc::clone(&enough), IDLE).await?;
    let asking = tokio::spawn({
        let (client, token, enough) = (client, Arc::clone(&token), Arc::clone(&enough));
        async move { probe(&client, &token, enough, Duration::MAX).await }
    });
    // On threads of its own, so that an answer to the probe does not wait behind the flood within this program.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let flooder = {
        let _inside = runtime.enter();
        authority.client()
    };
    let (refused, took) = timed(runtime.spawn(flood(flooder))).await;
    runtime.shutdown_background();
    enough.store(true, Ordering::Relaxed);
    let mut flooded = asking.await??;
    let peak = peak_memory_mib(authority.pid().context("the service runs")?)?;

    let [before, during] = [&mut idle, &mut flooded].map(|samples| quantile(samples, 0.99));
    eprintln!("  {SIGN_INS} sign-ins in {took:?}, {} refused as too many", refused??);
    for (when, samples) in [("idle", &mut idle), ("in the flood", &mut flooded)] {
        let [median, p90, p99, worst] = [0.5, 0.9, 0.99, 1.0].map(|share| quantile(samples, share));
        let calls = samples.len();
        eprintln!("  Introspect {when}: {calls} calls, median {median:?}, p90 {p90:?}, p99 {p99:?}, worst {worst:?}");
    }
    Ok([
        Measured { key: "signin_flood_rss_mib", value: Some(peak), goal: Goal::Below(400.0) },
        Measured {
            key: "signin_flood_introspect_p99_ratio",
            value: Some(during.as_secs_f64() / before.as_secs_f64()),
            goal: Goal::Below(3.0),
        },
    ])
}

/// Introspects at a steady pace, for a time or until it is enough.
async fn probe(
    client: &AuthorityClient,
    token: &Arc<str>,
    enough: Arc<AtomicBool>,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = std::time::Instant::now();
    let mut calls = JoinSet::new();
    while begun.elapsed() < time && !enough.load(Ordering::Relaxed) {
        pace.tick().await;
        let (mut client, token) = (client.clone(), Arc::clone(token));
        calls.spawn(async move {
            let (answer, took) = timed(client.introspect(&token)).await;
            answer.map(|answer| (answer.active, took))
        });
    }
    let mut samples = Vec::with_capacity(calls.len());
    while let Some(call) = calls.join_next().await {
        let (active, took) = call??;
        ensure!(active, "a token that was written is not alive");
        samples.push(took);
    }
    Ok(samples)
}

/// Signs every account in at once. How many were refused because the authority was too busy.
async fn flood(client: AuthorityClient) -> anyhow::Result<usize> {
    let mut sign_ins = JoinSet::new();
    for account in 1..=SIGN_INS {
        let mut client = client.clone();
        sign_ins.spawn(async move { client.signin(&login(account)).await });
    }
    let mut refused = 0;
    while let Some(signed_in) = sign_ins.join_next().await {
        match signed_in? {
            Ok(_) => {}
            Err(status) if status.code() == Code::Unavailable => refused += 1,
            Err(status) => return Err(status).context("a sign-in failed"),
        }
    }
    Ok(refused)
}

/// The most memory that a process has had resident so far (`VmHWM`).
fn peak_memory_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel tells no VmHWM")?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}
