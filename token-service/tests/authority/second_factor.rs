//! Two-factor authentication.

mod at_once;
mod guessing;

use std::time::Duration;

use futures::future::join_all;
use proto::ErrorKind;
use proto::token::v1::{
    AccountInfo, ChangePasswordRequest, Confirm2FaRequest, Disable2FaRequest, Enable2FaRequest, Enable2FaResponse,
    Get2FaStatusRequest, GetAccountsRequest, GetAuditLogRequest, GetSessionsRequest, RegenerateRecoveryCodesRequest,
    Reset2FaRequest, SignoutSessionsRequest, Verify2FaCodeRequest, Verify2FaCodeResponse,
};
use storage::{Database, DatabaseOptions};
use token_service::{Config, SecondFactorKey, reset_second_factor};
use tonic::Status;
use totp_rs::{Builder, Secret};

use crate::accounts::{another_account, another_account_of};
use crate::stage::{LOGIN, PASSWORD, Stage, assert_invalid, failure, timed_stages};

const STEP: Duration = Duration::from_secs(30);

/// An account's authenticator, by the stage's time.
pub(crate) struct Authenticator<'a> {
    stage: &'a Stage,
    secret: String,
}

impl Authenticator<'_> {
    /// What it shows, so many steps from now.
    pub(crate) fn code(&self, steps: i64) -> String {
        let now = self.stage.now().as_second() + steps * 30;
        let secret = Secret::try_from_base32(&self.secret).unwrap();
        let totp = Builder::new().with_secret(secret).build().unwrap();
        totp.generate(u64::try_from(now).unwrap()).to_string()
    }
}

async fn enable(stage: &Stage, session: &str, password: &str) -> Result<Enable2FaResponse, Status> {
    let request = stage.granted(session, Enable2FaRequest { password: password.into() }).await;
    Ok(stage.second_factor.clone().enable2_fa(request).await?.into_inner())
}

async fn confirm(stage: &Stage, session: &str, code: &str) -> Result<Vec<String>, Status> {
    let request = stage.granted(session, Confirm2FaRequest { code: code.into() }).await;
    Ok(stage.second_factor.clone().confirm2_fa(request).await?.into_inner().recovery_codes)
}

async fn disable(stage: &Stage, session: &str, password: &str, code: &str) -> Result<(), Status> {
    let request = Disable2FaRequest { password: password.into(), code: code.into() };
    let request = stage.granted(session, request).await;
    stage.second_factor.clone().disable2_fa(request).await.map(drop)
}

async fn regenerate(stage: &Stage, session: &str, code: &str) -> Result<Vec<String>, Status> {
    let request = RegenerateRecoveryCodesRequest { password: PASSWORD.into(), code: code.into() };
    let request = stage.granted(session, request).await;
    Ok(stage.second_factor.clone().regenerate_recovery_codes(request).await?.into_inner().recovery_codes)
}

async fn status(stage: &Stage, session: &str) -> (bool, u32) {
    let request = stage.granted(session, Get2FaStatusRequest {}).await;
    let status = stage.second_factor.clone().get2_fa_status(request).await.unwrap().into_inner();
    (status.enabled, status.recovery_codes_left)
}

pub(crate) async fn verify(stage: &Stage, session: &str, code: &str) -> Result<Verify2FaCodeResponse, Status> {
    let request = Verify2FaCodeRequest { session: session.into(), code: code.into() };
    Ok(stage.authority.clone().verify2_fa_code(request).await?.into_inner())
}

/// The session of a sign-in that waits for the second factor.
pub(crate) async fn pending(stage: &Stage, login: &str) -> String {
    let answer = stage.signin(login, PASSWORD).await.unwrap();
    assert!(answer.is_two_factor_required, "{}", stage.engine);
    assert_eq!((answer.email.as_str(), answer.name.as_str()), ("", ""), "nothing is told before");
    answer.session
}

/// Turns the second factor on with the code of the step before, and answers the authenticator and the recovery codes.
pub(crate) async fn enrolled<'a>(stage: &'a Stage, session: &str) -> (Authenticator<'a>, Vec<String>) {
    let answer = enable(stage, session, PASSWORD).await.unwrap();
    let authenticator = Authenticator { stage, secret: answer.secret };
    let codes = confirm(stage, session, &authenticator.code(-1)).await.unwrap();
    (authenticator, codes)
}

