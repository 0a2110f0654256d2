use proto::ErrorKind;
use proto::token::v1::{
    ApiToken, CreateTokenRequest, DeleteTokensRequest, EditTokenRequest, GetTokenApiListRequest,
    GetTokenTemplatesRequest, GetTokensRequest, RegenerateTokenRequest,
};

use crate::stage::{PASSWORD, STOP, Stage, after, assert_invalid, failure, stages, stop_request, timed_stages};

async fn list(stage: &Stage, session: &str) -> Vec<ApiToken> {
    let request = stage.granted(session, GetTokensRequest::default()).await;
    stage.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens
}

#[tokio::test]
async fn a_token_is_alive_from_its_creation_to_its_deletion_and_its_value_is_told_once() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let value = token.key.clone().unwrap();
        assert!(value.starts_with("pcl_pat_"));
        assert_eq!(token.api_list_items[0].method, STOP);
        assert_eq!(token.token_template.unwrap().name, "Custom");

        let claims = stage.introspect(&value).await.claims.unwrap();
        assert_eq!((claims.credential_id, claims.permissions.as_ref()), (token.id, &[1 << 3][..]));
        let listed = list(&stage, &session).await;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id, &listed[0].key), (token.id, &None), "{}", stage.engine);

        let request = DeleteTokensRequest { ids: vec![token.id], password: PASSWORD.into(), all: None };
        let request = stage.granted(&session, request).await;
        stage.authority.clone().delete_tokens(request).await.unwrap();
        assert!(!stage.introspect(&value).await.active, "{}", stage.engine);
        assert!(list(&stage, &session).await.is_empty());
    }
}

#[tokio::test]
async fn regeneration_kills_the_old_value_and_keeps_the_rest() {
    for stage in stages().await {
        let session = stage.session().await;
        let before = stage.stop_token(&session).await;
        let request =
            RegenerateTokenRequest { id: before.id, password: PASSWORD.into(), ..RegenerateTokenRequest::default() };
        let request = stage.granted(&session, request).await;
        let after = stage.authority.clone().regenerate_token(request).await.unwrap().into_inner().token.unwrap();
        let (old, new) = (before.key.clone().unwrap(), after.key.clone().unwrap());
        assert_ne!(old, new);
        assert!(!stage.introspect(&old).await.active, "{}", stage.engine);
        assert!(stage.introspect(&new).await.active, "{}", stage.engine);
        assert_eq!(ApiToken { key: None, ..after }, ApiToken { key: None, ..before });
    }
}

