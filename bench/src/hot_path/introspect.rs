//! Introspect over gRPC: warm against a bare unary call, and cold on both engines.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::Authority;
use futures::future::try_join_all;
use prost::bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use testkit::Postgres;

use super::cores::Cores;
use super::light::{LightClient, question};
use super::stage::Stage;
use crate::measure::{median, quantile, timed};
use crate::population::{Size, populate};
use crate::report::{Goal, Measured};
use crate::usage::cpu_time;

/// How many calls are under way at once, on one connection.
const IN_FLIGHT: usize = 64;

/// How often each is measured, in turn, after one round that does not count.
const ROUNDS: usize = 7;

/// How long each is measured in a round.
const ROUND: Duration = Duration::from_secs(2);

/// Of how many tokens the authority is asked while it is warm.
const WARM: usize = 1000;

/// Of how many tokens that it was never asked of before, out of at least 100,000.
const COLD: usize = 20_000;

const ON_POSTGRES: Size = Size { accounts: 1000, tokens_per_account: 100, kept: COLD };

pub(super) async fn measure(stage: &mut Stage) -> anyhow::Result<Measured> {
    let value = warm(stage).await?;
    let tokens = stage.fresh_tokens(COLD)?;
    cold("SQLite", stage.cores, &stage.authority, tokens).await?;

    let postgres = Postgres::start();
    let database = postgres.new_database();
    let mut authority = Authority::prepare(&database).await;
    let population = populate(&database, ON_POSTGRES, &mut StdRng::seed_from_u64(1)).await?;
    authority.start_on(stage.cores.servers).await;
    cold("PostgreSQL", stage.cores, &authority, population.tokens).await?;
    Ok(Measured { key: "introspect_vs_echo", value: Some(value), goal: Goal::AtLeast(0.70) })
}

/// A server that answers to Introspect, and what it did in each round.
struct Side {
    name: &'static str,
    url: String,
    pid: u32,
    rounds: Vec<Round>,
}

#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    /// What a call cost of the server's core, in microseconds.
    server_micros: f64,
}

async fn warm(stage: &mut Stage) -> anyhow::Result<f64> {
    let questions = stage.fresh_tokens(WARM)?.iter().map(|token| question(token)).collect();
    let key = stage.authority.service_key().to_owned();
    let authority = stage.authority.pid().context("the authority runs")?;
    let sides = [
        Side { name: "Introspect", url: stage.authority.url(), pid: authority, rounds: Vec::new() },
        Side { name: "echo", url: stage.echo.url(), pid: stage.echo.process.pid(), rounds: Vec::new() },
    ];
    let [subject, yardstick] = stage.cores.load(move || compare(questions, key, sides)).await?;
    for side in [&subject, &yardstick] {
        side.tell();
    }
    let ratios = subject.rounds.iter().zip(&yardstick.rounds).map(|(a, b)| a.per_second / b.per_second);
    median(&mut ratios.collect::<Vec<_>>()).context("there were no rounds")
}

async fn compare(questions: Vec<Bytes>, key: String, mut sides: [Side; 2]) -> anyhow::Result<[Side; 2]> {
    let [subject, yardstick] = &sides;
    let clients = [LightClient::connect(&subject.url, &key).await?, LightClient::connect(&yardstick.url, &key).await?];
    for round in 0..=ROUNDS {
        // Each side is first every other time.
        for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let (client, side) = (&clients[side], &mut sides[side]);
            let measured = side.round(client, &questions).await?;
            if round > 0 {
                side.rounds.push(measured);
            }
        }
    }
    Ok(sides)
}

impl Side {
    async fn round(&self, client: &LightClient, questions: &[Bytes]) -> anyhow::Result<Round> {
        let (before, begun) = (cpu_time(self.pid)?, Instant::now());
        let next = |asked| (begun.elapsed() < ROUND).then(|| &questions[asked % questions.len()]);
        let calls = flood(client, next).await?;
        let (took, spent) = (begun.elapsed(), cpu_time(self.pid)?.saturating_sub(before));
        let calls = u32::try_from(calls.len())?;
        Ok(Round {
            per_second: f64::from(calls) / took.as_secs_f64(),
            server_micros: spent.as_secs_f64() * 1e6 / f64::from(calls),
        })
    }

    fn tell(&self) {
        let middle = |number: fn(&Round) -> f64| {
            median(&mut self.rounds.iter().map(number).collect::<Vec<_>>()).unwrap_or_default()
        };
        let (rate, cost) = (middle(|round| round.per_second), middle(|round| round.server_micros));
        eprintln!("  {}, warm: {rate:.0} calls a second, {cost:.1} us of the server's core each", self.name);
    }
}

/// Each token once, as fast as the authority can.
async fn cold(engine: &str, cores: Cores, authority: &Authority, tokens: Vec<String>) -> anyhow::Result<()> {
    let (url, key) = (authority.url(), authority.service_key().to_owned());
    let asking = async move || {
        let client = LightClient::connect(&url, &key).await?;
        let questions: Vec<Bytes> = tokens.iter().map(|token| question(token)).collect();
        let (calls, took) = timed(flood(&client, |asked| questions.get(asked))).await;
        Ok((calls?, took))
    };
    let (mut calls, took) = cores.load(asking).await?;
    #[expect(clippy::cast_precision_loss, reason = "thousands of calls")]
    let rate = calls.len() as f64 / took.as_secs_f64();
    let [median, p99] = [0.5, 0.99].map(|share| quantile(&mut calls, share));
    eprintln!(
        "  Introspect, cold, {engine}: {rate:.0} calls a second, median {median:?}, p99 {p99:?}, {IN_FLIGHT} in flight"
    );
    Ok(())
}

/// Keeps so many calls under way as long as there is a next question, by the number of those before. What each took.
async fn flood<'q>(client: &LightClient, next: impl Fn(usize) -> Option<&'q Bytes>) -> anyhow::Result<Vec<Duration>> {
    let begun = Cell::new(0);
    let callers = (0..IN_FLIGHT).map(|_| async {
        let mut samples = Vec::new();
        while let Some(question) = next(begun.replace(begun.get() + 1)) {
            let (answer, took) = timed(client.introspect(question)).await;
            answer?;
            samples.push(took);
        }
        anyhow::Ok(samples)
    });
    Ok(try_join_all(callers).await?.concat())
}