async fn account(stage: &Stage, administrator: &str, login: &str) -> AccountInfo {
    let request = GetAccountsRequest { search: Some(login.into()), ..GetAccountsRequest::default() };
    let request = stage.granted(administrator, request).await;
    stage.administration.clone().get_accounts(request).await.unwrap().into_inner().accounts.remove(0)
}

async fn audit(stage: &Stage, session: &str) -> Vec<String> {
    let request = stage.granted(session, GetAuditLogRequest::default()).await;
    let entries = stage.account.clone().get_audit_log(request).await.unwrap().into_inner().entries;
    entries.iter().map(|e| format!("{} {} {}", e.action, e.object, e.outcome)).collect()
}

#[tokio::test]
async fn a_second_factor_is_on_from_its_first_right_code_and_off_again_with_another() {
    for stage in timed_stages(|_| {}).await {
        let (session, other) = (stage.session().await, stage.session().await);
        let token = stage.stop_token(&session).await.key.unwrap();
        assert_eq!(failure(enable(&stage, &session, "wrong").await).kind(), ErrorKind::WrongPassword);
        assert_eq!(failure(confirm(&stage, &session, "123456").await).kind(), ErrorKind::ObjectNotFound);
        let abandoned = enable(&stage, &session, PASSWORD).await.unwrap();
        let answer = enable(&stage, &session, PASSWORD).await.unwrap();
        assert_ne!(answer.secret, abandoned.secret);
        assert!(answer.uri.starts_with("otpauth://totp/Portcullis:alice%40example.org?secret="), "{}", answer.uri);
        assert!(answer.uri.contains(&answer.secret));
        assert!(!stage.signin(LOGIN, PASSWORD).await.unwrap().is_two_factor_required, "it is not confirmed yet");
        assert_eq!(status(&stage, &session).await, (false, 0));

        let authenticator = Authenticator { stage: &stage, secret: answer.secret };
        let old = Authenticator { stage: &stage, secret: abandoned.secret }.code(0);
        assert_eq!(failure(confirm(&stage, &session, &old).await).kind(), ErrorKind::WrongSecondFactor);
        assert_invalid(confirm(&stage, &session, "0123-4567-89ab-cdef").await, "code");
        let codes = confirm(&stage, &session, &authenticator.code(-1)).await.unwrap();
        assert_eq!(codes.len(), 10);
        assert_eq!(status(&stage, &session).await, (true, 10), "{}", stage.engine);
        assert!(account(&stage, &session, "alice").await.two_factor);
        assert!(!stage.introspect(&other).await.active, "{}: it has shown no second factor", stage.engine);
        assert!(stage.introspect(&token).await.active, "{}: tokens skip it", stage.engine);
        assert_eq!(failure(enable(&stage, &session, PASSWORD).await).kind(), ErrorKind::AlreadyExists);
        assert_eq!(failure(confirm(&stage, &session, &authenticator.code(0)).await).kind(), ErrorKind::ObjectNotFound);

        let waiting = pending(&stage, LOGIN).await;
        let answer = verify(&stage, &waiting, &authenticator.code(0)).await.unwrap();
        assert_eq!((answer.uid, answer.session == waiting), (1, true));
        assert_eq!((answer.email.as_str(), answer.name.as_str()), (LOGIN, "Alice"));
        assert!(stage.introspect(&waiting).await.active, "{}", stage.engine);
        assert_eq!(failure(verify(&stage, &waiting, &authenticator.code(1)).await).kind(), ErrorKind::NotAuthenticated);

        let code = authenticator.code(1);
        assert_eq!(failure(disable(&stage, &waiting, "wrong", &code).await).kind(), ErrorKind::WrongPassword);
        assert_eq!(failure(disable(&stage, &waiting, PASSWORD, &old).await).kind(), ErrorKind::WrongSecondFactor);
        disable(&stage, &waiting, PASSWORD, &code).await.unwrap();
        assert_eq!(status(&stage, &waiting).await, (false, 0), "{}", stage.engine);
        assert!(!stage.signin(LOGIN, PASSWORD).await.unwrap().is_two_factor_required);
        assert_eq!(failure(disable(&stage, &waiting, PASSWORD, &code).await).kind(), ErrorKind::ObjectNotFound);
    }
}

