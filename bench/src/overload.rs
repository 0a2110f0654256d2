//! What becomes of the calls that are let in where twice as many come as the platform can take. The services are real ones; all of
//! them are on one core, and what calls them on another.

mod load;
mod stage;

use std::time::Duration;

use crate::hot_path::Cores;
use crate::measure::{median, quantile};
use crate::report::{Goal, Measured};
use load::{Request, Run};
use stage::Stage;

/// How often each is measured, in turn.
const ROUNDS: usize = 3;

/// How many call at once to find out what the platform can take, each again as soon as it is answered.
const CALLERS: usize = 64;

/// For how long, each time.
const CAPACITY: Duration = Duration::from_secs(5);

/// For how long more is offered than that.
const OVERLOAD: Duration = Duration::from_secs(8);

/// How long is called before anything counts, and by how many: a platform has had calmer times before.
const WARM_UP: Duration = Duration::from_secs(2);
const FEW: usize = 4;

/// How much more.
const TIMES: f64 = 2.0;

/// Which share of it has to be sent at least: what is not sent is in no percentile.
const OFFERED: f64 = 0.999;

pub(crate) async fn measure() -> anyhow::Result<Vec<Measured>> {
    let cores = Cores::find()?;
    eprintln!("  servers on core {}, load on core {}", cores.servers, cores.load);
    let stage = Stage::start(cores).await?;
    let request = stage.request();
    closed(cores, &request, FEW, WARM_UP).await?;
    let (mut p99s, mut shares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut capacity = closed(cores, &request, CALLERS, CAPACITY).await?;
        anyhow::ensure!(capacity.refused == 0, "{} of {CALLERS} callers were refused", capacity.refused);
        let rate = capacity.accepted_per_second();
        let (offered, request) = (rate * TIMES, request.clone());
        let mut overload = cores.load(move || load::open(request, offered, OVERLOAD)).await?;
        let [at_capacity, accepted] = [&mut capacity, &mut overload].map(|run| quantile(&mut run.accepted, 0.99));
        let at_first = quantile(&mut overload.at_first, 0.99);
        let half = quantile(&mut overload.accepted, 0.5);
        let told = quantile(&mut overload.told_after, 0.99);
        let accepted_rate = overload.accepted_per_second();
        eprintln!(
            "  capacity {rate:.0} a second, p99 {at_capacity:.1?}; offered {offered:.0}, accepted {accepted_rate:.0}, p50 \
             {half:.1?}, p99 {accepted:.1?}, in the first second {at_first:.1?}; refused {}, p99 {told:.1?}; not sent {}",
            overload.refused, overload.not_sent
        );
        // What finds no connection is not offered.
        let offered_share = 1.0 - share(overload.not_sent, overload.calls());
        anyhow::ensure!(offered_share >= OFFERED, "only {offered_share:.2} of the calls could be sent");
        p99s.push(accepted.as_secs_f64() / at_capacity.as_secs_f64());
        shares.push(accepted_rate / rate);
    }
    Ok(vec![
        Measured { key: "accepted_p99_ratio_at_2x", value: median(&mut p99s), goal: Goal::AtMost(3.0) },
        Measured { key: "accepted_share_of_capacity", value: median(&mut shares), goal: Goal::AtLeast(0.8) },
    ])
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than a million")]
fn share(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}

async fn closed(cores: Cores, request: &Request, callers: usize, time: Duration) -> anyhow::Result<Run> {
    let request = request.clone();
    cores.load(move || load::closed(request, callers, time)).await
}
