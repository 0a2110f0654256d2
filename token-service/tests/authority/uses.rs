use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proto::ErrorKind;
use proto::token::v1::{
    CredentialKind, CredentialUse, GetTokenUsesRequest, GetTokensRequest, ReportUsesRequest, TokenUses,
};
use uuid::Uuid;

use crate::stage::{Stage, assert_invalid, failure, stages, timed_stages};

fn used(id: i64, at: Timestamp, count: i64, method: &str) -> CredentialUse {
    CredentialUse {
        kind: CredentialKind::Token.into(),
        credential_id: id,
        last_used_at: Some(proto::time::to_wire(at)),
        address: "203.0.113.9".into(),
        method: method.into(),
        count,
    }
}

async fn report(stage: &Stage, reporter: &str, sequence: i64, uses: Vec<CredentialUse>) {
    let request = ReportUsesRequest { reporter: reporter.into(), sequence, uses };
    stage.uses.clone().report_uses(stage.by_service(request)).await.unwrap();
}

async fn days(stage: &Stage, session: &str, id: Option<i64>) -> Vec<(i64, String, i64)> {
    let request = stage.granted(session, GetTokenUsesRequest { id }).await;
    let uses = stage.authority.clone().get_token_uses(request).await.unwrap().into_inner().uses;
    uses.into_iter().map(|TokenUses { id, day, count }| (id, day, count)).collect()
}

#[tokio::test]
async fn each_report_is_counted_once_and_the_newest_use_is_the_last() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let (gateway, other) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let earlier = now - SignedDuration::from_secs(60);
        report(&stage, &gateway, 1, vec![used(token.id, now, 3, "environment.control.StopEnv")]).await;
        report(&stage, &gateway, 1, vec![used(token.id, now, 3, "environment.control.StopEnv")]).await;
        // Another gateway's report comes late; one of a token that is gone is passed over.
        let late = vec![used(token.id, earlier, 2, "environment.control.StartEnv"), used(999, now, 1, "x")];
        report(&stage, &other, 7, late).await;

        let request = stage.granted(&session, GetTokensRequest::default()).await;
        let listed = stage.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens.remove(0);
        assert_eq!(listed.use_count, 5, "{}", stage.engine);
        assert_eq!(listed.last_used, Some(proto::time::to_wire(now)));
        assert_eq!(
            (listed.last_used_address.as_str(), listed.last_used_method.as_str()),
            ("203.0.113.9", "environment.control.StopEnv")
        );
    }
}

#[tokio::test]
async fn uses_are_told_by_day_for_ninety_days_and_to_their_owner_only() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
        let text = |moment: Timestamp| moment.strftime("%F").to_string();
        let (yesterday, long_ago) = (now - day, now - day * 90);
        let uses = [(now, 4), (yesterday, 2), (long_ago, 1)].map(|(at, count)| used(token.id, at, count, "m"));
        report(&stage, &Uuid::new_v4().to_string(), 1, uses.to_vec()).await;
        let expected = vec![(token.id, text(yesterday), 2), (token.id, text(now), 4)];
        assert_eq!(days(&stage, &session, Some(token.id)).await, expected, "{}", stage.engine);
        assert_eq!(days(&stage, &session, None).await, expected);

        let bob = crate::accounts::another_account(&stage, "bob").await;
        assert!(days(&stage, &bob, None).await.is_empty());
        let request = stage.granted(&bob, GetTokenUsesRequest { id: Some(token.id) }).await;
        let answer = stage.authority.clone().get_token_uses(request).await;
        assert_eq!(failure(answer).kind(), ErrorKind::ObjectNotFound);
    }
}

#[tokio::test]
async fn a_use_that_is_still_to_come_was_now_and_hides_no_later_one() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let (gateway, ahead) = (Uuid::new_v4().to_string(), "2100-01-01T00:00:00Z".parse().unwrap());
        let now = stage.now();
        report(&stage, &gateway, 1, vec![used(token.id, ahead, 2, "made.up")]).await;
        let day = |moment: Timestamp| moment.strftime("%F").to_string();
        assert_eq!(days(&stage, &session, None).await, [(token.id, day(now), 2)], "{}", stage.engine);

        let listed = async || {
            let request = stage.granted(&session, GetTokensRequest::default()).await;
            stage.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens.remove(0)
        };
        assert_eq!(listed().await.last_used, Some(proto::time::to_wire(now)), "{}", stage.engine);
        stage.advance(Duration::from_secs(1));
        report(&stage, &gateway, 2, vec![used(token.id, stage.now(), 1, "real.one")]).await;
        let listed = listed().await;
        assert_eq!((listed.use_count, listed.last_used_method.as_str()), (3, "real.one"), "{}", stage.engine);
        assert_eq!(listed.last_used, Some(proto::time::to_wire(stage.now())), "{}", stage.engine);
    }
}

