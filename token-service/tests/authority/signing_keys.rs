//! The keys that grants are signed with, as the operator replaces them.

use std::time::Duration;

use access::SigningKey;
use futures::future::join_all;
use prost::Message;
use proto::token::v1::{GetPublicKeysRequest, IntrospectRequest, SignedGrant};
use storage::{Database, DatabaseOptions};
use testkit::eventually;
use token_service::{
    AdministerError, SHORTEST_LEAD, reset_signing_keys, rotate_signing_key, signing_keys, verify_audit,
};

use crate::stage::{Stage, stages};

const LONG: Duration = Duration::from_secs(30);

async fn told(stage: &Stage) -> Vec<String> {
    let request = stage.by_service(GetPublicKeysRequest {});
    let keys = stage.introspection.clone().get_public_keys(request).await.unwrap().into_inner().keys;
    keys.into_iter().map(|key| key.key_id).collect()
}

/// The key of a grant that is made now.
async fn signing(stage: &Stage, credential: &str) -> String {
    let (credential, audience) = (credential.to_owned(), "environment-service".to_owned());
    let request = IntrospectRequest { credential, audience, fresh: true, ..IntrospectRequest::default() };
    let answer = stage.introspection.clone().introspect(stage.by_service(request)).await.unwrap().into_inner();
    SignedGrant::decode(answer.grant).unwrap().key_id
}

/// Lets time pass for the keys, and for nothing else.
async fn pass(stage: &Stage, time: Duration) {
    let database = Database::open(&stage.config.database_url, &DatabaseOptions::default()).await.unwrap();
    let mut tx = database.begin("test").await.unwrap();
    sqlx::query("update signing_key set signs_from = signs_from - $1, verifies_until = verifies_until - $1 where signs_from > 0")
        .bind(i64::try_from(time.as_micros()).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("update signing_key set verifies_until = verifies_until - $1 where signs_from = 0")
        .bind(i64::try_from(time.as_micros()).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn a_key_follows_another_and_is_known_before_it_signs() {
    for stage in stages().await {
        let engine = stage.engine;
        let session = stage.session().await;
        let first = signing(&stage, &session).await;
        assert_eq!(told(&stage).await, vec![first.clone()], "{engine}");
        let mut last = first;
        for round in 0..2 {
            let keys = rotate_signing_key(&stage.config, Duration::ZERO).await.unwrap();
            let [old, new] = &keys[..] else { panic!("{engine}: {keys:?}") };
            assert_eq!((&old.key_id, new.verifies_until), (&last, None), "{engine}");
            let remains = old.verifies_until.unwrap().duration_since(new.signs_from).unsigned_abs();
            assert_eq!(remains, stage.config.grant_lifetime.unsigned_abs() + Duration::from_secs(10), "{engine}");
            assert_eq!(told(&stage).await, [last.clone(), new.key_id.clone()], "{engine}: both are told at once");
            assert_eq!(signing(&stage, &session).await, last, "{engine}: it is known before it signs");

            pass(&stage, SHORTEST_LEAD).await;
            eventually("the new key signs", LONG, async || {
                (signing(&stage, &session).await == new.key_id).then_some(())
            })
            .await;
            assert_eq!(told(&stage).await.len(), 2, "{engine}: grants of the old one are still good");
            pass(&stage, remains).await;
            assert_eq!(told(&stage).await, vec![new.key_id.clone()], "{engine}, {round}: the old one is over");
            last.clone_from(&new.key_id);
        }
        eventually("only one is kept", LONG, async || {
            (signing_keys(&stage.config).await.unwrap().len() == 1).then_some(())
        })
        .await;
        // A replica that starts now knows the same.
        let other = stage.replica().await;
        assert_eq!((told(&other).await, signing(&other, &session).await), (vec![last.clone()], last), "{engine}");
        verify_audit(&stage.config.database_url, None).await.unwrap();
    }
}

#[tokio::test]
async fn of_several_rotations_at_once_one_is_done() {
    for stage in stages().await {
        let rotations = join_all((0..4).map(|_| rotate_signing_key(&stage.config, SHORTEST_LEAD))).await;
        let done = rotations.iter().filter(|rotation| rotation.is_ok()).count();
        assert_eq!(done, 1, "{}: {rotations:?}", stage.engine);
        assert_eq!(told(&stage).await.len(), 2, "{}", stage.engine);
    }
}

#[tokio::test]
async fn another_file_opens_nothing_and_begins_anew_where_that_is_said() {
    for mut stage in stages().await {
        let engine = stage.engine;
        let session = stage.session().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = SigningKey::generate(&mut rand::rng());
        std::fs::write(file.path(), other.to_pem().as_bytes()).unwrap();
        let own = std::mem::replace(&mut stage.config.signing_key_file, file.path().to_owned());
        let refused = rotate_signing_key(&stage.config, SHORTEST_LEAD).await.unwrap_err();
        assert!(matches!(refused, AdministerError::Refused(_)), "{engine}: before the first rotation: {refused:?}");
        stage.config.signing_key_file = own;
        rotate_signing_key(&stage.config, SHORTEST_LEAD).await.unwrap();
        stage.config.signing_key_file = file.path().to_owned();
        let refused = rotate_signing_key(&stage.config, SHORTEST_LEAD).await.unwrap_err();
        assert!(matches!(refused, AdministerError::Refused(_)), "{engine}: {refused:?}");

        assert_eq!(reset_signing_keys(&stage.config).await.unwrap(), 2, "{engine}");
        let replica = stage.replica().await;
        let id = other.verifying_key().key_id().to_owned();
        assert_eq!((told(&replica).await, signing(&replica, &session).await), (vec![id.clone()], id), "{engine}");
        verify_audit(&stage.config.database_url, None).await.unwrap();
    }
}
