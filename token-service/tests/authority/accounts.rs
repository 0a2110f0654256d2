use proto::ErrorKind;
use proto::token::v1::{
    ChangePasswordRequest, CheckSignRequest, CreateAccountRequest, CreateTokenRequest, GetTokensRequest,
    GetUserInfoRequest, SignoutRequest,
};

use crate::stage::{LOGIN, PASSWORD, STOP, Stage, assert_invalid, failure, stages, stop_request, with_grant};

/// Makes an account and answers a session of it.
pub(crate) async fn another_account(stage: &Stage, login: &str) -> String {
    another_account_of(stage, &stage.session().await, login).await
}

/// The same, by an administrator's session.
pub(crate) async fn another_account_of(stage: &Stage, administrator: &str, login: &str) -> String {
    let request = CreateAccountRequest {
        login: login.into(),
        account_password: PASSWORD.into(),
        password: PASSWORD.into(),
        ..CreateAccountRequest::default()
    };
    let request = stage.granted(administrator, request).await;
    stage.administration.clone().create_account(request).await.unwrap();
    stage.signin(login, PASSWORD).await.unwrap().session
}

#[tokio::test]
async fn signing_in_takes_the_right_password_in_whatever_case_of_the_login() {
    for stage in stages().await {
        let answer = stage.signin("ALICE@example.org", PASSWORD).await.unwrap();
        assert_eq!((answer.email.as_str(), answer.name.as_str()), (LOGIN, "Alice"));
        assert!(answer.session.starts_with("pcl_ses_"));
        for (login, password) in
            [(LOGIN, "wrong"), (LOGIN, ""), ("nobody", PASSWORD), ("", PASSWORD), ("a b", PASSWORD)]
        {
            let failure = failure(stage.signin(login, password).await);
            assert_eq!(failure.kind(), ErrorKind::WrongLogin, "{}: {login:?}", stage.engine);
            assert_eq!(failure.message(), "wrong login or password");
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_its_sign_out_even_for_a_grant_that_was_made_before() {
    for stage in stages().await {
        let (session, other) = (stage.session().await, stage.session().await);
        let grant = stage.introspect(&session).await.grant;
        let checked = stage.authority.clone().check_sign(with_grant(&grant, CheckSignRequest {})).await.unwrap();
        assert_eq!(checked.into_inner().uid, 1);

        stage.authority.clone().signout(with_grant(&grant, SignoutRequest {})).await.unwrap();
        assert!(!stage.introspect(&session).await.active, "{}", stage.engine);
        let again = stage.authority.clone().check_sign(with_grant(&grant, CheckSignRequest {})).await;
        assert_eq!(failure(again).kind(), ErrorKind::NotAuthenticated);
        let list = stage.authority.clone().get_tokens(with_grant(&grant, GetTokensRequest::default())).await;
        assert_eq!(failure(list).kind(), ErrorKind::NotAuthenticated);
        assert!(stage.introspect(&other).await.active, "{}: another session goes on", stage.engine);
    }
}

#[tokio::test]
async fn signing_out_with_a_token_leaves_the_token() {
    for stage in stages().await {
        let session = stage.session().await;
        let value = stage.stop_token(&session).await.key.unwrap();
        let request = stage.granted(&value, SignoutRequest {}).await;
        stage.authority.clone().signout(request).await.unwrap();
        assert!(stage.introspect(&value).await.active, "{}", stage.engine);
    }
}

#[tokio::test]
async fn only_administrators_make_accounts() {
    for stage in stages().await {
        let bob = another_account(&stage, "bob").await;
        let request = || CreateAccountRequest {
            login: "carol".into(),
            account_password: PASSWORD.into(),
            password: PASSWORD.into(),
            ..CreateAccountRequest::default()
        };
        let answer = stage.administration.clone().create_account(stage.granted(&bob, request()).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::PermissionDenied);
        let token = stage.stop_token(&stage.session().await).await.key.unwrap();
        let answer = stage.administration.clone().create_account(stage.granted(&token, request()).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::PermissionDenied);
        assert_eq!(failure(stage.signin("carol", PASSWORD).await).kind(), ErrorKind::WrongLogin, "{}", stage.engine);
    }
}

#[tokio::test]
async fn what_is_wrong_about_an_account_is_named() {
    for stage in stages().await {
        let session = stage.session().await;
        let create = async |login: &str, password: &str, name: Option<&str>| {
            let request = CreateAccountRequest {
                login: login.into(),
                account_password: password.into(),
                name: name.map(Into::into),
                administrator: None,
                password: PASSWORD.into(),
            };
            stage.administration.clone().create_account(stage.granted(&session, request).await).await
        };
        assert_invalid(create("", PASSWORD, None).await, "login");
        assert_invalid(create("a b", PASSWORD, None).await, "login");
        for password in ["short", "password1234", "bob@example.org"] {
            assert_invalid(create("bob@example.org", password, None).await, "accountPassword");
        }
        assert_invalid(create("bob", PASSWORD, Some(" ")).await, "name");
        let taken = failure(create("Alice@Example.org", PASSWORD, None).await);
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{}", stage.engine);
        create("bob", PASSWORD, None).await.unwrap();
    }
}

#[tokio::test]
async fn another_password_ends_the_other_sessions_and_no_token() {
    for stage in stages().await {
        let (session, other) = (stage.session().await, stage.session().await);
        let token = stage.stop_token(&session).await.key.unwrap();
        let change = async |password: &str, new: &str| {
            let request = ChangePasswordRequest { password: password.into(), new_password: new.into() };
            stage.account.clone().change_password(stage.granted(&session, request).await).await
        };
        for password in ["short", "password1234", LOGIN] {
            assert_invalid(change(PASSWORD, password).await, "newPassword");
        }
        assert_eq!(failure(change("wrong", "another horse battery").await).kind(), ErrorKind::WrongPassword);
        assert!(stage.introspect(&other).await.active, "{}: nothing was changed", stage.engine);

        change(PASSWORD, "another horse battery").await.unwrap();
        assert!(stage.introspect(&session).await.active, "{}", stage.engine);
        assert!(!stage.introspect(&other).await.active, "{}", stage.engine);
        assert!(stage.introspect(&token).await.active, "{}", stage.engine);
        assert_eq!(failure(stage.signin(LOGIN, PASSWORD).await).kind(), ErrorKind::WrongLogin);
        stage.signin(LOGIN, "another horse battery").await.unwrap();
    }
}

#[tokio::test]
async fn an_account_is_told_to_a_token_that_may_ask() {
    for stage in stages().await {
        let session = stage.session().await;
        let api_list = vec!["users.account.GetUserInfo".into(), STOP.into()];
        let token = CreateTokenRequest { api_list, ..stop_request() };
        let token = stage.create_token(&session, token).await.unwrap().key.unwrap();
        for credential in [&session, &token] {
            let request = stage.granted(credential, GetUserInfoRequest {}).await;
            let info = stage.account.clone().get_user_info(request).await.unwrap().into_inner();
            assert_eq!((info.uid, info.email.as_str(), info.name.as_str()), (1, LOGIN, "Alice"), "{}", stage.engine);
        }
        let narrow = stage.stop_token(&session).await.key.unwrap();
        let answer = stage.account.clone().get_user_info(stage.granted(&narrow, GetUserInfoRequest {}).await).await;
        assert_eq!(failure(answer).kind(), ErrorKind::MissingPermission);
    }
}
