//! An authorised call through the gateway, warm, against the same by hand without any rights, and against Envoy.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::envoy::{self, Envoy};
use super::stage::{ANSWER, PATH, Stage};
use super::wrk::{self, Call, Run};
use crate::measure::median;
use crate::report::{Goal, Measured};
use crate::usage::cpu_time;

/// How often each is measured, in turn.
const ROUNDS: usize = 5;

/// How long each is measured in a round.
const ROUND: Duration = Duration::from_secs(5);

/// How long each is called before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

pub(super) async fn measure(stage: &mut Stage) -> anyhow::Result<[Measured; 3]> {
    let (by_hand, by_envoy) = if wrk::is_there() {
        compare(stage).await?
    } else {
        eprintln!("  NOT MEASURED: the gateway. `wrk` is missing: install the package `wrk`");
        (Ratios::default(), Ratios::default())
    };
    Ok([
        Measured { key: "gateway_vs_handwritten", value: by_hand.rate, goal: Goal::AtLeast(0.90) },
        Measured { key: "gateway_p99_vs_handwritten", value: by_hand.p99, goal: Goal::AtMost(1.5) },
        Measured { key: "gateway_vs_envoy", value: by_envoy.rate, goal: Goal::AtLeast(3.0) },
    ])
}

/// The gateway's numbers over a yardstick's.
#[derive(Default)]
struct Ratios {
    rate: Option<f64>,
    p99: Option<f64>,
}

/// Something that is measured.
struct Side {
    name: &'static str,
    call: Call,
    runs: Vec<Run>,
    /// The processes that its calls go through.
    processes: Vec<Spent>,
    /// How long it was measured.
    time: Duration,
}

/// What a process has had of the core while its side was measured.
struct Spent {
    name: &'static str,
    pid: u32,
    time: Duration,
}

/// The gateway over the handler that is written by hand, and over Envoy.
async fn compare(stage: &mut Stage) -> anyhow::Result<(Ratios, Ratios)> {
    let token = stage.fresh_tokens(1)?.remove(0);
    let gateway = stage.gateway().await?;
    let by_hand = stage.yardstick(&["handwritten", "--upstream", &stage.no_op.url()]).await;
    let envoy = match envoy::install().await {
        Ok(program) => Some(Envoy::start(&program, stage).await?),
        Err(error) => {
            eprintln!("  NOT MEASURED: Envoy. {error:#}");
            None
        }
    };
    let headers = vec![("Authorization", format!("Bearer {token}"))];
    let rest = |url: String, headers| Call { url: url + PATH, verb: "GET", headers, body: "", answer: ANSWER };
    let token_service = stage.authority.pid().context("the authority runs")?;
    let no_op = ("no-op", stage.no_op.process.pid());
    let ours = [("api-gateway", gateway.process.pid()), ("token-service", token_service), no_op];
    let mut sides = vec![
        Side::new("gateway", rest(gateway.url(), headers.clone()), &ours),
        Side::new("by hand", rest(by_hand.url(), Vec::new()), &[("handler", by_hand.process.pid()), no_op]),
    ];
    sides.extend(envoy.as_ref().map(|envoy| {
        let [proxy, ext_authz] = envoy.pids();
        let processes = [("envoy", proxy), ("ext_authz", ext_authz), no_op];
        Side::new("Envoy", transcoded(&envoy.server.url(), headers), &processes)
    }));

    for side in &sides {
        side.call.check(stage.cores.load, stage.folder()).await?;
        side.call.measure(stage.cores.load, WARM_UP, stage.folder()).await?;
    }
    for round in 0..ROUNDS {
        // Each is first in its turn, so that none is always behind the same other.
        sides.rotate_left(usize::from(round > 0));
        for side in &mut sides {
            side.round(stage).await?;
        }
    }
    for side in &mut sides {
        side.call.check(stage.cores.load, stage.folder()).await?;
        side.tell();
    }
    let runs = |name| sides.iter().find(|side| side.name == name).map_or(&[][..], |side| &side.runs);
    let gateway = runs("gateway");
    Ok((Ratios::of(gateway, runs("by hand")), Ratios::of(gateway, runs("Envoy"))))
}