#[tokio::test]
async fn an_edit_changes_what_is_given_and_nothing_else() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let edit = EditTokenRequest {
            id: token.id,
            password: PASSWORD.into(),
            token_template: Some("Extended Access".into()),
            expires_at: after(3600),
            ..EditTokenRequest::default()
        };
        let request = stage.granted(&session, edit).await;
        let edited = stage.authority.clone().edit_token(request).await.unwrap().into_inner().token.unwrap();
        assert_eq!(edited.key, None);
        assert_eq!(edited.description, "stop only");
        assert_eq!(edited.token_template.unwrap().name, "Extended Access");
        assert!(edited.expires_at.is_some());
        let claims = stage.introspect(&token.key.unwrap()).await.claims.unwrap();
        assert!(claims.permissions[0].count_ones() > 1, "{}: its value goes on, with more", stage.engine);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    for stage in stages().await {
        let session = stage.session().await;
        let create = async |change: fn(&mut CreateTokenRequest)| {
            let mut request = stop_request();
            change(&mut request);
            stage.create_token(&session, request).await
        };
        assert_invalid(create(|r| r.description = None).await, "description");
        assert_invalid(create(|r| r.description = Some("x".repeat(256))).await, "description");
        assert_invalid(create(|r| r.api_list = vec!["no.such.Method".into()]).await, "apiList");
        assert_invalid(create(|r| r.api_list = vec!["users.authentication.CreateToken".into()]).await, "apiList");
        assert_invalid(create(|r| r.api_list.clear()).await, "apiList");
        assert_invalid(create(|r| r.token_template = Some("Nonsense".into())).await, "tokenTemplate");
        assert_invalid(create(|r| r.token_template = Some("Marketplace".into())).await, "apiList");
        assert_invalid(create(|r| r.expires_at = after(-1)).await, "expiresAt");
        let never = |r: &mut CreateTokenRequest| {
            r.expires_at = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 });
        };
        assert_invalid(create(never).await, "expiresAt");
        let wrong = create(|r| r.password = "wrong".into()).await;
        assert_eq!(failure(wrong).kind(), ErrorKind::WrongPassword);
        assert!(list(&stage, &session).await.is_empty(), "{}: nothing was made", stage.engine);

        let kept = stage.stop_token(&session).await;
        let delete = async |ids: Vec<i64>, all: Option<bool>, password: &str| {
            let request = DeleteTokensRequest { ids, all, password: password.into() };
            let request = stage.granted(&session, request).await;
            stage.authority.clone().delete_tokens(request).await
        };
        assert_invalid(delete(vec![], None, PASSWORD).await, "ids");
        assert_invalid(delete(vec![kept.id], Some(true), PASSWORD).await, "ids");
        let missing = delete(vec![kept.id, 999], None, PASSWORD).await;
        assert_eq!(failure(missing).kind(), ErrorKind::ObjectNotFound);
        assert_eq!(failure(delete(vec![kept.id], None, "wrong").await).kind(), ErrorKind::WrongPassword);
        assert_eq!(list(&stage, &session).await.len(), 1, "{}: all or none are deleted", stage.engine);
        delete(vec![], Some(true), PASSWORD).await.unwrap();
        assert!(list(&stage, &session).await.is_empty());
    }
}

#[tokio::test]
async fn a_token_may_end_at_the_last_moment_and_not_later() {
    for stage in stages().await {
        let session = stage.session().await;
        let last = proto::time::to_wire("9999-12-30T22:00:00Z".parse().unwrap());
        let until = |seconds| CreateTokenRequest {
            expires_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..stop_request()
        };
        let token = stage.create_token(&session, until(last.seconds)).await.unwrap();
        assert_eq!(token.expires_at, Some(last), "{}", stage.engine);
        assert!(stage.introspect(&token.key.unwrap()).await.active, "{}", stage.engine);
        assert_eq!(list(&stage, &session).await[0].expires_at, Some(last), "{}", stage.engine);

        let late = stage.create_token(&session, until(last.seconds + 1)).await;
        assert!(failure(late.clone()).message().contains("must be before 9999-12-30 22:00:01"), "{}", stage.engine);
        assert_invalid(late, "expiresAt");
    }
}

#[tokio::test]
async fn tokens_of_another_account_do_not_exist() {
    for stage in stages().await {
        let alice = stage.session().await;
        let token = stage.stop_token(&alice).await;
        let bob = crate::accounts::another_account(&stage, "bob").await;

        let regenerate =
            RegenerateTokenRequest { id: token.id, password: PASSWORD.into(), ..RegenerateTokenRequest::default() };
        let answer = stage.authority.clone().regenerate_token(stage.granted(&bob, regenerate).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::ObjectNotFound);
        let edit = EditTokenRequest { id: token.id, password: PASSWORD.into(), ..EditTokenRequest::default() };
        let answer = stage.authority.clone().edit_token(stage.granted(&bob, edit).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::ObjectNotFound);
        let delete = DeleteTokensRequest { ids: vec![token.id], password: PASSWORD.into(), all: None };
        let answer = stage.authority.clone().delete_tokens(stage.granted(&bob, delete).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::ObjectNotFound);
        let get = GetTokensRequest { ids: vec![token.id], all: None };
        let answer = stage.authority.clone().get_tokens(stage.granted(&bob, get).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::ObjectNotFound);
        assert!(list(&stage, &bob).await.is_empty());
        assert!(stage.introspect(&token.key.unwrap()).await.active, "{}", stage.engine);
    }
}

