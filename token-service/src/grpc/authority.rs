use std::sync::Arc;

use access::lease::Refusal;
use access::{AccountId, AccountPermit, CredentialId, GrantedKind, ServicePermit, SessionPermit};
use jiff::SignedDuration;
use lifecycle::Clock;
use proto::{Catalog, ErrorKind, Failure};
use storage::StorageError;
use zeroize::Zeroizing;

use crate::domain::{
    AcceptedPassword, Account, AccountChange, AuditEntry, Guessed, NewPassword, PasswordRules, Session, Throttle,
};
use crate::grpc::introspected::Introspections;
use crate::lease::{Confirmed, Leases};
use crate::password::Passwords;
use crate::second_factor::SecondFactorKey;
use crate::signing_keys::SigningKeys;
use crate::store::{AdministrationError, EndSessionsError, SessionError, Store, TokenError};

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Authority(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) passwords: Passwords,
    pub(crate) leases: Leases,
    pub(crate) introspections: Arc<Introspections>,
    pub(crate) signing_keys: SigningKeys,
    /// What seals the secrets of second factors, where the operator has given it.
    pub(crate) second_factor_key: Option<SecondFactorKey>,
    /// What authenticators call this installation.
    pub(crate) second_factor_issuer: String,
    pub(crate) clock: Clock,
    pub(crate) catalog: &'static Catalog,
    pub(crate) policy: Policy,
}

/// How long things last, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) grant_lifetime: SignedDuration,
    pub(crate) session_lifetime: SignedDuration,
    pub(crate) sessions_per_account: i64,
    pub(crate) tokens_per_account: i64,
    /// How long before its expiry a token is said to expire soon.
    pub(crate) expiry_notice: SignedDuration,
    pub(crate) throttle: Throttle,
    pub(crate) passwords: PasswordRules,
}

impl std::ops::Deref for Authority {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Authority {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The session of a call, alive at this moment: its grant is as old as the introspection that made it.
    pub(crate) async fn session(&self, permit: &SessionPermit) -> Result<Session, Failure> {
        let session = Session { id: permit.session(), account: permit.account(), origin: permit.origin().clone() };
        let credential = CredentialId { kind: GrantedKind::Session, number: session.id };
        self.check(credential, session.account).await?;
        Ok(session)
    }

    /// The credential of a call, alive at this moment and not changed since its grant was made: the grant may be of a value that was
    /// replaced, or list a method that was taken away.
    pub(crate) async fn credential(&self, permit: &AccountPermit) -> Result<CredentialId, Failure> {
        let (credential, account) = (permit.credential(), permit.account());
        self.check(credential, account).await?;
        let changed = self.store.is_changed_since(credential, account, permit.as_of()).await;
        if changed.map_err(storage_failure)? { Err(Refusal::Stale.into()) } else { Ok(credential) }
    }

    async fn check(&self, credential: CredentialId, account: AccountId) -> Result<(), Failure> {
        let alive = self.store.is_alive(credential, account, self.clock.now()).await;
        if alive.map_err(storage_failure)? { Ok(()) } else { Err(not_authenticated()) }
    }

    /// The session of a call whose password confirms it.
    pub(crate) async fn confirmed(&self, permit: &SessionPermit, password: String) -> Result<Session, Failure> {
        let password = Zeroizing::new(password);
        let _turn = self.passwords.confirming_turn().await?;
        let session = self.session(permit).await?;
        let guess = self.guess(Guessed::Password(&session), &session.origin).await?;
        let stored = self.store.password_hash(session.account).await.map_err(storage_failure)?;
        if self.passwords.verify(password, stored).await? {
            self.forgive(guess).await?;
            Ok(session)
        } else {
            let object = format!("account {}", session.account);
            let entry = AuditEntry::by_session(&session, "password.confirm", object, self.clock.now());
            self.note(&entry.failed(ErrorKind::WrongPassword.reason())).await?;
            Err(Failure::new(ErrorKind::WrongPassword, "the password is wrong").with("parameter", "password"))
        }
    }
}

impl Authority {
    /// Changes an account for an administrator's session whose password confirms it.
    pub(crate) async fn administer(
        &self,
        session: &Session,
        uid: i64,
        change: &AccountChange,
    ) -> Result<Confirmed, Failure> {
        let changed = self.store.administer(AccountId(uid), change, Some(session), self.clock.now()).await?;
        tracing::info!(account.id = uid, by = session.account.0, action = change.action(), "an account was changed");
        Ok(self.leases.confirm(&[changed]).await)
    }

