use super::*;
use crate::history::{Credential, Kind, Method};

const TOKEN: Credential = Credential { kind: Kind::Token, number: 7 };

fn call(began: Micros, outcome: Outcome) -> Call {
    Call { credential: TOKEN, value: 0, method: Method::GetEnvs, gateway: 1, began, ended: began + 10, outcome }
}

fn revocation(took: Micros) -> Revocation {
    Revocation {
        credential: TOKEN,
        taken: Taken::Credential,
        way: Way::Signout,
        began: 1_000,
        began_wall: 0,
        last_attempt: 1_000,
        attempts: 1,
        gateway: Some(1),
        verdict: Verdict::Confirmed { at: 1_000 + took, wall: 0 },
    }
}

fn fault(victim: &str) -> Fault {
    let (kind, victim, detail) = ("freeze".to_owned(), victim.to_owned(), String::new());
    Fault { kind, victim, detail, began: 500, ended: 600 + SLACK }
}

#[test]
fn only_live_calls_in_peace_have_to_succeed() {
    let calls = vec![
        call(10, Outcome::Executed),
        call(20, Outcome::Refused(9105)),
        // Under the fault, and after the revocation was asked for.
        call(495, Outcome::Unknown),
        call(SLACK * 2, Outcome::Refused(702)),
    ];
    let (revocations, faults) = (vec![revocation(10)], vec![fault("api-gateway-0")]);
    let report = Report::of(&History { calls, revocations, faults, ..History::default() });
    assert_eq!(report.live, (2, 1));
    assert_eq!(report.outcomes["executed"], 1);
    assert_eq!(report.faults["freeze"], 1);
}

#[test]
fn a_confirmation_is_late_unless_its_own_way_was_broken() {
    let lease = 3_000;
    let late = |took, victim| {
        let (revocations, faults) = (vec![revocation(took)], vec![fault(victim)]);
        Report::of(&History { lease, revocations, faults, ..History::default() }).late
    };
    assert_eq!(late(lease + SLACK, "api-gateway-0"), 0);
    assert_eq!(late(lease + SLACK + 1, "api-gateway-0"), 1);
    assert_eq!(late(lease + SLACK + 1, "environment-service to token-service-0"), 1);
    assert_eq!(late(lease + SLACK + 1, "api-gateway-1 to token-service-0"), 0);
    assert_eq!(late(lease + SLACK + 1, "token-service-1"), 0);
}

#[test]
fn the_latency_is_told_by_rank() {
    let Latency { median, p99, longest } = latency((1..=200).rev().collect());
    assert_eq!((median, p99, longest), (100, 198, 200));
    assert_eq!(latency(Vec::new()).longest, 0);
}

#[test]
fn the_report_names_what_must_be_nothing() {
    let history = History {
        calls: vec![call(2_000, Outcome::Executed)],
        revocations: vec![revocation(10)],
        ..History::default()
    };
    let text = Report::of(&history).to_string();
    assert!(text.contains("executed after confirmation  1\n"), "{text}");
    assert!(text.contains("\n  VIOLATION executed 0 ms after"), "{text}");
}