#[tokio::test]
async fn an_account_holds_as_many_tokens_as_it_may_however_many_ask_at_once() {
    for database in testkit::databases() {
        let stage = Stage::start(database, |config| config.tokens_per_account = 3).await;
        let session = stage.session().await;
        let asked = (0..8).map(|_| stage.create_token(&session, stop_request()));
        let answers = futures::future::join_all(asked).await;
        let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), 5, "{}", stage.engine);
        for status in refused {
            assert_eq!(failure::<()>(Err(status)).kind(), ErrorKind::TokenLimit);
        }
        assert_eq!(list(&stage, &session).await.len(), 3);
    }
}

#[tokio::test]
async fn what_tokens_can_hold_is_listed() {
    for stage in stages().await {
        let session = stage.session().await;
        let search = GetTokenApiListRequest { search: Some("STOPENV".into()) };
        let request = stage.granted(&session, search).await;
        let found = stage.authority.clone().get_token_api_list(request).await.unwrap().into_inner().token_permissions;
        assert_eq!(found.iter().map(|item| item.method.as_str()).collect::<Vec<_>>(), [STOP]);
        assert!(!found[0].is_safe);

        let request = stage.granted(&session, GetTokenTemplatesRequest {}).await;
        let sets = stage.authority.clone().get_token_templates(request).await.unwrap().into_inner().templates;
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        assert_eq!(names, ["Extended Access", "IDE Plugins", "Marketplace", "Maven Plugin"]);
        assert_eq!(sets[0].api_list_items.len(), proto::catalog().permissions().len());
    }
}

#[tokio::test]
async fn a_copy_has_what_is_not_chosen_anew() {
    for stage in stages().await {
        let session = stage.session().await;
        let source = CreateTokenRequest {
            expires_at: after(3600),
            environments: vec!["staging-*".into()],
            source_networks: vec!["10.1.2.3/16".into()],
            ..stop_request()
        };
        let source = stage.create_token(&session, source).await.unwrap();
        let copy = |request: CreateTokenRequest| CreateTokenRequest {
            copy_from: Some(source.id),
            password: PASSWORD.into(),
            ..request
        };
        let same = stage.create_token(&session, copy(CreateTokenRequest::default())).await.unwrap();
        assert_ne!((same.id, &same.key), (source.id, &source.key));
        let same = ApiToken { id: source.id, key: source.key.clone(), created_on: source.created_on, ..same };
        assert_eq!(same, source, "{}", stage.engine);

        let other = CreateTokenRequest {
            description: Some("wider".into()),
            token_template: Some("Extended Access".into()),
            ..CreateTokenRequest::default()
        };
        let other = stage.create_token(&session, copy(other)).await.unwrap();
        assert_eq!((other.description.as_str(), other.expires_at), ("wider", source.expires_at));
        assert_eq!(other.token_template.unwrap().name, "Extended Access");

        let bob = crate::accounts::another_account(&stage, "bob").await;
        let foreign = stage.create_token(&bob, copy(CreateTokenRequest::default())).await;
        let failure = failure(foreign);
        assert_eq!((failure.kind(), failure.detail("parameter")), (ErrorKind::ObjectNotFound, Some("copyFrom")));
    }
}

async fn renew(stage: &Stage, session: &str, request: RegenerateTokenRequest) -> Result<ApiToken, tonic::Status> {
    let request = stage.granted(session, RegenerateTokenRequest { password: PASSWORD.into(), ..request }).await;
    Ok(stage.authority.clone().regenerate_token(request).await?.into_inner().token.unwrap())
}

