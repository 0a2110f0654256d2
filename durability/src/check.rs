//! Whether what is found after a kill is what must be there: a pure function of the history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::history::{Account, Answer, Change, Found, Outcome, TokenId, Work};

/// What a check says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many changes were acknowledged.
    pub acknowledged: usize,
    /// How many of these are there.
    pub found: usize,
    /// How many of these are not there, or not as they were acknowledged.
    pub lost: usize,
    /// How many changes were made that nothing was heard of.
    pub unanswered_made: usize,
    /// How many changes were not made that nothing was heard of.
    pub unanswered_not_made: usize,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether nothing is lost and nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.lost == 0 && self.faults.is_empty()
    }

    /// Takes another report in.
    pub fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.found += other.found;
        self.lost += other.lost;
        self.unanswered_made += other.unanswered_made;
        self.unanswered_not_made += other.unanswered_not_made;
        self.faults.extend(other.faults);
    }
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The token, where it is about one.
    pub token: Option<TokenId>,
    /// What is wrong.
    pub what: Wrong,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A token is gone.
    Missing,
    /// A token is there that was deleted, or that nobody made.
    Unwanted,
    /// A token is listed more than once.
    Twice,
    /// A field is neither as it was nor as it should have become, or only some are.
    Fields,
    /// A value that must be alive is dead, or is alive for another token.
    Dead,
    /// A value that must be dead is alive.
    Resurrected,
    /// A value was not asked for: the check would be worth nothing.
    NotAsked,
    /// The change log has another number of rows for the token than changes that were made.
    Log,
    /// The rows of the change log are in another order than the changes.
    LogOrder,
    /// A change was refused that had to succeed.
    Refused(String),
    /// A session is gone.
    Session,
    /// The counter of revisions and the change log do not agree.
    Revisions(Revisions),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.token {
            Some(id) => write!(f, "token {id}: {:?}", self.what),
            None => write!(f, "{:?}", self.what),
        }
    }
}

/// Checks one account after a restart, and says what must be there from now on.
#[must_use]
pub fn check(before: &Account, work: &Work, found: &Found) -> (Account, Report) {
    let unanswered = work.iter().find(|(_, outcome)| *outcome == Outcome::Unanswered).map(|(change, _)| change);
    let (account, made, mut faults) = resolve(before.after(work), unanswered, found);
    faults.extend(work.iter().filter_map(refusal));
    let acknowledged: Vec<BTreeSet<TokenId>> = work.iter().filter_map(acknowledged_tokens).collect();
    let lost = lost(&acknowledged, &faults);
    let report = Report {
        acknowledged: acknowledged.len(),
        found: acknowledged.len().saturating_sub(lost),
        lost,
        unanswered_made: usize::from(made == Some(true)),
        unanswered_not_made: usize::from(made == Some(false)),
        faults,
    };
    (account, report)
}

/// A change that nothing was heard of was made or not: whichever fits.
fn resolve(without: Account, unanswered: Option<&Change>, found: &Found) -> (Account, Option<bool>, Vec<Fault>) {
    let faults_without = faults(&without, found);
    let Some(change) = unanswered else { return (without, None, faults_without) };
    let created = found.tokens.iter().map(|(id, _)| *id).find(|id| !without.tokens.contains_key(id));
    let mut with = without.clone();
    with.apply_unanswered(change, created);
    let faults_with = faults(&with, found);
    if with != without && faults_with.len() < faults_without.len() {
        (with, Some(true), faults_with)
    } else {
        (without, Some(false), faults_without)
    }
}

fn faults(account: &Account, found: &Found) -> Vec<Fault> {
    let mut faults = Vec::new();
    token_faults(account, found, &mut faults);
    value_faults(account, found, &mut faults);
    log_faults(account, found, &mut faults);
    faults
}

