//! Revocation, from the call to "confirmed", against the round trip of a bare unary call.

use std::time::Duration;

use anyhow::ensure;
use e2e::{AuthorityClient, Client};

use super::stage::{ANSWER, Server, Stage, call};
use crate::measure::{quantile, timed};
use crate::report::{Goal, Measured};

/// With how many holders it is measured.
const HOLDERS: [usize; 3] = [1, 8, 64];

/// With how many of them there is a goal.
const GOAL_HOLDERS: usize = 8;

/// Revocations and round trips go by turns, in blocks, so that what else the machine does falls on both.
const BLOCKS: usize = 20;
const REVOCATIONS: usize = 50;
const ROUND_TRIPS: usize = 100;

/// Nobody is asked of this in the echo's place.
const NO_TOKEN: &str = "pcl_pat_0000000000000000000000000000000000000000000";

pub(super) async fn measure(stage: &mut Stage) -> anyhow::Result<Measured> {
    let mut value = None;
    for count in HOLDERS {
        let holders = stage.start_holders(count).await?;
        let tokens = stage.fresh_tokens(BLOCKS * REVOCATIONS)?;
        let revoker = Revoker {
            authority: stage.authority.url(),
            echo: stage.echo.url(),
            key: stage.authority.service_key().to_owned(),
            holders: holders.iter().map(Server::url).collect(),
        };
        let times = stage.cores.load(move || revoker.revoke(tokens)).await?;
        let p99 = times.tell(count);
        if count == GOAL_HOLDERS {
            value = Some(p99);
        }
    }
    Ok(Measured { key: "revoke_p99_vs_rtt_8_holders", value, goal: Goal::AtMost(10.0) })
}

struct Revoker {
    authority: String,
    echo: String,
    key: String,
    holders: Vec<String>,
}

#[derive(Default)]
struct Times {
    revocations: Vec<Duration>,
    round_trips: Vec<Duration>,
}

impl Revoker {
    /// One token after the other. Each has been used before, so that a holder can have it in memory; and after the answer no
    /// holder lets it pass, or what was measured is no revocation.
    async fn revoke(self, tokens: Vec<String>) -> anyhow::Result<Times> {
        let mut authority = AuthorityClient::at(&self.authority, &self.key);
        let mut echo = AuthorityClient::at(&self.echo, &self.key);
        let holders: Vec<Client> = self.holders.iter().map(|url| Client::new(url)).collect();
        let mut times = Times::default();
        // The connections are made before anything counts.
        echo.introspect(NO_TOKEN).await?;
        authority.introspect(NO_TOKEN).await?;
        for (block, tokens) in tokens.chunks(REVOCATIONS).enumerate() {
            for _ in 0..ROUND_TRIPS {
                let (answer, took) = timed(echo.introspect(NO_TOKEN)).await;
                answer?;
                times.round_trips.push(took);
            }
            for (at, token) in tokens.iter().enumerate() {
                let holder = &holders[(block * REVOCATIONS + at) % holders.len()];
                let before = call(holder, token).await;
                ensure!(before == ANSWER, "a token that was written does not work: {before}");
                let (revoked, took) = timed(authority.revoke(token)).await;
                revoked?;
                times.revocations.push(took);
                let after = call(holder, token).await;
                ensure!(after != ANSWER, "a call was executed after its token's revocation had been confirmed");
            }
        }
        Ok(times)
    }
}

impl Times {
    /// The 99th percentile as a multiple of the median round trip.
    fn tell(mut self, holders: usize) -> f64 {
        let rtt = quantile(&mut self.round_trips, 0.5);
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&mut self.revocations, share));
        let [p50_ratio, p99_ratio] = [p50, p99].map(|time| time.as_secs_f64() / rtt.as_secs_f64());
        eprintln!(
            "  revocation, holders: {holders}. p50 {p50:?} ({p50_ratio:.1} round trips), p99 {p99:?} ({p99_ratio:.1}); \
             a round trip takes {rtt:?}"
        );
        p99_ratio
    }
}