#[tokio::test]
async fn the_old_value_lives_on_as_long_as_was_chosen_and_not_longer() {
    for stage in stages().await {
        let session = stage.session().await;
        let first = stage.stop_token(&session).await;
        let with_overlap = |overlap| RegenerateTokenRequest {
            id: first.id,
            overlap_seconds: overlap,
            ..RegenerateTokenRequest::default()
        };
        let too_long = renew(&stage, &session, with_overlap(Some(2_592_001))).await;
        assert_invalid(too_long, "overlapSeconds");

        let second = renew(&stage, &session, with_overlap(Some(2))).await.unwrap();
        let ends = proto::time::from_wire(&second.overlap_ends_at.unwrap()).unwrap();
        let (old, new) = (first.key.clone().unwrap(), second.key.unwrap());
        let (by_old, by_new) = (stage.introspect(&old).await, stage.introspect(&new).await);
        assert!(by_old.active && by_new.active, "{}", stage.engine);
        let claims = by_old.claims.unwrap();
        assert_eq!(claims.credential_id, first.id);
        let end = proto::time::from_wire(&claims.expires_at.unwrap()).unwrap();
        assert!(end <= ends, "{}: no grant outlives the old value", stage.engine);
        assert!(by_new.claims.unwrap().credential_expires_at.is_none());
        testkit::eventually("the end of the old value", std::time::Duration::from_secs(10), async || {
            (!stage.introspect(&old).await.active).then_some(())
        })
        .await;
        assert!(jiff::Timestamp::now() >= ends, "{}: it did not end early", stage.engine);
        assert!(stage.introspect(&new).await.active);

        // Without an overlap each value before is dead, and so it is when the overlap is ended.
        let third = renew(&stage, &session, with_overlap(Some(600))).await.unwrap();
        assert!(stage.introspect(&new).await.active);
        let edit = EditTokenRequest {
            id: first.id,
            password: PASSWORD.into(),
            end_overlap: Some(true),
            ..EditTokenRequest::default()
        };
        let edited = stage.authority.clone().edit_token(stage.granted(&session, edit).await).await.unwrap();
        assert_eq!(edited.into_inner().token.unwrap().overlap_ends_at, None);
        assert!(!stage.introspect(&new).await.active, "{}", stage.engine);
        let value = third.key.unwrap();
        renew(&stage, &session, with_overlap(Some(600))).await.unwrap();
        assert!(stage.introspect(&value).await.active);
        renew(&stage, &session, with_overlap(None)).await.unwrap();
        assert!(!stage.introspect(&value).await.active, "{}: the one before the last is dead too", stage.engine);
    }
}

#[tokio::test]
async fn a_deleted_token_takes_its_old_value_along() {
    for stage in stages().await {
        let session = stage.session().await;
        let first = stage.stop_token(&session).await;
        let overlap =
            RegenerateTokenRequest { id: first.id, overlap_seconds: Some(600), ..RegenerateTokenRequest::default() };
        let second = renew(&stage, &session, overlap).await.unwrap();
        let delete = DeleteTokensRequest { ids: vec![first.id], password: PASSWORD.into(), all: None };
        stage.authority.clone().delete_tokens(stage.granted(&session, delete).await).await.unwrap();
        for value in [first.key.unwrap(), second.key.unwrap()] {
            assert!(!stage.introspect(&value).await.active, "{}", stage.engine);
        }
    }
}

#[tokio::test]
async fn a_confinement_stands_in_every_grant_and_can_be_changed_and_lifted() {
    for stage in stages().await {
        let session = stage.session().await;
        let create = CreateTokenRequest {
            environments: vec!["staging-*".into(), "demo".into()],
            source_networks: vec!["10.1.2.3/16".into(), "2001:db8::1".into()],
            ..stop_request()
        };
        let token = stage.create_token(&session, create.clone()).await.unwrap();
        assert_eq!(token.environments, ["demo", "staging-*"]);
        assert_eq!(token.source_networks, ["10.1.0.0/16", "2001:db8::1/128"]);
        let value = token.key.clone().unwrap();
        let claims = stage.introspect(&value).await.claims.unwrap();
        assert_eq!((claims.environments, claims.source_networks), (token.environments, token.source_networks));

        let edit = async |environments: &[&str], networks: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let edit = EditTokenRequest {
                id: token.id,
                password: PASSWORD.into(),
                environments: texts(environments),
                source_networks: texts(networks),
                ..EditTokenRequest::default()
            };
            stage.authority.clone().edit_token(stage.granted(&session, edit).await).await
        };
        assert_invalid(edit(&["Production"], &[]).await, "environments");
        assert_invalid(edit(&[], &["10.0.0.0/40"]).await, "sourceNetworks");
        edit(&["*"], &[]).await.unwrap();
        let claims = stage.introspect(&value).await.claims.unwrap();
        assert!(claims.environments.is_empty(), "{}", stage.engine);
        assert_eq!(claims.source_networks.len(), 2, "what is not given stays");
        edit(&["live"], &["*"]).await.unwrap();
        let claims = stage.introspect(&value).await.claims.unwrap();
        assert_eq!((claims.environments, claims.source_networks), (vec!["live".to_owned()], vec![]));
    }
}