#[tokio::test]
async fn a_session_that_waits_opens_nothing_and_ends_by_itself() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, _) = enrolled(&stage, &session).await;
        let waiting = pending(&stage, LOGIN).await;
        assert!(!stage.introspect(&waiting).await.active, "{}", stage.engine);
        let request = stage.granted(&session, GetSessionsRequest {}).await;
        let listed = stage.authority.clone().get_sessions(request).await.unwrap().into_inner().sessions;
        assert_eq!(listed.len(), 1, "{}: it is not listed", stage.engine);
        for stranger in [&session, "nonsense", ""] {
            let answer = verify(&stage, stranger, &authenticator.code(0)).await;
            assert_eq!(failure(answer).kind(), ErrorKind::NotAuthenticated, "{}: {stranger}", stage.engine);
        }
        for text in ["", "12345", "1234567", "abcdef", "0123-4567-89ab"] {
            assert_invalid(verify(&stage, &waiting, text).await, "code");
        }

        stage.advance(Duration::from_secs(5 * 60));
        let late = verify(&stage, &waiting, &authenticator.code(0)).await;
        assert_eq!(failure(late).kind(), ErrorKind::NotAuthenticated, "{}: five minutes", stage.engine);
        let waiting = pending(&stage, LOGIN).await;
        let request = SignoutSessionsRequest { ids: Vec::new(), all: Some(true) };
        stage.authority.clone().signout_sessions(stage.granted(&session, request).await).await.unwrap();
        let ended = verify(&stage, &waiting, &authenticator.code(0)).await;
        assert_eq!(failure(ended).kind(), ErrorKind::NotAuthenticated, "{}: it ends with the others", stage.engine);
        let waiting = pending(&stage, LOGIN).await;
        let new_password = "another horse battery".to_owned();
        let request = ChangePasswordRequest { password: PASSWORD.into(), new_password };
        stage.account.clone().change_password(stage.granted(&session, request).await).await.unwrap();
        let ended = verify(&stage, &waiting, &authenticator.code(0)).await;
        assert_eq!(failure(ended).kind(), ErrorKind::NotAuthenticated, "{}: and with the password", stage.engine);
    }
}

#[tokio::test]
async fn sessions_are_bounded_whether_they_wait_or_not() {
    for stage in timed_stages(|config| config.sessions_per_account = 2).await {
        let session = stage.session().await;
        let (authenticator, codes) = enrolled(&stage, &session).await;
        let mut waiting = Vec::new();
        for _ in 0..3 {
            stage.advance(Duration::from_secs(1));
            waiting.push(pending(&stage, LOGIN).await);
        }
        let forgotten = verify(&stage, &waiting[0], &codes[0]).await;
        assert_eq!(failure(forgotten).kind(), ErrorKind::NotAuthenticated, "{}: one too many", stage.engine);
        assert!(stage.introspect(&session).await.active, "{}: those that wait end no other", stage.engine);
        verify(&stage, &waiting[1], &codes[0]).await.unwrap();
        stage.advance(STEP);
        verify(&stage, &waiting[2], &authenticator.code(0)).await.unwrap();
        assert!(!stage.introspect(&session).await.active, "{}: used longest ago", stage.engine);
        let open = [&waiting[1], &waiting[2]].map(|value| stage.introspect(value));
        assert!(join_all(open).await.iter().all(|answer| answer.active), "{}", stage.engine);
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_none_before_it_afterwards() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, _) = enrolled(&stage, &session).await;
        let used = authenticator.code(-1);
        let waiting = pending(&stage, LOGIN).await;
        assert_eq!(
            failure(verify(&stage, &waiting, &used).await).kind(),
            ErrorKind::WrongSecondFactor,
            "the first one"
        );
        let next = authenticator.code(1);
        verify(&stage, &waiting, &next).await.unwrap();
        let waiting = pending(&stage, LOGIN).await;
        for (what, code) in [("again", &next), ("of the step before", &authenticator.code(0))] {
            let failure = failure(verify(&stage, &waiting, code).await);
            assert_eq!(failure.kind(), ErrorKind::WrongSecondFactor, "{}: {what}", stage.engine);
            assert_eq!(failure.detail("parameter"), Some("code"));
        }
        stage.advance(STEP);
        assert_eq!(failure(verify(&stage, &waiting, &next).await).kind(), ErrorKind::WrongSecondFactor);
        verify(&stage, &waiting, &authenticator.code(1)).await.unwrap();
    }
}

