use proto::ErrorKind;
use proto::token::v1::{
    AccountInfo, CreateAccountRequest, DeleteAccountRequest, DisableAccountRequest, EnableAccountRequest,
    GetAccountsRequest, GetAuditLogRequest, Reset2FaRequest, SetAccountPasswordRequest,
};
use tonic::{Request, Status};

use crate::accounts::another_account;
use crate::stage::{LOGIN, PASSWORD, Stage, assert_invalid, failure, stages};

const ANOTHER: &str = "another horse battery";

/// An administrator's calls.
struct Administrator<'a> {
    stage: &'a Stage,
    session: String,
}

impl<'a> Administrator<'a> {
    async fn new(stage: &'a Stage) -> Self {
        Self { stage, session: stage.session().await }
    }

    async fn request<T>(&self, message: T) -> Request<T> {
        self.stage.granted(&self.session, message).await
    }

    async fn accounts(&self, request: GetAccountsRequest) -> Result<(Vec<AccountInfo>, Option<i64>), Status> {
        let request = self.request(request).await;
        let page = self.stage.administration.clone().get_accounts(request).await?.into_inner();
        Ok((page.accounts, page.next))
    }

    async fn disable(&self, uid: i64) -> Result<(), Status> {
        let request = self.request(DisableAccountRequest { uid, password: PASSWORD.into() }).await;
        self.stage.administration.clone().disable_account(request).await.map(drop)
    }

    async fn enable(&self, uid: i64) -> Result<(), Status> {
        let request = self.request(EnableAccountRequest { uid, password: PASSWORD.into() }).await;
        self.stage.administration.clone().enable_account(request).await.map(drop)
    }

    async fn delete(&self, uid: i64) -> Result<(), Status> {
        let request = self.request(DeleteAccountRequest { uid, password: PASSWORD.into() }).await;
        self.stage.administration.clone().delete_account(request).await.map(drop)
    }

    async fn set_password(&self, uid: i64, password: &str) -> Result<(), Status> {
        let request = SetAccountPasswordRequest { uid, account_password: password.into(), password: PASSWORD.into() };
        self.stage.administration.clone().set_account_password(self.request(request).await).await.map(drop)
    }
}

#[tokio::test]
async fn nobody_replaces_the_own_password_without_it() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        let refused = failure(administrator.set_password(1, "another horse battery").await);
        assert_eq!(refused.kind(), ErrorKind::InvalidParameter, "{}", stage.engine);
        assert!(refused.message().contains("ChangePassword"), "{refused:?}");
        stage.signin(LOGIN, PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn a_disabled_account_opens_nothing_until_it_is_enabled() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        let bob = another_account(&stage, "bob").await;
        let token = stage.stop_token(&bob).await.key.unwrap();
        let own = stage.stop_token(&administrator.session).await.key.unwrap();
        administrator.disable(2).await.unwrap();
        for credential in [&bob, &token] {
            assert!(!stage.introspect(credential).await.active, "{}", stage.engine);
        }
        assert_eq!(failure(stage.signin("bob", PASSWORD).await).kind(), ErrorKind::WrongLogin);
        assert!(stage.introspect(&own).await.active, "another account's");

        administrator.enable(2).await.unwrap();
        assert!(stage.introspect(&token).await.active, "{}: with its tokens", stage.engine);
        assert!(!stage.introspect(&bob).await.active, "{}: its sessions have ended", stage.engine);
        stage.signin("bob", PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_audit_log_stays() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        let bob = another_account(&stage, "bob").await;
        let token = stage.stop_token(&bob).await.key.unwrap();
        administrator.delete(2).await.unwrap();
        for credential in [&bob, &token] {
            assert!(!stage.introspect(credential).await.active, "{}", stage.engine);
        }
        assert_eq!(failure(administrator.delete(2).await).kind(), ErrorKind::ObjectNotFound);
        let logged = token_service::verify_audit(&stage.config.database_url, None).await.unwrap();
        assert!(logged.entries() > 4, "{}", stage.engine);

        another_account(&stage, "bob").await;
        let (accounts, _) = administrator.accounts(GetAccountsRequest::default()).await.unwrap();
        let numbers: Vec<i64> = accounts.iter().map(|account| account.uid).collect();
        assert_eq!(numbers, [1, 3], "{}: no number is used again", stage.engine);
    }
}