#[tokio::test]
async fn concurrent_edits_of_one_token_are_merged() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let edit = |change: fn(&mut EditTokenRequest)| {
            let mut request =
                EditTokenRequest { id: token.id, password: PASSWORD.into(), ..EditTokenRequest::default() };
            change(&mut request);
            async { stage.authority.clone().edit_token(stage.granted(&session, request).await).await.unwrap() }
        };
        tokio::join!(
            edit(|r| r.description = Some("renamed".into())),
            edit(|r| r.token_template = Some("Marketplace".into())),
            edit(|r| r.expires_at = after(3600)),
            edit(|r| r.environments = vec!["demo".into()]),
        );
        let token = list(&stage, &session).await.remove(0);
        assert_eq!(token.description, "renamed", "{}", stage.engine);
        assert_eq!(token.token_template.unwrap().name, "Marketplace", "{}", stage.engine);
        assert!(token.expires_at.is_some() && token.environments == ["demo"], "{}", stage.engine);
    }
}

#[tokio::test]
async fn an_expiry_can_be_taken_away() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = CreateTokenRequest { expires_at: after(3600), ..stop_request() };
        let token = stage.create_token(&session, token).await.unwrap();
        assert!(token.expires_soon && !token.is_expired);
        let edit = async |expires_at| {
            let edit = EditTokenRequest {
                id: token.id,
                password: PASSWORD.into(),
                never_expires: Some(true),
                expires_at,
                ..EditTokenRequest::default()
            };
            stage.authority.clone().edit_token(stage.granted(&session, edit).await).await
        };
        assert_invalid(edit(after(3600)).await, "neverExpires");
        let edited = edit(None).await.unwrap().into_inner().token.unwrap();
        assert_eq!((edited.expires_at, edited.expires_soon), (None, false), "{}", stage.engine);
    }
}

#[tokio::test]
async fn the_value_of_an_expired_token_does_not_come_back_beside_a_new_one() {
    for stage in timed_stages(|_| {}).await {
        let in_an_hour = |stage: &Stage| Some(proto::time::to_wire(stage.now() + jiff::SignedDuration::from_hours(1)));
        let session = stage.session().await;
        let request = CreateTokenRequest { expires_at: in_an_hour(&stage), ..stop_request() };
        let first = stage.create_token(&session, request).await.unwrap();
        let old = first.key.unwrap();
        stage.advance(std::time::Duration::from_secs(3600));
        assert!(!stage.introspect(&old).await.active, "{}", stage.engine);
        let session = stage.session().await;
        let request = |overlap| RegenerateTokenRequest {
            id: first.id,
            expires_at: in_an_hour(&stage),
            overlap_seconds: overlap,
            ..RegenerateTokenRequest::default()
        };
        assert_invalid(renew(&stage, &session, request(Some(60))).await, "overlapSeconds");
        let new = renew(&stage, &session, request(None)).await.unwrap().key.unwrap();
        assert!(stage.introspect(&new).await.active, "{}", stage.engine);
        assert!(!stage.introspect(&old).await.active, "{}", stage.engine);
    }
}