#[tokio::test]
async fn recovery_codes_stand_in_once_each_until_others_replace_them() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, codes) = enrolled(&stage, &session).await;
        let waiting = pending(&stage, LOGIN).await;
        verify(&stage, &waiting, &codes[0].to_uppercase().replace('-', " ")).await.unwrap();
        assert_eq!(status(&stage, &session).await, (true, 9), "{}", stage.engine);
        let waiting = pending(&stage, LOGIN).await;
        let again = verify(&stage, &waiting, &codes[0]).await;
        assert_eq!(failure(again).kind(), ErrorKind::WrongSecondFactor, "{}", stage.engine);

        let used = regenerate(&stage, &session, &authenticator.code(-1)).await;
        assert_eq!(failure(used).kind(), ErrorKind::WrongSecondFactor, "{}: nothing is changed", stage.engine);
        let others = regenerate(&stage, &session, &authenticator.code(0)).await.unwrap();
        assert_eq!(status(&stage, &session).await, (true, 10));
        let replaced = verify(&stage, &waiting, &codes[1]).await;
        assert_eq!(failure(replaced).kind(), ErrorKind::WrongSecondFactor, "{}", stage.engine);
        verify(&stage, &waiting, &others[1]).await.unwrap();
        disable(&stage, &session, PASSWORD, &others[2]).await.unwrap();
        assert_eq!(status(&stage, &session).await, (false, 0));
        let log = audit(&stage, &session).await;
        let expected = [
            "second_factor.disable account 1 SUCCESS",
            "recovery_code.use account 1 SUCCESS",
            "session.open session 3 SUCCESS",
            "recovery_code.use account 1 SUCCESS",
            "second_factor.verify account 1 WRONG_SECOND_FACTOR",
            "recovery_code.regenerate account 1 SUCCESS",
            "second_factor.verify account 1 WRONG_SECOND_FACTOR",
            "second_factor.verify account 1 WRONG_SECOND_FACTOR",
            "session.begin session 3 SUCCESS",
            "session.open session 2 SUCCESS",
            "recovery_code.use account 1 SUCCESS",
            "session.begin session 2 SUCCESS",
            "second_factor.enable account 1 SUCCESS",
            "second_factor.begin account 1 SUCCESS",
            "session.open session 1 SUCCESS",
            "account.create account 1 SUCCESS",
        ];
        assert_eq!(log, expected, "{}", stage.engine);
    }
}

#[tokio::test]
async fn an_administrator_and_the_operator_help_whoever_has_lost_the_second_factor() {
    for stage in timed_stages(|_| {}).await {
        let bob = another_account(&stage, "bob").await;
        let administrator = stage.session().await;
        enrolled(&stage, &bob).await;
        let uid = account(&stage, &administrator, "bob").await.uid;
        let reset = async |session: &str, uid: i64| {
            let request = stage.granted(session, Reset2FaRequest { uid, password: PASSWORD.into() }).await;
            stage.administration.clone().reset2_fa(request).await.map(drop)
        };
        assert_eq!(failure(reset(&bob, uid).await).kind(), ErrorKind::PermissionDenied);
        assert_eq!(failure(reset(&administrator, 999).await).kind(), ErrorKind::ObjectNotFound);
        assert_invalid(reset(&administrator, 1).await, "uid");
        let waiting = pending(&stage, "bob").await;
        reset(&administrator, uid).await.unwrap();
        assert!(!account(&stage, &administrator, "bob").await.two_factor, "{}", stage.engine);
        assert!(!stage.introspect(&bob).await.active, "{}: its sessions end", stage.engine);
        assert_eq!(failure(verify(&stage, &waiting, "123456").await).kind(), ErrorKind::NotAuthenticated);
        let answer = stage.signin("bob", PASSWORD).await.unwrap();
        assert!(!answer.is_two_factor_required, "{}", stage.engine);
        assert!(audit(&stage, &answer.session).await.contains(&"second_factor.reset account 2 SUCCESS".to_owned()));

        enrolled(&stage, &administrator).await;
        reset_second_factor(&stage.config, &LOGIN.parse().unwrap()).await.unwrap();
        let answer = stage.signin(LOGIN, PASSWORD).await.unwrap();
        assert!(!answer.is_two_factor_required, "{}", stage.engine);
        reset_second_factor(&stage.config, &"nobody".parse().unwrap()).await.unwrap_err();
    }
}