#[tokio::test]
async fn another_password_by_an_administrator_ends_all_sessions_and_no_token() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        let bob = another_account(&stage, "bob").await;
        let token = stage.stop_token(&bob).await.key.unwrap();
        assert_invalid(administrator.set_password(2, "short").await, "accountPassword");
        assert_eq!(failure(administrator.set_password(9, ANOTHER).await).kind(), ErrorKind::ObjectNotFound);
        administrator.set_password(2, ANOTHER).await.unwrap();
        assert!(!stage.introspect(&bob).await.active, "{}", stage.engine);
        assert!(stage.introspect(&token).await.active, "{}", stage.engine);
        assert_eq!(failure(stage.signin("bob", PASSWORD).await).kind(), ErrorKind::WrongLogin);
        let bob = stage.signin("bob", ANOTHER).await.unwrap().session;

        // What was done to it stands in its own log, with who has done it.
        let log = stage.account.clone().get_audit_log(stage.granted(&bob, GetAuditLogRequest::default()).await).await;
        let log = log.unwrap().into_inner().entries;
        let entry = log.iter().find(|entry| entry.action == "password.set").unwrap();
        assert_eq!((entry.actor.as_str(), entry.object.as_str()), ("session 1", "account 2"), "{}", stage.engine);
    }
}

#[tokio::test]
async fn one_administrator_stays() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        assert_invalid(administrator.disable(1).await, "uid");
        assert_invalid(administrator.delete(1).await, "uid");
        let request = CreateAccountRequest {
            login: "carol".into(),
            account_password: PASSWORD.into(),
            password: PASSWORD.into(),
            administrator: Some(true),
            ..CreateAccountRequest::default()
        };
        stage.administration.clone().create_account(administrator.request(request).await).await.unwrap();
        let carol = stage.signin("carol", PASSWORD).await.unwrap().session;
        let carol = Administrator { stage: &stage, session: carol };

        // Each shuts the other at the same moment: one of them is first, and the other's session has ended by then.
        let requests = (
            administrator.request(DisableAccountRequest { uid: 2, password: PASSWORD.into() }).await,
            carol.request(DisableAccountRequest { uid: 1, password: PASSWORD.into() }).await,
        );
        let (mut client, mut others) = (stage.administration.clone(), stage.administration.clone());
        let (one, other) = tokio::join!(client.disable_account(requests.0), others.disable_account(requests.1));
        assert_ne!(one.is_ok(), other.is_ok(), "{}: {one:?}, {other:?}", stage.engine);
        let (left, shut) = if one.is_ok() { (&administrator, 2) } else { (&carol, 1) };
        assert_invalid(left.disable(3 - shut).await, "uid");
        left.delete(shut).await.unwrap();
    }
}

