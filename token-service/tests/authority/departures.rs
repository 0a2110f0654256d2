//! Which accounts are gone, for services that keep something for accounts.

use access::{Credential, CredentialKind};
use proto::ErrorKind;
use proto::catalog::ServiceRole;
use proto::token::v1::departures_client::DeparturesClient;
use proto::token::v1::{DeleteAccountRequest, GetDeletedAccountsRequest, GetDeletedAccountsResponse};
use rand::SeedableRng;
use rand::rngs::StdRng;
use testkit::{TestDatabase, databases};
use token_service::ServiceKeyConfig;
use tonic::{Request, Status};

use crate::accounts::another_account;
use crate::stage::{PASSWORD, Stage, assert_invalid, failure};

fn executor() -> Credential {
    Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(9))
}

async fn start(database: TestDatabase) -> Stage {
    let role = ServiceRole::Executor;
    let key = ServiceKeyConfig { name: "an executor".into(), role, sha256: executor().hash().to_string() };
    Stage::start(database, |config| config.service_keys.push(key)).await
}

async fn deleted(stage: &Stage, after: i64) -> Result<GetDeletedAccountsResponse, Status> {
    let mut request = Request::new(GetDeletedAccountsRequest { after });
    request.metadata_mut().insert("authorization", executor().bearer());
    let mut client = DeparturesClient::connect(stage.url.clone()).await.unwrap();
    Ok(client.get_deleted_accounts(request).await?.into_inner())
}

fn told(answer: &GetDeletedAccountsResponse) -> Vec<(i64, i64)> {
    answer.accounts.iter().map(|account| (account.number, account.account_id)).collect()
}

async fn delete(stage: &Stage, administrator: &str, uid: i64, password: &str) -> Result<(), Status> {
    let request = DeleteAccountRequest { uid, password: password.into() };
    let request = stage.granted(administrator, request).await;
    stage.administration.clone().delete_account(request).await.map(drop)
}

#[tokio::test]
async fn accounts_that_are_gone_are_told_in_the_order_of_their_deletion() {
    for database in databases() {
        let stage = start(database).await;
        let engine = stage.engine;
        let administrator = stage.session().await;
        for login in ["bob", "carol", "dave"] {
            another_account(&stage, login).await;
        }
        let before = deleted(&stage, 0).await.unwrap();
        assert_eq!((before.accounts.len(), before.last), (0, 0), "{engine}: nobody is, though three are not asked for");

        for (uid, password) in [(1, PASSWORD), (2, "wrong"), (9, PASSWORD)] {
            delete(&stage, &administrator, uid, password).await.unwrap_err();
        }
        assert_eq!(told(&deleted(&stage, 0).await.unwrap()), [], "{engine}: what failed leaves none");
        for uid in [3, 2] {
            delete(&stage, &administrator, uid, PASSWORD).await.unwrap();
        }
        let all = deleted(&stage, 0).await.unwrap();
        assert_eq!((told(&all), all.last), (vec![(1, 3), (2, 2)], 2), "{engine}");
        assert!(all.accounts.iter().all(|account| account.deleted_at.is_some()));
        let rest = deleted(&stage, 1).await.unwrap();
        assert_eq!((told(&rest), rest.last), (vec![(2, 2)], 2), "{engine}");
        let none = deleted(&stage, 7).await.unwrap();
        assert_eq!((told(&none), none.last), (vec![], 2), "{engine}: whoever knows more sees that");
        assert_invalid(deleted(&stage, -1).await, "after");

        assert_eq!(before.authority.len(), 32, "{engine}: {}", before.authority);
        let again = stage.replica().await;
        assert_eq!(deleted(&again, 0).await.unwrap(), all, "{engine}: by every replica, and after a start");
    }
}

#[tokio::test]
async fn each_database_is_another_authority() {
    let mut names = std::collections::HashSet::new();
    for database in [TestDatabase::sqlite(), TestDatabase::sqlite(), TestDatabase::postgres(), TestDatabase::postgres()]
    {
        assert!(names.insert(deleted(&start(database).await, 0).await.unwrap().authority));
    }
}

#[tokio::test]
async fn a_gateway_is_not_told() {
    let stage = start(TestDatabase::sqlite()).await;
    let mut client = DeparturesClient::connect(stage.url.clone()).await.unwrap();
    let refused = client.get_deleted_accounts(stage.by_service(GetDeletedAccountsRequest { after: 0 })).await;
    assert_eq!(failure(refused).kind(), ErrorKind::PermissionDenied);
}
