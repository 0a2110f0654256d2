//! What a run says: a pure function of its history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::check::{Findings, Violation, check};
use crate::history::{Call, Fault, History, Micros, Outcome, Revocation, Taken, Verdict, Way};

/// What a confirmation may take above a lease on a busy machine.
const SLACK: Micros = 2_000_000;

/// How many violations are shown.
const SHOWN: usize = 20;

/// What a run says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The confirmed revocations, by way.
    pub revocations: BTreeMap<Way, usize>,
    /// The revocations that nobody confirmed: gone, or never answered.
    pub unconfirmed: usize,
    /// The calls by outcome: executed, refused by `result`, unknown.
    pub outcomes: BTreeMap<String, usize>,
    /// The faults by kind.
    pub faults: BTreeMap<String, usize>,
    /// What the environment-service has logged as admitted.
    pub admissions: usize,
    /// What the check says.
    pub findings: Findings,
    /// How many calls under live credentials were made while nothing was broken, and how many of these succeeded.
    pub live: (usize, usize),
    /// How long the confirmations took.
    pub latency: Latency,
    /// How many took longer than a lease and a slack, although nothing was broken on their own way.
    pub late: usize,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// Half of them took no longer.
    pub median: Micros,
    /// All but one of a hundred took no longer.
    pub p99: Micros,
    /// None took longer.
    pub longest: Micros,
}

impl Report {
    /// What there is to say of a history.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let confirmed = || history.revocations.iter().filter(|revocation| revocation.confirmed().is_some());
        Self {
            revocations: counts(confirmed().map(|revocation| revocation.way)),
            unconfirmed: history.revocations.len() - confirmed().count(),
            outcomes: counts(history.calls.iter().map(|call| match call.outcome {
                Outcome::Executed => "executed".to_owned(),
                Outcome::Refused(result) => format!("refused {result}"),
                Outcome::Unknown => "unknown".to_owned(),
            })),
            faults: counts(history.faults.iter().map(|fault| fault.kind.clone())),
            admissions: history.admissions.len(),
            findings: check(history),
            live: live(history),
            latency: latency(confirmed().filter_map(took).collect()),
            late: confirmed().filter(|revocation| is_late(revocation, history)).count(),
        }
    }

    /// How many calls and admissions there were that must not have been.
    #[must_use]
    pub fn executed_after_confirmation(&self) -> usize {
        self.findings.violations.len()
    }

    /// Whether enough was tried for the check to mean anything.
    #[must_use]
    pub fn shows_something(&self) -> bool {
        self.findings.tried_at_once > 0 && self.admissions > 0
    }

    /// How many revocations were confirmed.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.revocations.values().sum()
    }
}

fn counts<T: Ord>(things: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    things.for_each(|thing| *counts.entry(thing).or_default() += 1);
    counts
}

/// How long the attempt took that was confirmed.
fn took(revocation: &Revocation) -> Option<Micros> {
    revocation.confirmed().map(|at| at - revocation.last_attempt)
}

fn latency(mut times: Vec<Micros>) -> Latency {
    times.sort_unstable();
    let at = |share: f64| {
        // As many as there are fit into a float many times over.
        let place = (times.len() as f64 * share).ceil() as usize;
        times.get(place.saturating_sub(1)).copied().unwrap_or_default()
    };
    Latency { median: at(0.5), p99: at(0.99), longest: times.last().copied().unwrap_or_default() }
}

/// A fault of another holder may cost a lease; one on the request's own way can cost anything.
fn is_late(revocation: &Revocation, history: &History) -> bool {
    let (Some(took), Some(confirmed)) = (took(revocation), revocation.confirmed()) else { return false };
    let own = |fault: &&Fault| {
        let gateway = revocation.gateway.is_some_and(|gateway| fault.victim.contains(&format!("gateway-{gateway}")));
        let authority = fault.victim.starts_with("token-service") || fault.victim.starts_with("PostgreSQL");
        (gateway || authority) && overlaps(fault, revocation.last_attempt, confirmed)
    };
    took > history.lease + SLACK && history.faults.iter().find(own).is_none()
}

fn overlaps(fault: &Fault, began: Micros, ended: Micros) -> bool {
    fault.began <= ended && began <= fault.ended
}

/// Calls that had to succeed: nothing was being taken from their credential, and nothing was broken.
fn live(history: &History) -> (usize, usize) {
    let revocations = history.revocations_by_credential();
    let touched = |call: &Call| {
        let of_credential = revocations.get(&call.credential).into_iter().flatten();
        of_credential.into_iter().any(|revocation| revocation.began <= call.ended && needs(call, revocation))
    };
    let in_peace = |call: &&Call| !history.faults.iter().any(|fault| overlaps(fault, call.began, call.ended));
    let calls: Vec<&Call> = history.calls.iter().filter(in_peace).filter(|call| !touched(call)).collect();
    (calls.len(), calls.iter().filter(|call| call.outcome == Outcome::Executed).count())
}

/// Whether a call uses what a revocation takes, or may take: one that was never confirmed can have taken anything.
fn needs(call: &Call, revocation: &Revocation) -> bool {
    match revocation.taken {
        _ if !matches!(revocation.verdict, Verdict::Confirmed { .. }) => true,
        Taken::Credential => true,
        Taken::Value(value) => call.value <= value,
        Taken::Method(method) => call.method == method,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: Vec<(String, usize)>| {
            let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            counts.join(", ")
        };
        let ways = self.revocations.iter().map(|(way, count)| (format!("{way:?}"), *count)).collect();
        let owned = |counts: &BTreeMap<String, usize>| list(counts.clone().into_iter().collect());
        let ms = |micros: Micros| micros / 1000;
        let (calls, faults) = (self.outcomes.values().sum::<usize>(), self.faults.values().sum::<usize>());
        writeln!(f, "revocations                  {}  ({})", self.confirmed(), list(ways))?;
        writeln!(f, "  never confirmed            {}", self.unconfirmed)?;
        let Latency { median, p99, longest } = self.latency;
        writeln!(f, "  confirmed within           {} ms p50, {} ms p99, {} ms max", ms(median), ms(p99), ms(longest))?;
        writeln!(f, "  later than a lease         {}  (with nothing broken on their own way)", self.late)?;
        writeln!(f, "calls                        {calls}  ({})", owned(&self.outcomes))?;
        let Findings { tried, tried_at_once, .. } = &self.findings;
        writeln!(f, "  after the confirmation     {tried}  ({tried_at_once} within a second)")?;
        writeln!(f, "  admitted by the executor   {}", self.admissions)?;
        let (live, succeeded) = self.live;
        writeln!(f, "  live, while nothing broke  {live}, of which {succeeded} succeeded")?;
        writeln!(f, "faults injected              {faults}  ({})", owned(&self.faults))?;
        let (executed, admitted) = (self.findings.executed(), self.findings.admitted());
        writeln!(f, "executed after confirmation  {}", executed + admitted)?;
        if executed + admitted > 0 {
            writeln!(f, "  answered with success      {executed}")?;
            writeln!(f, "  admitted by the executor   {admitted}")?;
        }
        let shown: BTreeSet<String> = self.findings.violations.iter().map(Violation::to_string).take(SHOWN).collect();
        shown.iter().try_for_each(|violation| writeln!(f, "  VIOLATION {violation}"))
    }
}

#[cfg(test)]
mod tests;
