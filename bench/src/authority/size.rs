//! What Introspect and GetTokens cost at a million tokens, against what they cost at a thousand.

use std::time::Duration;

use anyhow::ensure;
use e2e::{Authority, AuthorityClient, with_grant};
use proto::token::v1::GetTokensRequest;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::measure::{Compared, Rounds, compare, timed};
use crate::population::{Population, Size, populate};
use crate::report::{Goal, Measured};

/// An account holds as many in both databases: the most that it may, by default.
const TOKENS_PER_ACCOUNT: usize = 100;
const SMALL: Size = Size { accounts: 10, tokens_per_account: TOKENS_PER_ACCOUNT, kept: SAMPLE };
const LARGE: Size = Size { accounts: 10_000, tokens_per_account: TOKENS_PER_ACCOUNT, kept: SAMPLE };

/// Of how many tokens each is asked for.
const SAMPLE: usize = 20_000;

const INTROSPECT: Rounds = Rounds { rounds: 200, calls: 50 };
const LIST: Rounds = Rounds { rounds: 100, calls: 10 };

/// How much dearer something is at a million tokens.
pub(super) struct Growth(Compared);

impl Growth {
    pub(super) fn named(self, key: &'static str) -> Measured {
        eprintln!("  {key}: {:?} at 1,000, {:?} at 1,000,000", self.0.yardstick, self.0.subject);
        Measured { key, value: Some(self.0.ratio()), goal: Goal::AtMost(1.25) }
    }
}

/// Introspect and GetTokens, on two empty databases of one engine.
pub(super) async fn measure(small: &str, large: &str) -> anyhow::Result<[Growth; 2]> {
    let mut small = Side::start(small, SMALL).await?;
    let mut large = Side::start(large, LARGE).await?;
    let introspect = compare(INTROSPECT, [&mut small, &mut large], Side::introspect).await?;
    let list = compare(LIST, [&mut small, &mut large], Side::list).await?;
    Ok([Growth(introspect), Growth(list)])
}

/// An authority of one size.
struct Side {
    client: AuthorityClient,
    population: Population,
    rng: StdRng,
    _authority: Authority,
}

impl Side {
    async fn start(url: &str, size: Size) -> anyhow::Result<Self> {
        let mut rng = StdRng::seed_from_u64(1);
        let mut authority = Authority::prepare(url).await;
        let ((), filled) = (eprintln!("  filling {size:?}"), timed(populate(url, size, &mut rng)).await);
        let (population, took) = filled;
        eprintln!("  filled in {took:?}");
        authority.start().await;
        Ok(Self { client: authority.client(), population: population?, rng, _authority: authority })
    }

    /// A token by chance, looked up in the database: what is remembered costs the same at every size.
    async fn introspect(&mut self) -> anyhow::Result<Duration> {
        let tokens = &self.population.tokens;
        let token = &tokens[self.rng.random_range(0..tokens.len())];
        let (answer, took) = timed(self.client.introspect_anew(token)).await;
        ensure!(answer?.active, "a token that was written is not alive");
        Ok(took)
    }

    /// All tokens of an account by chance. The grant is not part of the cost.
    async fn list(&mut self) -> anyhow::Result<Duration> {
        let sessions = &self.population.sessions;
        let session = &sessions[self.rng.random_range(0..sessions.len())];
        let grant = self.client.grant(session).await?;
        let (answer, took) =
            timed(self.client.tokens.get_tokens(with_grant(&grant, GetTokensRequest::default()))).await;
        ensure!(answer?.into_inner().api_tokens.len() == TOKENS_PER_ACCOUNT, "an account lacks tokens");
        Ok(took)
    }
}
