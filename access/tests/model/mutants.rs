//! Each rule, taken away: the checker must find the harm. Where it finds none, the rule has a second one behind it, and both are
//! taken away.

use stateright::{Checker, HasDiscoveries, Model};

use crate::protocol::{FENCE, I1, NOT_LATE};
use crate::rules::Rule;
use crate::setting::{Kind, Setting};

/// An executing service, and two calls: the second may come directly, with the grant of the first.
fn executor() -> Setting {
    Setting { executors: 1, calls: 2, horizon: 0, questions: 1, ..Setting::default() }
}

/// A gateway alone, before a service that takes every grant.
fn gateway() -> Setting {
    Setting { gateways: 1, calls: 2, horizon: 0, questions: 1, ..Setting::default() }
}

/// The same, and time goes by.
fn in_time(setting: Setting) -> Setting {
    Setting { horizon: 2, ..setting }
}

/// The same, with more of everything, so that it says something where nothing is found.
fn at_length(setting: Setting) -> Setting {
    Setting { horizon: 3, questions: 2, kinds: &[Kind::Token, Kind::Other], ..setting }
}

/// The property fails without the rules.
fn breaks(property: &'static str, setting: Setting, rules: &[Rule]) {
    let setting = setting.without(rules);
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = setting.checker().threads(1).finish_when(until).spawn_bfs().join();
    let Some(path) = checker.discovery(property) else { panic!("without {rules:?} nothing is harmed") };
    eprintln!("without {rules:?}, after {} states: {:?}", checker.unique_state_count(), path.into_actions());
}

/// No property fails even without the rules.
fn holds(setting: Setting, rules: &[Rule]) {
    never(&[I1, FENCE, NOT_LATE], setting, rules);
}