#[tokio::test]
async fn accounts_are_listed_by_pages_and_by_what_their_login_holds() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        for login in ["bob", "b_b", "carol%"] {
            another_account(&stage, login).await;
        }
        let found = async |search: &str| {
            let request = GetAccountsRequest { search: Some(search.into()), ..GetAccountsRequest::default() };
            let (accounts, next) = administrator.accounts(request).await.unwrap();
            assert_eq!(next, None);
            accounts.into_iter().map(|account| account.login).collect::<Vec<_>>()
        };
        assert_eq!(found("B").await, ["bob", "b_b"], "{}", stage.engine);
        assert_eq!(found("b_").await, ["b_b"], "{}: a letter stands for itself", stage.engine);
        assert_eq!(found("%").await, ["carol%"], "{}", stage.engine);
        assert!(found("nobody").await.is_empty());

        let page = GetAccountsRequest { limit: Some(3), ..GetAccountsRequest::default() };
        let (first, next) = administrator.accounts(page.clone()).await.unwrap();
        assert_eq!((first.len(), next), (3, Some(3)), "{}", stage.engine);
        let (last, next) = administrator.accounts(GetAccountsRequest { after: next, ..page }).await.unwrap();
        assert_eq!((last.len(), next), (1, None), "{}", stage.engine);
        assert_eq!((first[0].login.as_str(), first[0].administrator), (LOGIN, true));
        assert!(!first[1].administrator && first.iter().all(|account| !account.disabled));
        assert!(first[0].created_on.is_some());
        let none = GetAccountsRequest { limit: Some(0), ..GetAccountsRequest::default() };
        assert_invalid(administrator.accounts(none).await, "limit");
        let negative = GetAccountsRequest { after: Some(-1), ..GetAccountsRequest::default() };
        assert_invalid(administrator.accounts(negative).await, "after");
        assert!(found(&"%".repeat(255)).await.is_empty(), "{}", stage.engine);
        let long = GetAccountsRequest { search: Some("x".repeat(256)), ..GetAccountsRequest::default() };
        assert_invalid(administrator.accounts(long).await, "search");
    }
}

#[tokio::test]
async fn only_administrators_touch_accounts() {
    for stage in stages().await {
        let bob = Administrator { stage: &stage, session: another_account(&stage, "bob").await };
        let token = stage.stop_token(&stage.session().await).await.key.unwrap();
        let token = Administrator { stage: &stage, session: token };
        for caller in [bob, token] {
            let answers = [
                caller.accounts(GetAccountsRequest::default()).await.map(drop),
                caller.disable(1).await,
                caller.enable(1).await,
                caller.delete(1).await,
                caller.set_password(1, ANOTHER).await,
            ];
            for answer in answers {
                assert_eq!(failure(answer).kind(), ErrorKind::PermissionDenied, "{}", stage.engine);
            }
        }
    }
}

#[tokio::test]
async fn each_change_is_confirmed_by_the_administrators_own_password() {
    for stage in stages().await {
        let administrator = Administrator::new(&stage).await;
        let bob = another_account(&stage, "bob").await;
        let mut client = stage.administration.clone();
        let password = || "wrong horse battery".to_owned();
        let account_password = || PASSWORD.to_owned();
        let create = CreateAccountRequest {
            login: "carol".into(),
            account_password: account_password(),
            password: password(),
            ..CreateAccountRequest::default()
        };
        let set = SetAccountPasswordRequest { uid: 2, account_password: account_password(), password: password() };
        let disable = DisableAccountRequest { uid: 2, password: password() };
        let enable = EnableAccountRequest { uid: 2, password: password() };
        let delete = DeleteAccountRequest { uid: 2, password: password() };
        let reset = Reset2FaRequest { uid: 2, password: password() };
        let answers = [
            client.create_account(administrator.request(create).await).await.map(drop),
            client.set_account_password(administrator.request(set).await).await.map(drop),
            client.disable_account(administrator.request(disable).await).await.map(drop),
            client.enable_account(administrator.request(enable).await).await.map(drop),
            client.delete_account(administrator.request(delete).await).await.map(drop),
            client.reset2_fa(administrator.request(reset).await).await.map(drop),
        ];
        for answer in answers {
            assert_eq!(failure(answer).kind(), ErrorKind::WrongPassword, "{}", stage.engine);
        }
        assert!(stage.introspect(&bob).await.active, "{}: nothing was changed", stage.engine);
        let (accounts, _) = administrator.accounts(GetAccountsRequest::default()).await.unwrap();
        assert_eq!(accounts.len(), 2, "{}", stage.engine);
    }
}
