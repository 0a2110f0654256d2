//! Passwords are hashed with argon2id by a few threads of their own: each hash takes 19 MiB for some 20 ms, so a flood of
//! sign-ins must wait in line instead of taking the memory. On the runtime's blocking threads every one of those would keep
//! its share of memory for later.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use proto::{ErrorKind, Failure};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::domain::NewPassword;

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long a password may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many passwords may wait.
const QUEUE: usize = 4096;

type Job = Box<dyn FnOnce() + Send>;

/// Hashes and verifies passwords, a bounded number at a time.
#[derive(Clone)]
pub(crate) struct Passwords {
    queue: mpsc::Sender<Job>,
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
    #[error("a hashing thread does not start")]
    Thread(#[from] std::io::Error),
    #[error("a hashing thread panicked")]
    Panicked(#[from] oneshot::error::RecvError),
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
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..at_once {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name("password".to_owned()).spawn(move || work_off(&jobs))?;
        }
        Ok(Self { queue, decoy: decoy.into() })
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
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Who has left in the meantime needs no answer.
            if !reply.is_closed() {
                let _ = reply.send(work());
            }
        });
        let answered = tokio::time::timeout(PATIENCE, async {
            self.queue.send(job).await.map_err(|_| HashError::Busy)?;
            answer.await?
        });
        answered.await.map_err(|_| HashError::Busy)?
    }
}

/// The life of a hashing thread: as long as there is somebody to ask it.
fn work_off(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a password could not be hashed");
        }
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
