use proptest::prelude::*;

use super::*;
use crate::GrantedKind;

const LEASE: Duration = Duration::from_secs(3);
const REMEMBER: Duration = Duration::from_secs(70);

const fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token(number: i64) -> CredentialId {
    CredentialId { kind: GrantedKind::Token, number }
}

fn of_token(revision: i64, number: i64) -> Change {
    Change { revision: Revision(revision), account: AccountId(1), credential: Some(token(number)) }
}

fn of_account(revision: i64, account: i64) -> Change {
    Change { revision: Revision(revision), account: AccountId(account), credential: None }
}

fn said(number: i64, as_of: i64) -> Statement {
    Statement { credential: token(number), account: AccountId(1), as_of: Revision(as_of) }
}

/// A holder with a lease from second 10 on, at revision 5.
fn leased() -> (Holder, u64) {
    let mut holder = Holder::new(100);
    let stream = holder.connect().stream;
    holder.take(stream, &begin(5), second(10)).unwrap();
    lease(&mut holder, stream, 5, second(10));
    (holder, stream)
}

fn begin(after: i64) -> ToHolder {
    ToHolder::Begin { after: Revision(after), remember_for: REMEMBER }
}

fn lease(holder: &mut Holder, stream: u64, revision: i64, now: Duration) {
    let ToAuthority::Ask { number } = holder.ask(now) else { panic!("another message") };
    let answer = ToHolder::Lease { number, duration: LEASE, revision: Revision(revision) };
    holder.take(stream, &answer, now + second(1)).unwrap();
}

#[test]
fn a_lease_counts_from_its_question_and_a_little_less_than_it_was_given_for() {
    let (holder, _) = leased();
    assert!(holder.is_leased(second(12)));
    assert!(holder.is_leased(second(10) + Duration::from_millis(2849)));
    assert!(!holder.is_leased(second(10) + Duration::from_millis(2850)));
    assert_eq!(holder.lease_left(second(12)), Duration::from_millis(850));
    assert_eq!(holder.allow(&said(1, 5), second(13)), Err(Refusal::NoLease));
}

#[test]
fn there_is_no_lease_before_the_changes_that_it_counts_on() {
    let mut holder = Holder::new(100);
    let stream = holder.connect().stream;
    holder.take(stream, &begin(5), second(10)).unwrap();
    let ToAuthority::Ask { number } = holder.ask(second(10)) else { panic!("another message") };
    let early = ToHolder::Lease { number, duration: LEASE, revision: Revision(6) };
    assert_eq!(holder.take(stream, &early, second(10)), Err(Disorder::EarlyLease(Revision(6))));
    assert!(!holder.is_leased(second(10)));
    holder.take(stream, &ToHolder::Changes(vec![of_token(6, 1)]), second(10)).unwrap();
    holder.take(stream, &early, second(10)).unwrap();
    assert!(holder.is_leased(second(10)));
}

#[test]
fn an_answer_to_a_question_that_was_given_up_is_no_lease() {
    let mut holder = Holder::new(100);
    let stream = holder.connect().stream;
    holder.take(stream, &begin(5), second(10)).unwrap();
    let ToAuthority::Ask { number } = holder.ask(second(10)) else { panic!("another message") };
    holder.ask(second(20));
    let late = ToHolder::Lease { number, duration: LEASE, revision: Revision(5) };
    holder.take(stream, &late, second(20)).unwrap();
    assert!(!holder.is_leased(second(20)));
}

#[test]
fn a_change_makes_older_statements_untrue_of_its_credential_or_account_alone() {
    let (mut holder, stream) = leased();
    let changes = ToHolder::Changes(vec![of_token(6, 1), of_account(7, 2)]);
    let answer = holder.take(stream, &changes, second(11)).unwrap();
    assert_eq!(answer, Some(ToAuthority::Acknowledge { revision: Revision(7) }));
    assert_eq!(holder.allow(&said(1, 5), second(11)), Err(Refusal::Stale));
    assert_eq!(holder.allow(&said(1, 6), second(11)), Ok(()));
    assert_eq!(holder.allow(&said(2, 5), second(11)), Ok(()));
    let other = Statement { account: AccountId(2), ..said(3, 6) };
    assert_eq!(holder.allow(&other, second(11)), Err(Refusal::Stale));
    assert_eq!(holder.allow(&Statement { as_of: Revision(7), ..other }, second(11)), Ok(()));
    assert_eq!(holder.allow(&said(2, 4), second(11)), Err(Refusal::Stale), "older than what is known");
}