/// Envoy's way to the same RPC. Its answer has no `result`.
fn transcoded(url: &str, mut headers: Vec<(&'static str, String)>) -> Call {
    headers.push(("Content-Type", "application/json".to_owned()));
    let url = format!("{url}/portcullis.environment.v1.Control/StopEnv");
    Call { url, verb: "POST", headers, body: r#"{"envName":"my-project"}"#, answer: "{}" }
}

impl Side {
    fn new(name: &'static str, call: Call, processes: &[(&'static str, u32)]) -> Self {
        let processes = processes.iter().map(|&(name, pid)| Spent { name, pid, time: Duration::ZERO }).collect();
        Self { name, call, runs: Vec::new(), processes, time: Duration::ZERO }
    }

    async fn round(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let before = self.processes.iter().map(|process| cpu_time(process.pid));
        let before = before.collect::<anyhow::Result<Vec<_>>>()?;
        let begun = Instant::now();
        self.runs.push(self.call.measure(stage.cores.load, ROUND, stage.folder()).await?);
        self.time += begun.elapsed();
        for (process, before) in self.processes.iter_mut().zip(before) {
            process.time += cpu_time(process.pid)?.saturating_sub(before);
        }
        Ok(())
    }

    fn tell(&self) {
        let mut rates: Vec<f64> = self.runs.iter().map(|run| run.per_second).collect();
        let mut p99s: Vec<f64> = self.runs.iter().map(|run| run.p99.as_secs_f64() * 1e3).collect();
        if let (Some(rate), Some(p99)) = (median(&mut rates), median(&mut p99s)) {
            eprintln!("  {}: {rate:.0} calls a second, p99 {p99:.2} ms{}", self.name, self.costs());
        }
    }

    /// What a call takes of the servers' core; and the share of it that they had, which is less than all of it where other work
    /// took the rest, or the load could not keep up.
    fn costs(&self) -> String {
        let calls: f64 = self.runs.iter().map(|run| run.per_second * ROUND.as_secs_f64()).sum();
        let mut text = String::new();
        for Spent { name, time, .. } in &self.processes {
            let _ = write!(text, ", {name} {:.1} us", time.as_secs_f64() * 1e6 / calls);
        }
        let busy: f64 = self.processes.iter().map(|process| process.time.as_secs_f64()).sum();
        let _ = write!(text, " a call; {:.2} of the core", busy / self.time.as_secs_f64());
        text
    }
}

impl Ratios {
    /// The medians of the rounds' ratios: what disturbed a round disturbed both.
    fn of(subject: &[Run], yardstick: &[Run]) -> Self {
        let ratio = |number: fn(&Run) -> f64| {
            let rounds = subject.iter().zip(yardstick);
            median(&mut rounds.map(|(subject, yardstick)| number(subject) / number(yardstick)).collect::<Vec<_>>())
        };
        Self { rate: ratio(|run| run.per_second), p99: ratio(|run| run.p99.as_secs_f64()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(numbers: [(f64, u64); 3]) -> [Run; 3] {
        numbers.map(|(per_second, millis)| Run { per_second, p99: Duration::from_millis(millis) })
    }

    #[test]
    fn each_round_is_compared_with_itself() {
        let gateway = runs([(90.0, 2), (40.0, 9), (81.0, 2)]);
        let by_hand = runs([(100.0, 2), (50.0, 6), (90.0, 1)]);
        let ratios = Ratios::of(&gateway, &by_hand);
        assert!((ratios.rate.unwrap() - 0.9).abs() < 1e-9);
        assert!((ratios.p99.unwrap() - 1.5).abs() < 1e-9);
        assert_eq!(Ratios::of(&gateway, &[]).rate, None);
    }
}