fn token_faults(account: &Account, found: &Found, faults: &mut Vec<Fault>) {
    let mut listed = BTreeMap::new();
    for (id, fields) in &found.tokens {
        if listed.insert(*id, fields).is_some() {
            faults.push(Fault { token: Some(*id), what: Wrong::Twice });
        }
        if !account.tokens.contains_key(id) {
            faults.push(Fault { token: Some(*id), what: Wrong::Unwanted });
        }
    }
    for (id, token) in &account.tokens {
        let what = match listed.get(id) {
            None => Wrong::Missing,
            Some(fields) if **fields != token.fields => Wrong::Fields,
            Some(_) => continue,
        };
        faults.push(Fault { token: Some(*id), what });
    }
}

fn value_faults(account: &Account, found: &Found, faults: &mut Vec<Fault>) {
    for (id, token) in &account.tokens {
        let Some(value) = &token.value else { continue };
        let what = match found.values.get(value) {
            None => Wrong::NotAsked,
            Some(alive_for) if *alive_for != Some(*id) => Wrong::Dead,
            Some(_) => continue,
        };
        faults.push(Fault { token: Some(*id), what });
    }
    for (value, alive_for) in &found.values {
        if account.dead.contains(value) && alive_for.is_some() {
            faults.push(Fault { token: *alive_for, what: Wrong::Resurrected });
        }
    }
}

fn log_faults(account: &Account, found: &Found, faults: &mut Vec<Fault>) {
    if found.log == account.log {
        return;
    }
    let count = |log: &[TokenId]| {
        let mut counts = BTreeMap::<TokenId, usize>::new();
        log.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
        counts
    };
    let (expected, counted) = (count(&account.log), count(&found.log));
    let ids: BTreeSet<&TokenId> = expected.keys().chain(counted.keys()).collect();
    let differing: Vec<TokenId> = ids.into_iter().filter(|id| expected.get(id) != counted.get(id)).copied().collect();
    if differing.is_empty() {
        faults.push(Fault { token: None, what: Wrong::LogOrder });
    }
    faults.extend(differing.into_iter().map(|id| Fault { token: Some(id), what: Wrong::Log }));
}

fn refusal((change, outcome): &(Change, Outcome)) -> Option<Fault> {
    let Outcome::Refused(why) = outcome else { return None };
    Some(Fault { token: change.tokens().first().copied(), what: Wrong::Refused(why.clone()) })
}

fn acknowledged_tokens((change, outcome): &(Change, Outcome)) -> Option<BTreeSet<TokenId>> {
    match outcome {
        Outcome::Acknowledged(Answer::Created(id, _)) => Some([*id].into()),
        Outcome::Acknowledged(_) => Some(change.tokens().into_iter().collect()),
        _ => None,
    }
}

/// The acknowledged changes of tokens with a fault. A fault of a token without any means one that was acknowledged earlier.
fn lost(acknowledged: &[BTreeSet<TokenId>], faults: &[Fault]) -> usize {
    let faulty: BTreeSet<TokenId> = faults.iter().filter_map(|fault| fault.token).collect();
    let now = acknowledged.iter().filter(|tokens| !tokens.is_disjoint(&faulty)).count();
    let earlier = faulty.iter().filter(|id| !acknowledged.iter().any(|tokens| tokens.contains(id))).count();
    let elsewhere = usize::from(faults.iter().any(|fault| fault.token.is_none()));
    now + earlier + elsewhere
}

/// The counter of revisions, and what the change log says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revisions {
    /// The counter.
    pub counter: i64,
    /// How many rows the log has.
    pub rows: i64,
    /// The highest revision in the log; 0 where it is empty.
    pub newest: i64,
}

/// Every number was taken by a change that is in the log: one that is rolled back gives its number back.
#[must_use]
pub fn check_revisions(revisions: Revisions) -> Option<Fault> {
    let agree = revisions.counter == revisions.rows && revisions.counter == revisions.newest;
    (!agree).then_some(Fault { token: None, what: Wrong::Revisions(revisions) })
}

#[cfg(test)]
mod tests;