/// These properties do not fail even without the rules.
fn never(properties: &[&'static str], setting: Setting, rules: &[Rule]) {
    let setting = setting.without(rules);
    let until = HasDiscoveries::AnyOf(properties.iter().copied().collect());
    let checker = setting.checker().threads(1).finish_when(until).spawn_bfs().join();
    for property in properties {
        checker.assert_no_discovery(property);
    }
    assert!(checker.is_done());
    eprintln!("without {rules:?} nothing is harmed, in {} states", checker.unique_state_count());
}

#[test]
fn executing_without_a_lease() {
    breaks(I1, in_time(executor()), &[Rule::ExecuteUnderLease]);
}

#[test]
fn serving_without_a_lease() {
    breaks(FENCE, in_time(gateway()), &[Rule::ServeUnderLease]);
}

#[test]
fn a_lease_from_the_arrival_of_its_answer() {
    breaks(I1, in_time(executor()), &[Rule::LeaseFromQuestion]);
    breaks(FENCE, in_time(gateway()), &[Rule::LeaseFromQuestion]);
}

#[test]
fn a_lease_in_full_by_a_slow_clock() {
    breaks(I1, in_time(executor()), &[Rule::LeaseLessDrift]);
    // A clock that is slower than the protocol allows for.
    breaks(I1, Setting { holder_tick: 18, ..in_time(executor()) }, &[]);
}

#[test]
fn a_database_whose_clock_is_set_forward() {
    // That it is not, is a condition and no rule: a lease would seem to have run out that is still used.
    breaks(I1, Setting { jumps: 1, ..in_time(executor()) }, &[]);
}

#[test]
fn an_acknowledgement_before_the_change_is_applied() {
    breaks(I1, executor(), &[Rule::ApplyBeforeAcknowledging]);
    breaks(FENCE, gateway(), &[Rule::ApplyBeforeAcknowledging]);
}

#[test]
fn a_grant_that_is_not_held_against_the_changes() {
    breaks(I1, executor(), &[Rule::CompareAtExecutor]);
}

#[test]
fn an_answer_that_is_cached_without_a_look() {
    // What is cached is compared at each call: that suffices, and so does the admission with the dropping.
    holds(at_length(gateway()), &[Rule::Admission]);
    holds(at_length(gateway()), &[Rule::CompareAtGateway]);
    holds(at_length(gateway()), &[Rule::DropFromCache]);
    holds(at_length(gateway()), &[Rule::DropFromCache, Rule::Admission]);
    breaks(FENCE, gateway(), &[Rule::CompareAtGateway, Rule::Admission]);
    breaks(FENCE, gateway(), &[Rule::CompareAtGateway, Rule::DropFromCache]);
}

#[test]
fn a_call_that_joins_another() {
    breaks(FENCE, gateway(), &[Rule::JoinUnderCheck]);
    // The check at the answer's arrival suffices.
    holds(at_length(gateway()), &[Rule::JoinUnderLease]);
}

#[test]
fn a_gateway_that_does_everything_wrong() {
    let both = Setting { gateways: 1, horizon: 0, questions: 1, ..executor() };
    let rules = [
        Rule::ServeUnderLease,
        Rule::CompareAtGateway,
        Rule::DropFromCache,
        Rule::Admission,
        Rule::JoinUnderCheck,
        Rule::JoinUnderLease,
    ];
    // The executing service is fence enough.
    never(&[I1, NOT_LATE], both, &rules);
}

#[test]
fn a_new_holder_that_does_not_know_what_was() {
    let restart = || Setting { restarts: 1, ..executor() };
    // It refuses what is older than its beginning: without the replay it refuses too much, but executes nothing.
    breaks(I1, restart(), &[Rule::Replay, Rule::FloorOfBeginning]);
    holds(Setting { horizon: 1, ..restart() }, &[Rule::Replay]);
    // What is not replayed because it is old is refused, even where grants never end.
    let short = || Setting { remember: 1, horizon: 1, calls: 1, ..restart() };
    holds(short(), &[]);
    breaks(NOT_LATE, short(), &[Rule::FloorOfBeginning]);
}

#[test]
fn forgetting_as_if_nothing_had_been() {
    let small = || Setting { capacity: 1, changes: 2, kinds: &[Kind::Token, Kind::Other], ..executor() };
    breaks(I1, small(), &[Rule::FloorOfForgotten]);
    // Without a floor all depends on the clocks: on a grant's end before the change is forgotten that it is older than.
    let timed =
        |behind| Setting { grant: Some(1), remember: 2, behind, horizon: 4, questions: 2, calls: 1, ..executor() };
    holds(timed(1), &[Rule::FloorOfForgotten]);
    breaks(NOT_LATE, timed(3), &[Rule::FloorOfForgotten]);
    holds(timed(3), &[]);
}

#[test]
fn a_change_that_nobody_waits_for() {
    breaks(I1, executor(), &[Rule::Wait]);
    breaks(FENCE, gateway(), &[Rule::Wait]);
    let crash = Setting { crashes: 1, ..executor() };
    breaks(I1, crash, &[Rule::WaitOfRepeated]);
}

#[test]
fn leases_that_the_confirmation_does_not_see() {
    breaks(I1, executor(), &[Rule::LeasesAfterCommit]);
    breaks(I1, Setting { replicas: 2, ..executor() }, &[Rule::LeasesOfAllReplicas]);
    breaks(I1, executor(), &[Rule::AcknowledgedByHolder]);
    breaks(I1, Setting { cuts: 1, ..executor() }, &[Rule::LeaseOutlivesStream]);
}

#[test]
fn a_lease_without_the_changes_before_it() {
    let lagging = || Setting { lagging_log: true, ..executor() };
    breaks(I1, lagging(), &[Rule::LeaseBeforeRevision]);
    breaks(I1, executor(), &[Rule::ChangesBeforeLease, Rule::LeaseNamesRevision]);
    // A holder refuses a lease that is ahead of what it knows.
    holds(at_length(executor()), &[Rule::ChangesBeforeLease]);
}

#[test]
fn what_is_read_in_the_wrong_order() {
    breaks(I1, executor(), &[Rule::AsOfBeforeCredential]);
    breaks(FENCE, gateway(), &[Rule::AsOfBeforeCredential]);
    let two = Setting { changes: 2, kinds: &[Kind::Token, Kind::Other], ..executor() };
    breaks(I1, two, &[Rule::CommitOrder]);
}

#[test]
fn a_lease_that_is_given_back_and_used() {
    let release = || Setting { releases: 1, ..executor() };
    breaks(I1, release(), &[Rule::ReleaseEndsUse]);
    // It is given back on a stream that ends; a new one is asked for on the next, and then the first word arrives.
    let late = Setting { cuts: 1, lingering: true, questions: 2, replicas: 2, horizon: 1, ..release() };
    breaks(I1, late, &[Rule::ReleaseOfItsStream]);
}
