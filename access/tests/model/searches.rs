//! The protocol as it is: nothing is harmed, and what it is for comes about.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::setting::{Kind, Setting};

const ALL: &[Kind] = &[Kind::Token, Kind::Account, Kind::Other];
const TOKENS: &[Kind] = &[Kind::Token, Kind::Other];

/// Searches through all of a setting, and through more of it where `PORTCULLIS_MODEL` is `large`.
fn check(name: &str, setting: Setting, larger: impl FnOnce(Setting) -> Setting) {
    let is_large = std::env::var("PORTCULLIS_MODEL").is_ok_and(|value| value == "large");
    let (setting, threads) = if is_large { (larger(setting), 2) } else { (setting, 1) };
    let start = Instant::now();
    let checker =
        setting.clone().checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    eprintln!("{name}: {states} states, {depth} steps deep, {:.1?}; {setting:?}", start.elapsed());
    checker.assert_properties();
}

#[test]
fn an_executing_service() {
    let setting = Setting { executors: 1, calls: 2, kinds: ALL, horizon: 3, ..Setting::default() };
    check("an executing service", setting, |small| Setting {
        changes: 2,
        kinds: TOKENS,
        calls: 1,
        horizon: 4,
        ..small
    });
}

#[test]
fn an_executing_service_that_restarts() {
    let setting = Setting { executors: 1, restarts: 1, horizon: 2, ..Setting::default() };
    check("a restart", setting, |small| Setting { horizon: 4, calls: 2, ..small });
}

#[test]
fn a_holder_that_moves_to_another_replica() {
    let setting = Setting { executors: 1, replicas: 2, cuts: 1, crashes: 1, horizon: 2, ..Setting::default() };
    check("two replicas", setting, |small| Setting { horizon: 3, ..small });
}

#[test]
fn a_gateway() {
    let setting = Setting { gateways: 1, calls: 2, kinds: ALL, horizon: 3, ..Setting::default() };
    check("a gateway", setting, |small| Setting { changes: 2, kinds: TOKENS, horizon: 2, questions: 1, ..small });
}

#[test]
fn a_gateway_whose_stream_is_cut() {
    let setting =
        Setting { gateways: 1, calls: 2, replicas: 2, cuts: 1, kinds: TOKENS, horizon: 1, ..Setting::default() };
    check("a gateway that is cut", setting, |small| Setting { horizon: 3, ..small });
}

#[test]
fn a_gateway_through_two_changes() {
    let setting = Setting { gateways: 1, changes: 2, kinds: TOKENS, horizon: 1, ..Setting::default() };
    check("two changes at a gateway", setting, |small| Setting { capacity: 1, horizon: 3, ..small });
}

#[test]
fn a_gateway_and_an_executing_service() {
    let setting = Setting { gateways: 1, executors: 1, kinds: TOKENS, horizon: 1, questions: 1, ..Setting::default() };
    check("both", setting, |small| Setting { horizon: 2, calls: 2, ..small });
}

#[test]
fn two_gateways() {
    let setting = Setting { gateways: 2, kinds: TOKENS, horizon: 1, questions: 1, ..Setting::default() };
    check("two gateways", setting, |small| Setting { horizon: 2, replicas: 2, ..small });
}

#[test]
fn messages_that_take_their_time() {
    let setting =
        Setting { executors: 1, horizon: 3, prompt: false, lagging_log: true, kinds: TOKENS, ..Setting::default() };
    check("delays", setting, |small| Setting { changes: 2, horizon: 2, ..small });
}

#[test]
fn a_memory_for_one_change() {
    let setting = Setting {
        executors: 1,
        changes: 2,
        capacity: 1,
        kinds: TOKENS,
        horizon: 1,
        questions: 1,
        ..Setting::default()
    };
    check("a small memory", setting, |small| Setting { restarts: 1, horizon: 2, ..small });
}

#[test]
fn changes_and_grants_that_grow_old() {
    let setting = Setting {
        executors: 1,
        restarts: 1,
        remember: 2,
        grant: Some(1),
        behind: 1,
        horizon: 3,
        questions: 1,
        ..Setting::default()
    };
    check("old age", setting, |small| Setting { horizon: 4, questions: 2, ..small });
}

#[test]
fn grants_that_never_end_and_changes_that_are_forgotten() {
    let setting = Setting { executors: 1, remember: 1, horizon: 4, ..Setting::default() };
    check("without an end", setting, |small| Setting { changes: 2, horizon: 3, questions: 1, ..small });
}

#[test]
fn a_holder_that_was_away_for_longer_than_the_log_goes_back() {
    let setting = Setting { executors: 1, cuts: 1, remember: 1, short_log: true, horizon: 3, ..Setting::default() };
    check("a short log", setting, |small| Setting { changes: 2, kinds: TOKENS, horizon: 2, questions: 1, ..small });
}

#[test]
fn a_lease_that_is_given_back() {
    let setting =
        Setting { executors: 1, replicas: 2, releases: 1, cuts: 1, lingering: true, horizon: 1, ..Setting::default() };
    check("given back", setting, |small| Setting { horizon: 2, prompt: false, ..small });
}