#[tokio::test]
async fn without_the_key_nobody_gets_in_by_a_code_and_recovery_codes_still_help() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, codes) = enrolled(&stage, &session).await;
        let another_key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(another_key.path(), SecondFactorKey::generate(&mut rand::rng()).to_base64().as_bytes()).unwrap();
        for (key, named, code) in
            [(None, "second_factor_key_file", &codes[0]), (Some(another_key.path().to_owned()), "operator", &codes[1])]
        {
            let config = Config { second_factor_key_file: key.clone(), ..stage.config.clone() };
            let clock = lifecycle::Clock::system();
            let other = Stage::serve(stage.engine, config, clock, &stage.service_key, None).await;
            let waiting = pending(&other, LOGIN).await;
            let closed = failure(verify(&other, &waiting, &authenticator.code(0)).await);
            assert_eq!(closed.kind(), ErrorKind::Unavailable, "{}: {key:?}", stage.engine);
            assert!(closed.message().contains(named), "{closed:?}");
            assert!(!other.introspect(&waiting).await.active);
            verify(&other, &waiting, code).await.unwrap();
            if key.is_none() {
                let bob = another_account_of(&other, &waiting, "bob").await;
                let closed = failure(enable(&other, &bob, PASSWORD).await);
                assert_eq!(closed.kind(), ErrorKind::Unavailable);
                assert!(closed.message().contains(named), "{closed:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_database_holds_neither_the_secret_nor_a_recovery_code() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, codes) = enrolled(&stage, &session).await;
        let secret = Secret::try_from_base32(&authenticator.secret).unwrap();
        let database = Database::open(&stage.config.database_url, &DatabaseOptions::default()).await.unwrap();
        let kept: Vec<u8> =
            sqlx::query_scalar("select secret from second_factor").fetch_one(database.reader()).await.unwrap();
        assert!(!kept.windows(20).any(|part| part == secret.as_bytes()), "{}", stage.engine);
        assert_eq!(kept.len(), 24 + 20 + 16, "{}: a nonce, the secret, a tag", stage.engine);
        let hashes: Vec<Vec<u8>> =
            sqlx::query_scalar("select hash from recovery_code").fetch_all(database.reader()).await.unwrap();
        assert_eq!(hashes.len(), 10);
        assert!(hashes.iter().all(|hash| hash.len() == 32 && !codes.iter().any(|code| code.as_bytes() == &hash[..])));
        let mut exported = Vec::new();
        token_service::export_audit(&stage.config.database_url, &mut exported).await.unwrap();
        let exported = String::from_utf8(exported).unwrap();
        for secret in codes.iter().chain([&authenticator.secret]) {
            assert!(!exported.contains(secret.as_str()), "{}", stage.engine);
        }
    }
}

#[tokio::test]
async fn whoever_is_kept_out_by_wrong_codes_gets_in_by_a_recovery_code() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, codes) = enrolled(&stage, &session).await;
        let waiting = pending(&stage, LOGIN).await;
        let mut kind = ErrorKind::WrongSecondFactor;
        while kind != ErrorKind::Throttled {
            assert_eq!(kind, ErrorKind::WrongSecondFactor, "{}", stage.engine);
            kind = failure(verify(&stage, &waiting, &authenticator.code(-9)).await).kind();
        }
        let right = verify(&stage, &waiting, &authenticator.code(1)).await;
        assert_eq!(failure(right).kind(), ErrorKind::Throttled, "{}", stage.engine);
        verify(&stage, &waiting, &codes[0]).await.unwrap();
    }
}
