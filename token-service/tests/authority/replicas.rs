//! Two replicas of the authority on one PostgreSQL serve the same accounts.

use std::collections::BTreeSet;

use proto::ErrorKind;
use proto::token::v1::{
    CredentialKind, CredentialUse, DeleteTokensRequest, EditTokenRequest, GetTokensRequest, RegenerateTokenRequest,
    ReportUsesRequest,
};
use testkit::TestDatabase;
use token_service::verify_audit;

use crate::stage::{PASSWORD, Stage, after, failure, stop_request};

async fn two(limit: u32) -> (Stage, Stage) {
    let first = Stage::start(TestDatabase::postgres(), |config| config.tokens_per_account = limit).await;
    let second = first.replica().await;
    (first, second)
}

#[tokio::test]
async fn what_one_replica_has_confirmed_the_other_knows() {
    let (one, other) = two(100).await;
    let session = one.session().await;
    let token = other.stop_token(&session).await;
    let value = token.key.clone().unwrap();
    assert!(one.introspect(&value).await.active);
    for round in 0..10 {
        let (here, there) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let before = here.stop_token(&session).await;
        let renew =
            RegenerateTokenRequest { id: before.id, password: PASSWORD.into(), ..RegenerateTokenRequest::default() };
        let renewed = here.authority.clone().regenerate_token(here.granted(&session, renew).await).await.unwrap();
        let new = renewed.into_inner().token.unwrap().key.unwrap();
        assert!(!there.introspect(&before.key.unwrap()).await.active);
        assert!(there.introspect(&new).await.active);
        let delete = DeleteTokensRequest { ids: vec![before.id], password: PASSWORD.into(), all: None };
        there.authority.clone().delete_tokens(there.granted(&session, delete).await).await.unwrap();
        assert!(!here.introspect(&new).await.active);
    }
    assert!(one.introspect(&value).await.active);
}

#[tokio::test]
async fn two_replicas_keep_one_limit_one_order_and_one_log() {
    let (one, other) = two(5).await;
    let session = one.session().await;
    let asked = (0..12).map(|turn| {
        let (stage, session) = (if turn % 2 == 0 { &one } else { &other }, &session);
        async move { stage.create_token(session, stop_request()).await }
    });
    let answers = futures::future::join_all(asked).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 5);
    assert!(refused.into_iter().all(|answer| failure(answer).kind() == ErrorKind::TokenLimit));
    let ids: BTreeSet<i64> = made.into_iter().map(|token| token.unwrap().id).collect();
    assert_eq!(ids.len(), 5, "no number is given twice");

    let id = *ids.first().unwrap();
    let edit = async |stage: &Stage, change: fn(&mut EditTokenRequest)| {
        let mut request = EditTokenRequest { id, password: PASSWORD.into(), ..EditTokenRequest::default() };
        change(&mut request);
        let request = stage.granted(&session, request).await;
        stage.authority.clone().edit_token(request).await.unwrap()
    };
    tokio::join!(
        edit(&one, |r| r.description = Some("renamed".into())),
        edit(&other, |r| r.expires_at = after(3600)),
        edit(&one, |r| r.environments = vec!["demo".into()]),
        edit(&other, |r| r.token_template = Some("Marketplace".into())),
    );
    let request = one.granted(&session, GetTokensRequest { ids: vec![id], all: None }).await;
    let token = one.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens.remove(0);
    assert_eq!((token.description.as_str(), token.environments.as_slice()), ("renamed", &["demo".to_owned()][..]));
    assert!(token.expires_at.is_some());
    assert_eq!(token.token_template.unwrap().name, "Marketplace");
    verify_audit(&one.config.database_url, None).await.unwrap();
}

#[tokio::test]
async fn uses_that_are_reported_to_both_are_all_counted() {
    let (one, other) = two(100).await;
    let session = one.session().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(one.stop_token(&session).await.id);
    }
    let report = async |stage: &Stage, ids: &[i64], sequence: i64, reporter: &str| {
        let uses = ids.iter().map(|id| CredentialUse {
            kind: CredentialKind::Token.into(),
            credential_id: *id,
            last_used_at: after(0),
            count: 1,
            ..CredentialUse::default()
        });
        let request = ReportUsesRequest { reporter: reporter.to_owned(), sequence, uses: uses.collect() };
        stage.uses.clone().report_uses(stage.by_service(request)).await.unwrap()
    };
    let reversed: Vec<i64> = ids.iter().rev().copied().collect();
    let reporters: Vec<String> = (0..2).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    for sequence in 1..=20 {
        // In opposite orders, at once: neither may wait for the other for ever.
        tokio::join!(report(&one, &ids, sequence, &reporters[0]), report(&other, &reversed, sequence, &reporters[1]),);
    }
    let request = one.granted(&session, GetTokensRequest::default()).await;
    let tokens = one.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens;
    assert!(tokens.iter().all(|token| token.use_count == 40), "{tokens:?}");
}
