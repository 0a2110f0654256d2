//! How large the modelled world is, and what may go wrong in it.

use std::time::Duration;

use crate::rules::Rule;

/// What a change is about. The calls are all under one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The token of the calls.
    Token,
    /// Its whole account.
    Account,
    /// A token of another account.
    Other,
}

/// The bounds of a search, and the rules that are not kept in it.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) replicas: u8,
    pub(crate) gateways: usize,
    pub(crate) executors: usize,
    /// Calls that arrive at a gateway; without one, questions of somebody who caches nothing.
    pub(crate) calls: usize,
    pub(crate) changes: usize,
    pub(crate) kinds: &'static [Kind],
    /// The last tick.
    pub(crate) horizon: u8,
    /// How long a lease is given for, in ticks.
    pub(crate) lease: u8,
    /// Questions for a lease, by each holder.
    pub(crate) questions: u8,
    pub(crate) cuts: u8,
    pub(crate) restarts: u8,
    pub(crate) crashes: u8,
    pub(crate) releases: u8,
    /// Ticks by which the database's clock is set forward.
    pub(crate) jumps: u8,
    /// How many changes a holder remembers at most.
    pub(crate) capacity: usize,
    /// How long a holder remembers a change, and how far back a new holder is told of them, in ticks.
    pub(crate) remember: u8,
    /// How long a grant lives, in ticks. `None`: it never ends.
    pub(crate) grant: Option<u8>,
    /// How far the executing service's clock is behind the authority's, in ticks.
    pub(crate) behind: u8,
    /// Whether a replica may read its log late: up to some change only, not to the newest.
    pub(crate) lagging_log: bool,
    /// Whether what a holder said on a stream may reach its replica after the stream's end.
    pub(crate) lingering: bool,
    /// Whether a question for a lease arrives at once. Where it travels, the lease is written down later, and the holder's use
    /// of it ends no later: as if it had asked later, only less.
    pub(crate) prompt: bool,
    /// Whether the log keeps no more than new holders are told, so that one that is further behind begins anew.
    pub(crate) short_log: bool,
    /// How far a holder's clock goes in a tick, in which the database's goes 20 s.
    pub(crate) holder_tick: u64,
    pub(crate) without: Vec<Rule>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            replicas: 1,
            gateways: 0,
            executors: 0,
            calls: 1,
            changes: 1,
            kinds: &[Kind::Token],
            horizon: 4,
            lease: 2,
            questions: 2,
            cuts: 0,
            restarts: 0,
            crashes: 0,
            releases: 0,
            jumps: 0,
            capacity: 8,
            remember: 9,
            grant: None,
            behind: 0,
            lagging_log: false,
            lingering: false,
            prompt: true,
            short_log: false,
            // As slow as the protocol allows for: a twentieth.
            holder_tick: 19,
            without: Vec::new(),
        }
    }
}

impl Setting {
    pub(crate) fn keeps(&self, rule: Rule) -> bool {
        !self.without.contains(&rule)
    }

    pub(crate) fn without(mut self, rules: &[Rule]) -> Self {
        self.without.extend(rules);
        self
    }

    /// Whether no change grows so old that it is forgotten. Its age is no part of the state then.
    pub(crate) fn is_timeless(&self) -> bool {
        self.remember > self.horizon
    }

    /// A time by the clock of the database and of the authority.
    pub(crate) fn authority_time(tick: u8) -> Duration {
        Duration::from_secs(20 * u64::from(tick))
    }

    /// A time by the clock of a holder.
    pub(crate) fn holder_time(&self, tick: u8) -> Duration {
        Duration::from_secs(self.holder_tick * u64::from(tick))
    }
}
