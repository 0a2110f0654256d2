//! Passwords are hashed with argon2id on a bounded pool: each hash takes 19 MiB for some 20 ms, so a flood of sign-ins
//! must wait in line instead of taking the memory.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use proto::{ErrorKind, Failure};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::domain::NewPassword;

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long a password may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hashes and verifies passwords, a bounded number at a time.
#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of a password that nobody has: what an unknown login is verified against, to take the same time.
    decoy: Arc<str>,
}

/// Why a password was neither accepted nor refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many passwords are being verified")]
    Busy,
    #[error("argon2id failed")]
    Argon2(#[from] argon2::password_hash::Error),
    #[error("the stored password hash is unreadable")]
    Stored(#[source] argon2::password_hash::phc::Error),
    #[error("the hashing task ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl From<HashError> for Failure {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => {
                Self::new(ErrorKind::Unavailable, "too many sign-ins at this moment, try again").because(error)
            }
            _ => Self::internal(error),
        }
    }
}

impl Passwords {
    /// A pool that hashes `at_once` passwords at a time.
    pub(crate) fn new(at_once: usize) -> Result<Self, HashError> {
        let mut nobody = Zeroizing::new([0_u8; 32]);
        rand::Rng::fill_bytes(&mut rand::rng(), nobody.as_mut());
        let decoy = hash(nobody.as_ref())?;
        Ok(Self { turns: Arc::new(Semaphore::new(at_once)), decoy: decoy.into() })
    }

    /// The PHC string to store for a new password.
    pub(crate) async fn hash(&self, password: NewPassword) -> Result<String, HashError> {
        self.in_turn(move || hash(password.expose().as_bytes())).await
    }

    /// Whether the password is the one that was stored. Where none was, the answer is no, after the same time.
    pub(crate) async fn verify(&self, password: Zeroizing<String>, stored: Option<String>) -> Result<bool, HashError> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let right = self.in_turn(move || verify(password.as_bytes(), &stored)).await?;
        Ok(right && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| HashError::Busy)?.map_err(|_| HashError::Busy)?;
        // The turn goes into the task: a caller that leaves does not make room while its hash still runs.
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await?
    }
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("OWASP's parameters are in argon2's range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &[u8]) -> Result<String, HashError> {
    Ok(argon2id().hash_password(password)?.to_string())
}

fn verify(password: &[u8], stored: &str) -> Result<bool, HashError> {
    let stored = PasswordHash::new(stored).map_err(HashError::Stored)?;
    match argon2id().verify_password(password, &stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(password: &str) -> Zeroizing<String> {
        Zeroizing::new(password.to_owned())
    }

    #[tokio::test]
    async fn only_the_stored_password_is_right() {
        let passwords = Passwords::new(1).unwrap();
        let stored = passwords.hash("correct horse battery".to_owned().try_into().unwrap()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify(text("correct horse battery"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(text("correct horse batterz"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(text(""), Some(stored)).await.unwrap());
        assert!(!passwords.verify(text("correct horse battery"), None).await.unwrap());
        assert!(matches!(passwords.verify(text("x"), Some("nonsense".into())).await, Err(HashError::Stored(_))));
    }
}
