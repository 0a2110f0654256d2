//! A thousand environments of one process each, all of them running.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};

use super::stage::Stage;
use crate::measure::quantile;
use crate::usage::cpu_time;

const ENVIRONMENTS: usize = 1000;
const LOOKS: usize = 30;
/// How long the service is left to itself.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct Many {
    /// The median of looks at all of them, in milliseconds.
    pub(super) list_ms: f64,
    /// What the service takes of one core when nobody calls it.
    pub(super) idle_percent: f64,
}

pub(super) async fn measure() -> anyhow::Result<Many> {
    let stage = Stage::start(
        "start_settle = \"0s\"\n\
         [limits]\nmax_environments = 1000\nmax_nodes = 1000\nmax_cloudlets = 100000\n\
         [[template]]\nname = \"sleeper\"\ncommand = [\"/bin/sleep\", \"1000\"]\n",
    )
    .await?;
    let made = (0..ENVIRONMENTS).map(|number| {
        let stage = &stage;
        async move { stage.create(&format!("env-{number}"), "sleeper").await }
    });
    stream::iter(made).buffer_unordered(8).try_collect::<()>().await?;

    let mut looks = Vec::with_capacity(LOOKS);
    for _ in 0..LOOKS {
        let request = stage.list_request().await?;
        let mut client = stage.client().max_decoding_message_size(64 << 20);
        let begun = Instant::now();
        let infos = client.get_envs(request).await?.into_inner().infos;
        looks.push(begun.elapsed());
        let running = infos.iter().filter(|info| info.env.as_ref().is_some_and(|env| env.status == 1)).count();
        anyhow::ensure!(running == ENVIRONMENTS, "{running} of {ENVIRONMENTS} environments run");
    }

    let service = stage.pid().context("the service runs")?;
    let (before, begun) = (cpu_time(service)?, Instant::now());
    tokio::time::sleep(IDLE).await;
    let used = cpu_time(service)? - before;
    Ok(Many {
        list_ms: quantile(&mut looks, 0.5).as_secs_f64() * 1000.0,
        idle_percent: used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0,
    })
}
