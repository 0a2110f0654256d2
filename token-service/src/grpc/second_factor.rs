//! How codes of second factors are looked at: counted as guesses first, and used up by what they are shown for.

use proto::{ErrorKind, Failure};

use super::Authority;
use super::authority::storage_failure;
use super::guess::Guess;
use crate::domain::{
    AuditEntry, Code, CodeError, FactorSecret, FactorState, Guessed, RecoveryCode, RecoveryHash, Session, StoredFactor,
    TimeCode, UsedCode,
};
use crate::second_factor::{SecondFactorKey, UnsealError};
use crate::store::SecondFactorError;

/// A code that was shown, counted as a wrong guess until it turns out to be right.
#[must_use = "a right code is to be forgiven"]
pub(super) struct Shown {
    guess: Guess,
    /// What is to be used up; nothing where it is wrong already.
    used: Option<UsedCode>,
}

impl Shown {
    /// What is to be used up.
    pub(super) fn right(&self) -> Result<&UsedCode, SecondFactorError> {
        self.used.as_ref().ok_or(SecondFactorError::WrongCode)
    }
}

impl Authority {
    /// The key that seals secrets.
    pub(super) fn second_factor_key(&self) -> Result<&SecondFactorKey, Failure> {
        self.second_factor_key.as_ref().ok_or_else(|| {
            let text = "two-factor authentication is not configured: the operator has to set second_factor_key_file";
            Failure::new(ErrorKind::Unavailable, text)
        })
    }

    /// Looks at a code of an account whose second factor is on.
    pub(super) async fn show(&self, session: &Session, code: Code) -> Result<Shown, Failure> {
        let factor = self.factor(session, FactorState::Active).await?.ok_or(SecondFactorError::NotOn)?;
        match code {
            Code::Time(code) => self.look_at(session, factor, &code).await,
            Code::Recovery(hash) => {
                let guess = self.guess(Guessed::RecoveryCode(session), &session.origin).await?;
                Ok(Shown { guess, used: Some(UsedCode::Recovery(hash)) })
            }
        }
    }

    /// Looks at the first code of a second factor that is to be turned on.
    pub(super) async fn show_first(&self, session: &Session, code: &TimeCode) -> Result<Shown, Failure> {
        let factor = self.factor(session, FactorState::Pending).await?.ok_or(SecondFactorError::NotBegun)?;
        self.look_at(session, factor, code).await
    }

    async fn look_at(&self, session: &Session, factor: StoredFactor, code: &TimeCode) -> Result<Shown, Failure> {
        let secret = self.open(session, &factor)?;
        let guess = self.guess(Guessed::Code(session), &session.origin).await?;
        let step = secret.step(code, self.clock.now(), factor.last_step);
        Ok(Shown { guess, used: step.map(|step| UsedCode::Time { step, sealed: factor.sealed }) })
    }

    /// What came of a code that was shown: a wrong one stands in the audit log, a right one costs nobody anything.
    pub(super) async fn judge<T>(
        &self,
        shown: Shown,
        session: &Session,
        result: Result<T, SecondFactorError>,
    ) -> Result<T, Failure> {
        match result {
            Ok(done) => {
                // What was done is done, and may be told only now: recovery codes are.
                if let Err(error) = self.forgive(shown.guess).await {
                    tracing::warn!(%error, account.id = session.account.0, "a right code was not forgiven");
                }
                Ok(done)
            }
            Err(SecondFactorError::WrongCode) => {
                let object = format!("account {}", session.account);
                let entry = AuditEntry::by_session(session, "second_factor.verify", object, self.clock.now());
                self.note(&entry.failed(ErrorKind::WrongSecondFactor.reason())).await?;
                Err(SecondFactorError::WrongCode.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn factor(&self, session: &Session, state: FactorState) -> Result<Option<StoredFactor>, Failure> {
        let factor = self.store.second_factor(session.account).await.map_err(storage_failure)?;
        Ok(factor.filter(|factor| factor.state == state))
    }

    fn open(&self, session: &Session, factor: &StoredFactor) -> Result<FactorSecret, Failure> {
        let opened = self.second_factor_key()?.open(session.account, &factor.sealed);
        opened.map_err(|error: UnsealError| {
            tracing::error!(account.id = session.account.0, "a second factor does not open: is the key another one?");
            let text = "the second factor cannot be verified: ask the operator, or use a recovery code";
            Failure::new(ErrorKind::Unavailable, text).because(error)
        })
    }
}

/// A code of either kind.
pub(super) fn code(text: &str) -> Result<Code, Failure> {
    Ok(text.parse::<Code>()?)
}

/// New recovery codes, to be told once, and what is kept of them.
pub(super) fn recovery_codes() -> (Vec<RecoveryCode>, Vec<RecoveryHash>) {
    let codes = RecoveryCode::generate_all(&mut rand::rng());
    let hashes = codes.iter().map(RecoveryCode::hash).collect();
    (codes, hashes)
}

pub(super) fn told(codes: &[RecoveryCode]) -> Vec<String> {
    codes.iter().map(|code| code.expose().to_owned()).collect()
}

impl From<CodeError> for Failure {
    fn from(error: CodeError) -> Self {
        Self::invalid("code", error)
    }
}

impl From<SecondFactorError> for Failure {
    fn from(error: SecondFactorError) -> Self {
        match error {
            SecondFactorError::AlreadyOn => Self::new(ErrorKind::AlreadyExists, error.to_string()),
            SecondFactorError::NotBegun => {
                Self::new(ErrorKind::ObjectNotFound, "there is no second factor to confirm: call Enable2FA first")
            }
            SecondFactorError::NotOn => Self::new(ErrorKind::ObjectNotFound, error.to_string()),
            SecondFactorError::WrongCode => {
                Self::new(ErrorKind::WrongSecondFactor, error.to_string()).with("parameter", "code")
            }
            SecondFactorError::Session(error) => error.into(),
        }
    }
}
