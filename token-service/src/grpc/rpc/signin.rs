use std::sync::LazyLock;

use access::{Credential, CredentialKind, Handle, Origin, PublicPermit};
use jiff::SignedDuration;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use proto::token::v1::rpc::Signin;
use proto::token::v1::{SigninRequest, SigninResponse};
use proto::{ErrorKind, Failure};
use storage::StorageError;
use zeroize::Zeroizing;

use crate::domain::{Account, AccountState, AuditEntry, Guessed, Login, NewSession, SessionState};
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;
use crate::password::HashError;
use crate::store::SessionError;

static ATTEMPTS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::meter("token-service")
        .u64_counter("portcullis.signin.attempts")
        .with_description("Sign-ins by their password; codes of second factors do not count")
        .with_unit("{attempt}")
        .build()
});

/// How long a session waits for the second factor: long enough to find the authenticator.
const PENDING_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug, thiserror::Error)]
enum SigninError {
    #[error("wrong login or password")]
    WrongLogin,
    #[error("the password was not verified")]
    Password(#[from] HashError),
    #[error("the database did not answer")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Refused(#[from] Failure),
}

impl SigninError {
    /// How it is counted.
    fn outcome(&self) -> &'static str {
        match self {
            Self::WrongLogin => "wrong",
            Self::Refused(failure) if failure.kind() == ErrorKind::Throttled => "throttled",
            Self::Refused(_) => "refused",
            Self::Password(_) | Self::Storage(_) => "failed",
        }
    }
}

impl From<SigninError> for Failure {
    fn from(error: SigninError) -> Self {
        match error {
            SigninError::WrongLogin => Self::new(ErrorKind::WrongLogin, error.to_string()),
            SigninError::Password(error) => error.into(),
            SigninError::Storage(error) => storage_failure(error),
            SigninError::Refused(failure) => failure,
        }
    }
}

impl From<SessionError> for SigninError {
    fn from(error: SessionError) -> Self {
        match error {
            // The account was closed, or got another password, while this one was being verified.
            SessionError::Ended => Self::WrongLogin,
            SessionError::Storage(error) => Self::Storage(error),
        }
    }
}

impl Handle<Signin> for Authority {
    async fn handle(&self, permit: &PublicPermit, request: SigninRequest) -> Result<SigninResponse, Failure> {
        let password = Zeroizing::new(request.password);
        let authenticated = authenticate(self, &request.login, password, permit.origin()).await;
        let outcome = authenticated.as_ref().map_or_else(SigninError::outcome, |_| "done");
        ATTEMPTS.add(1, &[KeyValue::new("outcome", outcome)]);
        let account = authenticated?;
        let session = Credential::generate(CredentialKind::Session, &mut rand::rng());
        let now = self.clock.now();
        let opened = NewSession {
            account: account.id,
            password_hash: account.password_hash,
            hash: session.hash(),
            created_at: now,
            expires_at: now + self.policy.session_lifetime,
            pending_until: now + PENDING_LIFETIME.min(self.policy.session_lifetime),
            limit: self.policy.sessions_per_account,
            origin: permit.origin().clone(),
        };
        let (state, ended) = self.store.open_session(&opened).await.map_err(SigninError::from)?;
        if !ended.is_empty() {
            self.leases.confirm(&ended).await;
        }
        let answer =
            SigninResponse { uid: account.id.0, session: session.expose().to_owned(), ..SigninResponse::default() };
        Ok(match state {
            SessionState::Active => SigninResponse { email: account.email, name: account.name, ..answer },
            SessionState::Pending => SigninResponse { is_two_factor_required: true, ..answer },
        })
    }
}

/// The account that signs in. An unknown login takes the same time and gets the same answer as a wrong password.
async fn authenticate(
    authority: &Authority,
    login: &str,
    password: Zeroizing<String>,
    origin: &Origin,
) -> Result<Account, SigninError> {
    let _turn = authority.passwords.turn().await?;
    let login = login.parse::<Login>().ok();
    let guess = authority.guess(Guessed::Login(login.as_ref()), origin).await?;
    let account = match &login {
        Some(login) => authority.store.account_by_login(login).await?,
        None => None,
    };
    let known = account.as_ref().map(|account| account.id);
    let account = account.filter(|account| account.state == AccountState::Active);
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let right = authority.passwords.verify(password, stored).await?;
    if let Some(account) = account.filter(|_| right) {
        authority.forgive(guess).await?;
        return Ok(account);
    }
    // What was typed as a login is not kept: it may be the password.
    let entry = AuditEntry::by_anybody(known, "session.open", origin, authority.clock.now());
    authority.store.note(&entry.failed(ErrorKind::WrongLogin.reason())).await?;
    Err(SigninError::WrongLogin)
}