    /// Waits until what another has changed is confirmed: who finds nothing left to change must not be told earlier than that one.
    pub(crate) async fn confirmed_by_others(&self) -> Result<Confirmed, Failure> {
        self.leases.confirm_others().await.map_err(storage_failure)
    }

    /// An account that a call names.
    pub(crate) async fn account(&self, account: AccountId) -> Result<Account, Failure> {
        let found = self.store.account(account).await.map_err(storage_failure)?;
        found.ok_or_else(|| AdministrationError::NotFound(account).into())
    }

    /// The password, where the rules allow it.
    pub(crate) fn accept(&self, password: String, parameter: &str, login: &str) -> Result<AcceptedPassword, Failure> {
        let accepted = self.policy.passwords.accept(&NewPassword::from(password), login);
        accepted.map_err(|error| Failure::invalid(parameter, error))
    }

    /// Appends to the audit log what changes nothing else.
    pub(crate) async fn note(&self, entry: &AuditEntry) -> Result<(), Failure> {
        self.store.note(entry).await.map_err(storage_failure)
    }
}

pub(crate) fn not_authenticated() -> Failure {
    Failure::new(ErrorKind::NotAuthenticated, "not authenticated")
}

/// A service that names itself is the one that its key belongs to (RFC 6749, section 2.3).
pub(crate) fn named(permit: &ServicePermit, client_id: &str) -> Result<(), Failure> {
    if client_id.is_empty() || client_id == permit.name() {
        return Ok(());
    }
    Err(Failure::new(ErrorKind::NotAuthenticated, "the service key is another service's"))
}

/// An outage of the database is an outage, never an answer.
pub(crate) fn storage_failure(error: StorageError) -> Failure {
    if error.is_unavailable() { Failure::unavailable("the token authority", error) } else { Failure::internal(error) }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Ended => not_authenticated(),
            SessionError::Storage(error) => storage_failure(error),
        }
    }
}

impl From<EndSessionsError> for Failure {
    fn from(error: EndSessionsError) -> Self {
        match error {
            EndSessionsError::NotFound(_) => Self::new(ErrorKind::ObjectNotFound, error.to_string()),
            EndSessionsError::Session(error) => error.into(),
        }
    }
}

impl From<AdministrationError> for Failure {
    fn from(error: AdministrationError) -> Self {
        match error {
            AdministrationError::NotFound(_) => Self::new(ErrorKind::ObjectNotFound, error.to_string()),
            AdministrationError::LastAdministrator => {
                Self::invalid("uid", "must not be the last administrator's who can sign in")
            }
            AdministrationError::Session(error) => error.into(),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::SessionEnded => not_authenticated(),
            TokenError::Limit(_) => {
                Self::new(ErrorKind::TokenLimit, format!("{error}: delete one that is no longer needed"))
            }
            TokenError::NotFound(_) => Self::new(ErrorKind::ObjectNotFound, error.to_string()),
            TokenError::ExpiredOverlap => Self::invalid(
                "overlapSeconds",
                "must be 0: the token has expired, and its value of before does not come back",
            ),
            TokenError::Expired => {
                Self::invalid("expiresAt", "must be given, in the future, since the token has expired")
            }
            TokenError::Storage(error) => storage_failure(error),
        }
    }
}
