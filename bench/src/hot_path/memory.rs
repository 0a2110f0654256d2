//! What the services keep in memory: at rest, and of each token that a gateway has seen.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Authority, Client};
use futures::future::{join_all, try_join_all};
use testkit::{ServiceProcess, TestDatabase, binary, free_port};
use tokio::process::Command;

use super::stage::{ANSWER, GatewayConfig, Server, Stage, call, ready};
use crate::report::{Goal, Measured};
use crate::usage::resident_bytes;

/// How many tokens have been used in the end, each once.
const TOKENS: usize = 100_000;

/// How many of them were used before the memory is looked at first, ...
const WARM_UP: usize = 1000;

/// ... and how often, so that what calls need has been allocated by then.
const WARM_UP_CALLS: usize = 20;

const IN_FLIGHT: usize = 64;

/// Of how many tokens it is seen whether the gateway has them in memory, ...
const SAMPLE: usize = 640;

/// ... within this time, which has to be less than what a lease holds at least.
const SAMPLE_TIME: Duration = Duration::from_secs(1);

/// With less of them in memory it is no cache that was measured, ...
const LEAST_SHARE: f64 = 0.5;

/// ... unless the lease ran out while it was looked at: then it is looked at again.
const SAMPLES: usize = 3;

/// How long the services are left alone. By then the uses of tokens have been reported, and their memory is free again.
const REST: Duration = Duration::from_secs(5);

const MIB: f64 = 1024.0 * 1024.0;

/// What a gateway keeps of a token.
pub(super) async fn per_token(stage: &mut Stage) -> anyhow::Result<Measured> {
    let gateway = stage.gateway().await?;
    let (url, pid) = (gateway.url(), gateway.process.pid());
    let (warm_up, tokens) = (stage.fresh_tokens(WARM_UP)?, stage.fresh_tokens(TOKENS - WARM_UP)?);
    let count = u32::try_from(tokens.len())?;
    let sample: Arc<[String]> = tokens.iter().step_by(tokens.len() / SAMPLE).take(SAMPLE).cloned().collect();
    let asked = url.clone();
    let filled = stage.cores.load(async move || {
        let client = Client::new(&url);
        for _ in 0..WARM_UP_CALLS {
            use_each(&client, &warm_up).await?;
        }
        tokio::time::sleep(REST).await;
        let before = resident_bytes(pid)?;
        use_each(&client, &tokens).await?;
        tokio::time::sleep(REST).await;
        Ok([before, resident_bytes(pid)?])
    });
    let [before, after] = filled.await?;
    let mut share: f64 = 0.0;
    for _ in 0..SAMPLES {
        let (asked, sample) = (asked.clone(), Arc::clone(&sample));
        stage.authority.pause();
        let seen = stage.cores.load(async move || Ok(share_in_memory(&Client::new(&asked), &sample).await)).await;
        stage.authority.resume();
        share = share.max(seen?);
        if share >= LEAST_SHARE {
            break;
        }
    }
    let [small, large] = [before, after].map(|bytes| bytes / MIB);
    eprintln!(
        "  a gateway: {small:.1} MiB after {WARM_UP} tokens, {large:.1} MiB after {TOKENS}, {share:.2} of them cached"
    );
    let value = (share >= LEAST_SHARE).then(|| (after - before) / (f64::from(count) * share));
    if value.is_none() {
        eprintln!(
            "  NOT MEASURED: the memory of a cached token. The gateway answers nothing while the authority is frozen"
        );
    }
    Ok(Measured { key: "bytes_per_cached_token", value, goal: Goal::AtMost(400.0) })
}

/// Of which share of tokens a gateway knows by itself what they are worth: the authority is frozen.
async fn share_in_memory(client: &Client, tokens: &[String]) -> f64 {
    let known = Cell::new(0_u32);
    // All at once, since whoever meets a token that is not known waits for the authority, and for longer than this.
    let callers = tokens.iter().map(async |token| {
        known.set(known.get() + u32::from(call(client, token).await == ANSWER));
    });
    let _ = tokio::time::timeout(SAMPLE_TIME, join_all(callers)).await;
    f64::from(known.get()) / tokens.len() as f64
}

/// Calls once with each token.
async fn use_each(client: &Client, tokens: &[String]) -> anyhow::Result<()> {
    let callers = (0..IN_FLIGHT).map(async |first| {
        for token in tokens.iter().skip(first).step_by(IN_FLIGHT) {
            let answer = call(client, token).await;
            ensure!(answer == ANSWER, "a token that was written does not work: {answer}");
        }
        Ok(())
    });
    try_join_all(callers).await.map(drop)
}

/// The three services with the least configuration, on SQLite, after they have become ready.
pub(super) async fn idle() -> anyhow::Result<Measured> {
    let databases = [TestDatabase::sqlite(), TestDatabase::sqlite()];
    let mut authority = Authority::prepare(&databases[0].url).await;
    authority.start().await;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("service.key");
    std::fs::write(&key, authority.service_key())?;
    let environment = environment_service(folder.path(), &databases[1].url, &authority.url(), &key).await?;
    let config = GatewayConfig { authority: &authority.url(), environment: &environment.url(), key: &key };
    let (port, file) = config.write(folder.path())?;
    let file = file.display().to_string();
    let process = ServiceProcess::start(&binary("api-gateway"), &["--config", &file], &[]).await;
    let gateway = ready(Server { process, port }).await?;
    // Being idle is what is measured here.
    tokio::time::sleep(REST).await;

    let mut sum = 0.0;
    let token_service = authority.pid().context("the authority runs")?;
    for (name, pid) in [
        ("token-service", token_service),
        ("environment-service", environment.process.pid()),
        ("api-gateway", gateway.process.pid()),
    ] {
        let resident = resident_bytes(pid)? / MIB;
        eprintln!("  {name}, idle: {resident:.1} MiB");
        sum += resident;
    }
    Ok(Measured { key: "idle_rss_mib", value: Some(sum), goal: Goal::Below(100.0) })
}

async fn environment_service(folder: &Path, database: &str, authority: &str, key: &Path) -> anyhow::Result<Server> {
    let (port, file) = (free_port(), folder.join("environment-service.toml"));
    let config = format!(
        "listen = \"127.0.0.1:{port}\"\ndatabase_url = {database:?}\nauthority_url = {authority:?}\n\
         service_key_file = {key:?}\ndata_dir = {:?}\n",
        folder.join("nodes"),
    );
    std::fs::write(&file, config)?;
    let (program, file) = (binary("environment-service"), file.display().to_string());
    let migrated = Command::new(&program).args(["--config", &file, "migrate"]).output().await?;
    ensure!(migrated.status.success(), "migrate: {}", String::from_utf8_lossy(&migrated.stderr));
    let process = ServiceProcess::start(&program, &["--config", &file], &[]).await;
    Ok(Server { process, port }.listens().await)
}
