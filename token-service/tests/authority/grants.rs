use std::time::Duration;

use access::{Credential, CredentialKind, KeyRing};
use jiff::{SignedDuration, Timestamp};
use proto::token::v1::{
    CheckSignRequest, CreateTokenRequest, EditTokenRequest, GetPublicKeysRequest, GetUserInfoRequest,
    IntrospectRequest, RegenerateTokenRequest, RevokeCurrentTokenRequest, SignoutRequest,
};
use proto::{ErrorKind, Failure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use testkit::eventually;
use tonic::Request;

use crate::stage::{PASSWORD, Stage, after, assert_invalid, failure, stages, stop_request, with_grant};

fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

async fn key_ring(stage: &Stage) -> KeyRing {
    let request = with_key(&stage.service_key, GetPublicKeysRequest {});
    let keys = stage.introspection.clone().get_public_keys(request).await.unwrap().into_inner().keys;
    let ring = KeyRing::default();
    ring.replace(keys.into_iter().map(|key| key.try_into().unwrap()).collect());
    ring
}

#[tokio::test]
async fn a_grant_is_verified_by_the_published_keys_and_lives_as_long_as_it_says() {
    for stage in stages().await {
        let session = stage.session().await;
        let introspected = stage.introspect(&session).await;
        let ring = key_ring(&stage).await;
        let claims = ring.verify(&introspected.grant, "token-service", Timestamp::now()).unwrap();
        assert_eq!(claims, introspected.claims.unwrap().try_into().unwrap());
        assert_eq!(claims.expires_at - claims.issued_at, SignedDuration::from_secs(60));
        assert!(claims.administrator && claims.permissions.is_empty());
    }
}

#[tokio::test]
async fn a_grant_ends_with_its_token() {
    for stage in stages().await {
        let session = stage.session().await;
        let request = CreateTokenRequest { expires_at: after(2), ..stop_request() };
        let value = stage.create_token(&session, request).await.unwrap().key.unwrap();
        let claims = stage.introspect(&value).await.claims.unwrap();
        assert_eq!(claims.expires_at, claims.credential_expires_at);
        assert!(!claims.administrator, "no token administers");
        eventually("the expiry of the token", Duration::from_secs(20), async || {
            (!stage.introspect(&value).await.active).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn every_change_moves_the_revision_on() {
    for stage in stages().await {
        let (session, other) = (stage.session().await, stage.session().await);
        let before = stage.introspect_anew(&session).await.claims.unwrap().as_of;
        let request = stage.granted(&other, SignoutRequest {}).await;
        stage.authority.clone().signout(request).await.unwrap();
        let after = stage.introspect_anew(&session).await.claims.unwrap().as_of;
        assert_eq!(after, before + 1, "{}", stage.engine);
    }
}

#[tokio::test]
async fn introspection_is_for_services() {
    for stage in stages().await {
        let session = stage.session().await;
        let question = || IntrospectRequest {
            credential: session.clone(),
            audience: "token-service".into(),
            ..Default::default()
        };
        let stranger = Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(99));
        let mut client = stage.introspection.clone();
        for request in [
            Request::new(question()),
            with_key(stranger.expose(), question()),
            with_key(&session, question()),
            with_key("", question()),
            stage.granted(&session, question()).await,
        ] {
            let failure: Failure = client.introspect(request).await.unwrap_err().into();
            assert_eq!(failure.kind(), ErrorKind::NotAuthenticated, "{}", stage.engine);
        }
    }
}

#[tokio::test]
async fn nothing_is_said_of_what_is_not_alive_and_an_audience_must_exist() {
    for stage in stages().await {
        let unknown = Credential::generate(CredentialKind::Token, &mut StdRng::seed_from_u64(99));
        for credential in [unknown.expose(), stage.service_key.as_str(), "", "nonsense", "pcl_pat_'; drop table token"]
        {
            let answer = stage.introspect(credential).await;
            assert_eq!(answer, proto::token::v1::IntrospectResponse::default(), "{}: {credential}", stage.engine);
        }
        let question = IntrospectRequest {
            credential: stage.session().await,
            audience: "mail-service".into(),
            ..Default::default()
        };
        let answer = stage.introspection.clone().introspect(with_key(&stage.service_key, question)).await;
        assert_invalid(answer, "audience");
    }
}

#[tokio::test]
async fn without_a_grant_nothing_is_done() {
    for stage in stages().await {
        let answer = stage.authority.clone().create_token(stop_request()).await;
        assert_eq!(failure(answer).kind(), ErrorKind::NotAuthenticated, "{}", stage.engine);
    }
}

#[tokio::test]
async fn what_is_remembered_is_not_told_who_asks_for_something_newer() {
    for stage in stages().await {
        let (session, other) = (stage.session().await, stage.session().await);
        // Each reading signs another grant: the same one again is one that is remembered.
        let remembered = async || {
            let (first, second) = (stage.introspect(&session).await, stage.introspect(&session).await);
            (first.grant == second.grant).then(|| first.claims.unwrap().as_of)
        };
        let before = eventually("it is remembered", Duration::from_secs(30), remembered).await;
        let request = stage.granted(&other, SignoutRequest {}).await;
        stage.authority.clone().signout(request).await.unwrap();
        let asked = async |not_before| {
            let (credential, audience) = (session.clone(), "token-service".to_owned());
            let question = IntrospectRequest { credential, audience, fresh: false, not_before };
            let answer = stage.introspection.clone().introspect(with_key(&stage.service_key, question)).await;
            answer.unwrap().into_inner().claims.unwrap().as_of
        };
        assert_eq!(asked(before).await, before, "{}: the change is another credential's", stage.engine);
        assert_eq!(asked(before + 1).await, before + 1, "{}", stage.engine);
        assert_eq!(asked(0).await, before + 1, "{}: what is newer takes the place of what was older", stage.engine);
    }
}

/// Methods of the authority's own that a token may call, under a grant as it is.
async fn calls_under(stage: &Stage, grant: &[u8]) -> Vec<Result<(), ErrorKind>> {
    let kind = |status: tonic::Status| Failure::from(status).kind();
    let user = stage.account.clone().get_user_info(with_grant(grant, GetUserInfoRequest {})).await;
    let signed = stage.authority.clone().check_sign(with_grant(grant, CheckSignRequest {})).await;
    let ended = stage.authority.clone().revoke_current_token(with_grant(grant, RevokeCurrentTokenRequest {})).await;
    vec![user.map(drop).map_err(kind), signed.map(drop).map_err(kind), ended.map(drop).map_err(kind)]
}

#[tokio::test]
async fn no_grant_of_before_a_change_is_executed_under_here_either() {
    for stage in stages().await {
        let session = stage.session().await;
        let request = || CreateTokenRequest { api_list: vec!["users.account.GetUserInfo".into()], ..stop_request() };
        let grant = async || {
            let token = stage.create_token(&session, request()).await.unwrap();
            let introspected = stage.introspect_anew(&token.key.clone().unwrap()).await;
            (token.id, introspected.grant)
        };
        let (_, good) = grant().await;
        assert_eq!(calls_under(&stage, &good).await, [Ok(()), Ok(()), Ok(())], "{}", stage.engine);

        let (edited, edited_grant) = grant().await;
        let edit = EditTokenRequest {
            id: edited,
            password: PASSWORD.into(),
            api_list: vec!["environment.control.StopEnv".into()],
            ..Default::default()
        };
        let edit = stage.granted(&session, edit).await;
        stage.authority.clone().edit_token(edit).await.unwrap();

        let (renewed, renewed_grant) = grant().await;
        let renewal = RegenerateTokenRequest { id: renewed, password: PASSWORD.into(), ..Default::default() };
        let renewal = stage.granted(&session, renewal).await;
        stage.authority.clone().regenerate_token(renewal).await.unwrap();

        for (what, grant) in [("edited", edited_grant), ("regenerated", renewed_grant)] {
            for (at, answer) in calls_under(&stage, &grant).await.into_iter().enumerate() {
                let refused = matches!(answer, Err(ErrorKind::StaleGrant | ErrorKind::NotAuthenticated));
                assert!(refused, "{}: {what}, method {at}: {answer:?}", stage.engine);
            }
        }
    }
}
