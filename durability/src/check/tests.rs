use jiff::Timestamp;

use super::*;
use crate::history::{Fields, Value};

fn fields(description: &str, second: i64) -> Fields {
    let expires_at = Some(Timestamp::from_second(second).unwrap());
    Fields { description: description.into(), methods: ["environment.control.StopEnv".into()].into(), expires_at }
}

fn value(text: &str) -> Value {
    Value(text.into())
}

fn acknowledged(change: Change, answer: Answer) -> (Change, Outcome) {
    (change, Outcome::Acknowledged(answer))
}

/// Two tokens, 1 and 2; 1 was edited, 2 regenerated.
fn work() -> Work {
    vec![
        acknowledged(Change::Create(fields("one", 1)), Answer::Created(1, value("v1"))),
        acknowledged(Change::Create(fields("two", 2)), Answer::Created(2, value("v2"))),
        acknowledged(Change::Edit(1, fields("uno", 10)), Answer::Edited),
        acknowledged(Change::Regenerate(2, fields("", 20).expires_at), Answer::Regenerated(value("v2b"))),
    ]
}

fn good() -> Found {
    Found {
        tokens: vec![(2, fields("two", 20)), (1, fields("uno", 10))],
        values: [(value("v1"), Some(1)), (value("v2"), None), (value("v2b"), Some(2))].into(),
        log: vec![1, 2],
    }
}

fn account() -> Account {
    let (account, report) = check(&Account::default(), &work(), &good());
    assert_eq!((report.acknowledged, report.found, report.lost), (4, 4, 0));
    assert_eq!(report.faults, []);
    account
}

/// What is wrong, and how many acknowledged changes are lost, where something else is found than what was done.
fn forged(forge: impl FnOnce(&mut Found)) -> (Vec<(Option<TokenId>, Wrong)>, usize) {
    let mut found = good();
    forge(&mut found);
    let (_, report) = check(&Account::default(), &work(), &found);
    (report.faults.into_iter().map(|fault| (fault.token, fault.what)).collect(), report.lost)
}

/// A change that nothing was heard of after the good history: whether it was made, and what is wrong.
fn in_doubt(change: Change, forge: impl FnOnce(&mut Found)) -> (bool, Vec<(Option<TokenId>, Wrong)>, Account) {
    let mut found = good();
    forge(&mut found);
    let (account, report) = check(&account(), &vec![(change, Outcome::Unanswered)], &found);
    assert_eq!(report.unanswered_made + report.unanswered_not_made, 1);
    let faults = report.faults.into_iter().map(|fault| (fault.token, fault.what)).collect();
    (report.unanswered_made == 1, faults, account)
}

#[test]
fn a_lost_create_is_found_out() {
    let (faults, lost) = forged(|found| {
        found.tokens.remove(1);
        found.values.insert(value("v1"), None);
    });
    assert_eq!(faults, [(Some(1), Wrong::Missing), (Some(1), Wrong::Dead)]);
    assert_eq!(lost, 2, "the create and the edit of token 1");
}

#[test]
fn a_lost_edit_and_a_half_edit_are_found_out() {
    for half in [fields("one", 1), fields("uno", 1), fields("one", 10)] {
        let (faults, lost) = forged(|found| found.tokens[1].1 = half);
        assert_eq!((faults, lost), (vec![(Some(1), Wrong::Fields)], 2));
    }
}

#[test]
fn a_resurrected_value_and_a_lost_one_are_found_out() {
    let (faults, lost) = forged(|found| {
        found.values.insert(value("v2"), Some(2));
    });
    assert_eq!((faults, lost), (vec![(Some(2), Wrong::Resurrected)], 2));
    let (faults, _) = forged(|found| {
        found.values.insert(value("v2b"), None);
    });
    assert_eq!(faults, [(Some(2), Wrong::Dead)]);
    let (faults, _) = forged(|found| {
        found.values.insert(value("v2b"), Some(1));
    });
    assert_eq!(faults, [(Some(2), Wrong::Dead)]);
}

#[test]
fn a_value_that_was_not_asked_for_proves_nothing() {
    let (faults, _) = forged(|found| {
        found.values.remove(&value("v1"));
    });
    assert_eq!(faults, [(Some(1), Wrong::NotAsked)]);
}

#[test]
fn a_token_that_is_there_twice_or_made_by_nobody_is_found_out() {
    let (faults, _) = forged(|found| found.tokens.push((1, fields("uno", 10))));
    assert_eq!(faults, [(Some(1), Wrong::Twice)]);
    let (faults, lost) = forged(|found| {
        found.tokens.push((3, fields("three", 3)));
        found.tokens.remove(0);
        found.tokens.remove(0);
    });
    assert_eq!(faults, [(Some(3), Wrong::Unwanted), (Some(1), Wrong::Missing), (Some(2), Wrong::Missing)]);
    assert_eq!(lost, 5, "all four, and what has to do with the third token");
}