#[test]
fn what_is_forgotten_raises_the_floor() {
    let (mut holder, stream) = leased();
    holder.take(stream, &ToHolder::Changes(vec![of_token(6, 1)]), second(11)).unwrap();
    holder.take(stream, &ToHolder::Changes(vec![of_token(7, 1)]), second(12)).unwrap();
    holder.forget(second(80));
    assert!(holder.admits(&said(2, 5)), "still remembered");
    holder.forget(second(81));
    assert!(!holder.admits(&said(2, 5)));
    assert!(!holder.admits(&said(1, 6)), "the newer change of the same credential is still remembered");
    assert!(holder.admits(&said(2, 6)));
    holder.forget(second(82));
    assert!(holder.admits(&said(1, 7)) && !holder.admits(&said(1, 6)));
}

#[test]
fn no_more_is_remembered_than_there_is_room_for() {
    let mut holder = Holder::new(2);
    let stream = holder.connect().stream;
    holder.take(stream, &begin(0), second(1)).unwrap();
    let changes = ToHolder::Changes((1..=4).map(|n| of_token(n, n)).collect());
    holder.take(stream, &changes, second(1)).unwrap();
    assert_eq!(holder.remembered.len(), 2);
    assert!(!holder.admits(&said(9, 1)), "older than the oldest that is remembered");
    assert!(holder.admits(&said(9, 2)) && !holder.admits(&said(3, 2)));
}

#[test]
fn a_stream_goes_on_where_the_one_before_stopped() {
    let (mut holder, old) = leased();
    let resume = holder.connect();
    assert_eq!(resume.applied, Some(Revision(5)));
    assert_eq!(holder.take(old, &ToHolder::Changes(vec![of_token(6, 1)]), second(11)), Err(Disorder::OldStream));
    assert!(holder.is_leased(second(11)), "the lease is the holder's, not the stream's");
    holder.take(resume.stream, &begin(5), second(11)).unwrap();
    assert!(holder.is_leased(second(11)) && holder.generation() == 1);
    assert_eq!(holder.take(resume.stream, &begin(5), second(11)), Err(Disorder::Beginning));
}

#[test]
fn a_stream_that_begins_elsewhere_ends_all_that_was_known() {
    for after in [3, 9] {
        let (mut holder, _) = leased();
        let stream = holder.connect().stream;
        holder.take(stream, &begin(after), second(11)).unwrap();
        assert!(!holder.is_leased(second(11)));
        assert_eq!((holder.applied(), holder.generation()), (Some(Revision(after)), 2));
    }
}

#[test]
fn what_does_not_follow_is_not_applied() {
    let (mut holder, stream) = leased();
    for revision in [4, 5, 7] {
        let changes = ToHolder::Changes(vec![of_token(revision, 1)]);
        assert_eq!(holder.take(stream, &changes, second(11)), Err(Disorder::Gap(Revision(revision))));
    }
    assert_eq!(holder.applied(), Some(Revision(5)));
    let mut fresh = Holder::new(1);
    let stream = fresh.connect().stream;
    assert_eq!(fresh.take(stream, &ToHolder::Changes(Vec::new()), second(1)), Err(Disorder::Beginning));
}

#[test]
fn a_lease_that_was_given_back_is_none() {
    let (mut holder, stream) = leased();
    let ToAuthority::Ask { number } = holder.ask(second(11)) else { panic!("another message") };
    assert_eq!(holder.release(), ToAuthority::Release);
    let late = ToHolder::Lease { number, duration: LEASE, revision: Revision(5) };
    holder.take(stream, &late, second(11)).unwrap();
    assert!(!holder.is_leased(second(11)));
}

proptest! {
    /// Whatever comes and is forgotten, and however little room there is: what a change made untrue is never admitted.
    #[test]
    fn nothing_untrue_is_ever_admitted(
        changes in proptest::collection::vec((1_i64..4, proptest::option::of(1_i64..6)), 0..40),
        capacity in 1_usize..10,
        forget_every in 1_usize..6,
    ) {
        let mut holder = Holder::new(capacity);
        let stream = holder.connect().stream;
        holder.take(stream, &begin(0), second(0)).unwrap();
        let mut all = Vec::new();
        for (at, (account, credential)) in changes.into_iter().enumerate() {
            let now = second(10 * at as u64);
            let revision = Revision(at as i64 + 1);
            let change = Change { revision, account: AccountId(account), credential: credential.map(token) };
            holder.take(stream, &ToHolder::Changes(vec![change]), now).unwrap();
            all.push(change);
            if at % forget_every == 0 {
                holder.forget(now);
            }
            for (account, number, as_of) in (1..4).flat_map(|a| (1..6).flat_map(move |n| (0..=revision.0).map(move |r| (a, n, r)))) {
                let statement = Statement { credential: token(number), account: AccountId(account), as_of: Revision(as_of) };
                let untrue = all.iter().any(|change| {
                    change.revision > statement.as_of && match change.credential {
                        Some(credential) => credential == statement.credential,
                        None => change.account == statement.account,
                    }
                });
                prop_assert!(!(untrue && holder.admits(&statement)), "{statement:?}");
            }
        }
    }
}