#[tokio::test]
async fn no_report_keeps_a_session_alive_that_nobody_uses() {
    for stage in timed_stages(|config| config.session_idle_lifetime = SignedDuration::from_mins(10)).await {
        let session = stage.session().await;
        let credential_id = stage.introspect(&session).await.claims.unwrap().credential_id;
        let ahead = CredentialUse {
            kind: CredentialKind::Session.into(),
            ..used(credential_id, stage.now() + SignedDuration::from_hours(20), 1, "m")
        };
        report(&stage, &Uuid::new_v4().to_string(), 1, vec![ahead]).await;
        stage.advance(Duration::from_secs(10 * 60) - Duration::from_micros(1));
        assert!(stage.introspect(&session).await.active, "{}", stage.engine);
        stage.advance(Duration::from_micros(1));
        assert!(!stage.introspect(&session).await.active, "{}: ten minutes without a call", stage.engine);
    }
}

#[tokio::test]
async fn a_report_without_sense_is_refused_whole() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let good = || used(token.id, Timestamp::now(), 1, "m");
        let report = async |reporter: &str, uses: Vec<CredentialUse>| {
            let request = ReportUsesRequest { reporter: reporter.into(), sequence: 1, uses };
            stage.uses.clone().report_uses(stage.by_service(request)).await
        };
        let gateway = Uuid::new_v4().to_string();
        assert_invalid(report("me", vec![good()]).await, "reporter");
        assert_invalid(report(&gateway, vec![good(), CredentialUse { count: 0, ..good() }]).await, "uses");
        for count in [-1, 1_000_001, i64::MAX] {
            assert_invalid(report(&gateway, vec![good(), CredentialUse { count, ..good() }]).await, "uses");
        }
        assert_invalid(report(&gateway, vec![good(), CredentialUse { kind: 0, ..good() }]).await, "uses");
        assert_invalid(report(&gateway, vec![CredentialUse { last_used_at: None, ..good() }]).await, "uses");
        assert_invalid(report(&gateway, vec![CredentialUse { method: "x".repeat(256), ..good() }]).await, "uses");
        assert_invalid(report(&gateway, vec![good(); 501]).await, "uses");
        assert!(days(&stage, &session, None).await.is_empty(), "{}", stage.engine);
        let unsigned = ReportUsesRequest { reporter: gateway, sequence: 1, uses: vec![good()] };
        let answer = stage.uses.clone().report_uses(unsigned).await;
        assert_eq!(failure(answer).kind(), ErrorKind::NotAuthenticated);
    }
}

#[tokio::test]
async fn a_long_report_is_counted_whole() {
    for stage in stages().await {
        let session = stage.session().await;
        let mut tokens = Vec::new();
        for _ in 0..20 {
            tokens.push(stage.stop_token(&session).await.id);
        }
        let today: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let yesterday = today - SignedDuration::from_hours(24);
        // Each token on two days, ten times a day, and one that is gone; the newest use is in the middle.
        let uses = (0..10).flat_map(|place| {
            let at = move |day: Timestamp| day + SignedDuration::from_secs(if place == 5 { 60 } else { place });
            let ids = tokens.iter().copied().chain([999]);
            ids.flat_map(move |id| [used(id, at(yesterday), 1, "old"), used(id, at(today), id, "new")])
        });
        let report_of_all: Vec<CredentialUse> = uses.collect();
        assert_eq!(report_of_all.len(), 420);
        report(&stage, &Uuid::new_v4().to_string(), 1, report_of_all).await;

        let request = stage.granted(&session, GetTokensRequest::default()).await;
        let listed = stage.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens;
        assert_eq!(listed.len(), 20);
        for token in listed {
            assert_eq!(token.use_count, 10 + 10 * token.id, "{}", stage.engine);
            assert_eq!(token.last_used, Some(proto::time::to_wire(today + SignedDuration::from_secs(60))));
            assert_eq!(token.last_used_method, "new");
            let counted = days(&stage, &session, Some(token.id)).await;
            let expected =
                [(token.id, "2026-11-23".to_owned(), 10), (token.id, "2026-11-24".to_owned(), 10 * token.id)];
            assert_eq!(counted, expected, "{}", stage.engine);
        }
    }
}