#[test]
fn a_change_without_its_row_in_the_log_and_a_row_without_its_change_are_found_out() {
    assert_eq!(forged(|found| found.log = vec![1]).0, [(Some(2), Wrong::Log)]);
    assert_eq!(forged(|found| found.log = vec![1, 2, 2]).0, [(Some(2), Wrong::Log)]);
    assert_eq!(forged(|found| found.log = vec![1, 2, 7]).0, [(Some(7), Wrong::Log)]);
    assert_eq!(forged(|found| found.log = vec![2, 1]).0, [(None, Wrong::LogOrder)]);
}

#[test]
fn a_deleted_token_stays_away() {
    let delete = || vec![acknowledged(Change::Delete([1, 2].into()), Answer::Deleted)];
    let gone = |found: &mut Found| {
        found.tokens.clear();
        found.values.values_mut().for_each(|alive_for| *alive_for = None);
        found.log.extend([1, 2]);
    };
    let mut found = good();
    gone(&mut found);
    let (after, report) = check(&account(), &delete(), &found);
    assert_eq!((report.faults.as_slice(), report.found), (&[][..], 1));
    assert_eq!((after.tokens(), after.dead().count()), (vec![], 3));

    found.tokens.push((1, fields("uno", 10)));
    let (_, report) = check(&account(), &delete(), &found);
    assert_eq!(report.faults, [Fault { token: Some(1), what: Wrong::Unwanted }]);
    assert_eq!((report.found, report.lost), (0, 1));
    // It comes back later, when nothing was done about it any more.
    let (_, report) = check(&after, &Vec::new(), &found);
    assert_eq!((report.acknowledged, report.lost), (0, 1));
}

#[test]
fn a_change_without_an_answer_is_made_or_not() {
    let edit = || Change::Edit(1, fields("eins", 11));
    assert!(!in_doubt(edit(), |_| {}).0);
    let (made, faults, account) = in_doubt(edit(), |found| {
        found.tokens[1].1 = fields("eins", 11);
        found.log.push(1);
    });
    assert_eq!((made, faults.as_slice()), (true, &[][..]));
    assert_eq!(account.tokens[&1].fields, fields("eins", 11));

    let (made, faults, account) = in_doubt(Change::Regenerate(1, None), |found| {
        found.values.insert(value("v1"), None);
        found.log.push(1);
    });
    assert_eq!((made, faults.as_slice()), (true, &[][..]));
    assert!(account.dead.contains(&value("v1")) && account.tokens[&1].value.is_none());

    let (made, faults, account) =
        in_doubt(Change::Create(fields("three", 3)), |found| found.tokens.push((3, fields("three", 3))));
    assert_eq!((made, faults.as_slice(), account.tokens()), (true, &[][..], vec![1, 2, 3]));
}

#[test]
fn half_of_a_change_without_an_answer_is_found_out() {
    let half_edit = in_doubt(Change::Edit(1, fields("eins", 11)), |found| {
        found.tokens[1].1 = fields("eins", 10);
        found.log.push(1);
    });
    assert_eq!(half_edit.1, [(Some(1), Wrong::Fields)]);
    let edit_without_its_row =
        in_doubt(Change::Edit(1, fields("eins", 11)), |found| found.tokens[1].1 = fields("eins", 11));
    assert!(!edit_without_its_row.1.is_empty());
    let half_deletion = in_doubt(Change::Delete([1, 2].into()), |found| {
        found.tokens.remove(0);
        found.values.insert(value("v2b"), None);
        found.log.push(2);
    });
    assert!(!half_deletion.1.is_empty());
    // The old value is dead, but the expiry is the old one.
    let half_regeneration = in_doubt(Change::Regenerate(1, fields("", 11).expires_at), |found| {
        found.values.insert(value("v1"), None);
        found.log.push(1);
    });
    assert_eq!(half_regeneration.1, [(Some(1), Wrong::Fields)]);
    let other_token = in_doubt(Change::Create(fields("three", 3)), |found| found.tokens.push((3, fields("three", 4))));
    assert!(!other_token.1.is_empty());
    let two_tokens = in_doubt(Change::Create(fields("three", 3)), |found| {
        found.tokens.extend([(3, fields("three", 3)), (4, fields("three", 3))]);
    });
    assert_eq!(two_tokens.1, [(Some(4), Wrong::Unwanted)]);
}

#[test]
fn a_refusal_is_a_fault() {
    let refused = vec![(Change::Edit(1, fields("eins", 11)), Outcome::Refused("there is no token 1".into()))];
    let (_, report) = check(&account(), &refused, &good());
    assert_eq!(report.faults.len(), 1);
    assert_eq!((report.acknowledged, report.lost), (0, 1));
}

#[test]
fn revisions_are_without_gaps() {
    assert_eq!(check_revisions(Revisions { counter: 7, rows: 7, newest: 7 }), None);
    for (counter, rows, newest) in [(8, 7, 7), (7, 6, 7), (7, 7, 8), (0, 1, 1)] {
        assert!(check_revisions(Revisions { counter, rows, newest }).is_some());
    }
}
