//! The environment-service reached directly over gRPC: it trusts nothing but a grant.

use access::{
    AccountId, Claims, Confinement, CredentialId, GRANT_HEADER, GrantedKind, PermissionSet, Revision, SigningKey,
};
use e2e::Stack;
use jiff::{SignedDuration, Timestamp};
use proto::environment::v1::StopEnvRequest;
use proto::environment::v1::control_client::ControlClient;
use proto::{ErrorKind, Failure, catalog};
use tonic::Request;
use tonic::metadata::MetadataValue;

fn claims() -> Claims {
    let stop = catalog().by_name("environment.control.StopEnv").unwrap().permission().unwrap();
    let now = Timestamp::now();
    Claims {
        credential: CredentialId { kind: GrantedKind::Token, number: 1 },
        account: AccountId(1),
        administrator: false,
        permissions: [stop].into_iter().collect(),
        confinement: Confinement::NONE,
        audience: "environment-service".to_owned(),
        issued_at: now,
        expires_at: now + SignedDuration::from_secs(60),
        as_of: Revision(0),
        credential_expires_at: None,
        superseded: false,
    }
}

async fn stop(stack: &Stack, name: &str, grants: &[Vec<u8>]) -> Result<(), Failure> {
    let mut client = ControlClient::connect(stack.environment_url.clone()).await.unwrap();
    let mut request = Request::new(StopEnvRequest { env_name: name.into() });
    for grant in grants {
        request.metadata_mut().append_bin(GRANT_HEADER, MetadataValue::from_bytes(grant));
    }
    client.stop_env(request).await.map(|_| ()).map_err(Failure::from)
}

#[tokio::test]
async fn only_a_true_and_timely_grant_for_this_service_is_executed() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let key = stack.signing_key();
    let good = key.sign(&claims());
    let now = Timestamp::now();
    let hour = SignedDuration::from_hours(1);

    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let refused: [(&str, Vec<Vec<u8>>); 9] = [
        ("no grant", vec![]),
        ("an empty one", vec![vec![]]),
        ("noise", vec![b"\xff\xff\xff".to_vec()]),
        ("one of another key", vec![SigningKey::generate(&mut rand::rng()).sign(&claims())]),
        ("a changed signature", vec![flipped]),
        ("an expired one", vec![key.sign(&Claims { issued_at: now - hour, expires_at: now, ..claims() })]),
        (
            "one from the future",
            vec![key.sign(&Claims { issued_at: now + hour, expires_at: now + hour * 2, ..claims() })],
        ),
        ("one for another service", vec![key.sign(&Claims { audience: "token-service".into(), ..claims() })]),
        ("two", vec![good.clone(), good.clone()]),
    ];
    for (what, grants) in refused {
        let failure = stop(&stack, "my-project", &grants).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::NotAuthenticated, "{what}: {failure:?}");
    }
    let without = key.sign(&Claims { permissions: PermissionSet::default(), ..claims() });
    let failure = stop(&stack, "my-project", &[without]).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::MissingPermission);
    let foreign = key.sign(&Claims { account: AccountId(999), ..claims() });
    let failure = stop(&stack, "my-project", &[foreign]).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::EnvironmentNotFound, "another account's environment does not exist");

    assert_eq!(stack.info(&session, "my-project").await["env"]["status"], 1, "nothing of it was executed");
    stop(&stack, "my-project", &[good]).await.unwrap();
    assert_eq!(stack.info(&session, "my-project").await["env"]["status"], 2);
}
