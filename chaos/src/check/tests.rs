use super::*;
use crate::history::{Credential, Kind, Method, Way};

const TOKEN: Credential = Credential { kind: Kind::Token, number: 7 };
const SESSION: Credential = Credential { kind: Kind::Session, number: 7 };

/// When the revocation is confirmed; the wall clock is a million ahead of the other.
const CONFIRMED: Micros = 2_000;
const WALL: i64 = 1_000_000;

fn revoked(credential: Credential, taken: Taken, way: Way) -> Revocation {
    let verdict = Verdict::Confirmed { at: CONFIRMED, wall: WALL + 2_000 };
    let (began, began_wall, last_attempt) = (1_000, WALL + 1_000, 1_000);
    Revocation { credential, taken, way, began, began_wall, last_attempt, attempts: 1, gateway: Some(0), verdict }
}

fn deleted() -> Revocation {
    revoked(TOKEN, Taken::Credential, Way::DeleteTokens)
}

fn call(began: Micros, outcome: Outcome) -> Call {
    Call { credential: TOKEN, value: 0, method: Method::GetEnvInfo, gateway: 1, began, ended: began + 10, outcome }
}

fn admission(arrived: Micros, granted: Micros) -> Admission {
    let wall = |at: Micros| WALL + i64::try_from(at).unwrap();
    Admission { credential: TOKEN, method: Method::GetEnvInfo, arrived: wall(arrived), granted: wall(granted) }
}

fn history(revocation: Revocation, calls: &[Call], admissions: &[Admission]) -> History {
    let (calls, admissions) = (calls.to_vec(), admissions.to_vec());
    History { revocations: vec![revocation], calls, admissions, ..History::default() }
}

/// How many violations there are of each kind.
fn violations(history: &History) -> (usize, usize) {
    let findings = check(history);
    (findings.executed(), findings.admitted())
}

#[test]
fn a_good_history_passes() {
    let calls = [
        call(500, Outcome::Executed),
        // It had begun before the confirmation, however long it took.
        Call { ended: 9_000, ..call(CONFIRMED, Outcome::Executed) },
        call(2_001, Outcome::Refused(702)),
        call(3_000, Outcome::Refused(9105)),
        call(3_001, Outcome::Unknown),
        Call { credential: SESSION, ..call(5_000, Outcome::Executed) },
        Call { credential: Credential { number: 8, ..TOKEN }, ..call(5_000, Outcome::Executed) },
        call(1_002_000, Outcome::Refused(702)),
    ];
    let history = history(deleted(), &calls, &[admission(1_500, 400), admission(CONFIRMED, 400)]);
    assert_eq!(check(&history), Findings { violations: Vec::new(), tried: 4, tried_at_once: 3 });
}

#[test]
fn a_call_under_a_deleted_token_is_found() {
    let bad = call(CONFIRMED + 1, Outcome::Executed);
    let found = check(&history(deleted(), &[call(500, Outcome::Executed), bad], &[]));
    assert_eq!(found.violations, [Violation::Executed(bad, deleted())]);
    assert!(found.violations[0].to_string().starts_with("executed 0 ms after"));
    // However long ago it was.
    assert_eq!(violations(&history(deleted(), &[call(60_000_000_000, Outcome::Executed)], &[])), (1, 0));
}

#[test]
fn every_way_of_revoking_is_looked_at() {
    for way in [Way::DeleteTokens, Way::RevokeCredential, Way::Signout, Way::ChangePassword] {
        let revocation = revoked(SESSION, Taken::Credential, way);
        let bad = Call { credential: SESSION, ..call(3_000, Outcome::Executed) };
        assert_eq!(violations(&history(revocation, &[bad], &[])), (1, 0), "{way:?}");
    }
}

#[test]
fn after_a_regeneration_only_the_old_value_is_dead() {
    let revocation = revoked(TOKEN, Taken::Value(1), Way::RegenerateToken);
    for (value, expected) in [(0, 1), (1, 1), (2, 0)] {
        let call = Call { value, ..call(3_000, Outcome::Executed) };
        assert_eq!(violations(&history(revocation, &[call], &[])), (expected, 0), "value {value}");
    }
    // The log shows no value, but a grant that is older than the request is of the old one.
    assert_eq!(violations(&history(revocation, &[], &[admission(3_000, 999)])), (0, 1));
    assert_eq!(violations(&history(revocation, &[], &[admission(3_000, 1_500)])), (0, 0));
}

#[test]
fn after_an_edit_only_the_method_is_dead() {
    let revocation = revoked(TOKEN, Taken::Method(Method::GetEnvInfo), Way::EditToken);
    let other = Call { method: Method::GetEnvs, ..call(3_000, Outcome::Executed) };
    assert_eq!(violations(&history(revocation, &[other, call(3_000, Outcome::Refused(8202))], &[])), (0, 0));
    assert_eq!(violations(&history(revocation, &[call(3_000, Outcome::Executed)], &[])), (1, 0));
    assert_eq!(violations(&history(revocation, &[], &[admission(3_000, 2_500)])), (0, 1));
    let other = Admission { method: Method::GetEnvs, ..admission(3_000, 2_500) };
    assert_eq!(violations(&history(revocation, &[], &[other])), (0, 0));
}

#[test]
fn what_was_not_confirmed_promises_nothing() {
    for verdict in [Verdict::Unanswered, Verdict::Gone] {
        let revocation = Revocation { verdict, ..deleted() };
        let history = history(revocation, &[call(9_000, Outcome::Executed)], &[admission(9_000, 8_000)]);
        assert_eq!(check(&history), Findings::default(), "{verdict:?}");
    }
}

#[test]
fn an_admission_counts_though_its_caller_heard_nothing() {
    let unheard = call(3_000, Outcome::Unknown);
    assert_eq!(violations(&history(deleted(), &[unheard], &[admission(CONFIRMED + 1, 1_900)])), (0, 1));
}

#[test]
fn the_first_of_several_confirmations_counts() {
    let edited = revoked(TOKEN, Taken::Method(Method::GetEnvInfo), Way::EditToken);
    let later = Revocation { verdict: Verdict::Confirmed { at: 8_000, wall: WALL + 8_000 }, ..deleted() };
    let bad = call(3_000, Outcome::Executed);
    let history = History { revocations: vec![later, edited], calls: vec![bad], ..History::default() };
    assert_eq!(check(&history).violations, [Violation::Executed(bad, edited)]);
}

#[test]
fn a_history_is_read_as_it_was_written() {
    let history = history(deleted(), &[call(1, Outcome::Refused(702))], &[admission(1, 0)]);
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
}
