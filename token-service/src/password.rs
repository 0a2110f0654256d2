//! Passwords are hashed with argon2id by a few threads of their own: each hash takes 19 MiB for some 20 ms, so a flood of
//! sign-ins must wait in line instead of taking the memory. Each thread has one piece of memory for all its hashes, and gives
//! way to the threads that answer calls: a flood must not slow introspection down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use proto::{ErrorKind, Failure};
use rustix::process::setpriority_process;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use zeroize::Zeroizing;

use crate::domain::{AcceptedPassword, normalized};

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long a password may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many passwords may wait.
const QUEUE: usize = 4096;

/// How far the hashing threads stand behind the others (`nice`): while both want a core, they get about a tenth of it.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// Hashes and verifies passwords, a bounded number at a time.
#[derive(Clone)]
pub(crate) struct Passwords {
    queue: mpsc::Sender<Job>,
    sign_ins: Arc<Semaphore>,
    confirmations: Arc<Semaphore>,
    /// The hash of a password that nobody has: what an unknown login is verified against, to take the same time.
    decoy: Arc<str>,
}

/// Why a password was neither accepted nor refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many passwords are being verified")]
    Busy,
    #[error("argon2id failed")]
    Argon2(#[from] argon2::Error),
    #[error("the parameters of argon2id cannot be written or read")]
    Parameters(#[from] argon2::password_hash::Error),
    #[error("the stored password hash is unreadable")]
    Stored(#[source] argon2::password_hash::phc::Error),
    #[error("the stored password hash is not argon2id's, or lacks a part")]
    Incomplete,
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
        let decoy = Hasher::default().hash(nobody.as_ref())?;
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..at_once {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name("password".to_owned()).spawn(move || work_off(&jobs))?;
        }
        // As many again, who read while the others are hashed, so that no thread waits.
        let turns = || Arc::new(Semaphore::new(2 * at_once));
        Ok(Self { queue, sign_ins: turns(), confirmations: turns(), decoy: decoy.into() })
    }

    /// The turn of a call that verifies a password: before it, the call reads nothing. Otherwise a flood of them would all
    /// read at once, and every introspection would wait behind them for a connection.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, HashError> {
        in_time(&self.sign_ins).await
    }

    /// The turn of a call that is made under a session. It does not stand in line with sign-ins, which anybody may try: a flood of
    /// them keeps no owner from changing a token.
    pub(crate) async fn confirming_turn(&self) -> Result<SemaphorePermit<'_>, HashError> {
        in_time(&self.confirmations).await
    }

    /// The PHC string to store for a new password.
    pub(crate) async fn hash(&self, password: AcceptedPassword) -> Result<String, HashError> {
        self.in_turn(move |hasher| hasher.hash(password.expose().as_bytes())).await
    }

    /// Whether the password is the one that was stored. Where none was, the answer is no, after the same time.
    pub(crate) async fn verify(&self, password: Zeroizing<String>, stored: Option<String>) -> Result<bool, HashError> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let verify = move |hasher: &mut Hasher| hasher.verify(normalized(&password).as_bytes(), &stored);
        let right = self.in_turn(verify).await?;
        Ok(right && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |hasher| {
            // Who has left in the meantime needs no answer.
            if !reply.is_closed() {
                let _ = reply.send(work(hasher));
            }
        });
        let answered = tokio::time::timeout(PATIENCE, async {
            self.queue.send(job).await.map_err(|_| HashError::Busy)?;
            answer.await?
        });
        answered.await.map_err(|_| HashError::Busy)?
    }
}

async fn in_time(turns: &Semaphore) -> Result<SemaphorePermit<'_>, HashError> {
    let turn = tokio::time::timeout(PATIENCE, turns.acquire()).await;
    turn.ok().and_then(Result::ok).ok_or(HashError::Busy)
}

/// The life of a hashing thread: as long as there is somebody to ask it.
fn work_off(jobs: &Mutex<mpsc::Receiver<Job>>) {
    // On Linux it is the thread's own, not the process's.
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "a hashing thread keeps the priority of the others");
    }
    let mut hasher = Hasher::default();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(|| job(&mut hasher))).is_err() {
            tracing::error!("a password could not be hashed");
        }
    }
}

/// Argon2id, with memory that is used again: allocated anew for each hash, much of it stayed resident after a flood.
#[derive(Default)]
struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    fn hash(&mut self, password: &[u8]) -> Result<String, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("OWASP's parameters are in argon2's range");
        let salt = Salt::generate();
        let stored = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&params).try_into()?,
            salt: Some(salt),
            hash: Some(self.output(Version::V0x13, params, password, &salt)?),
        };
        Ok(stored.to_string())
    }

    /// Under the parameters that the password was stored with.
    fn verify(&mut self, password: &[u8], stored: &str) -> Result<bool, HashError> {
        let stored = PasswordHash::new(stored).map_err(HashError::Stored)?;
        let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Err(HashError::Incomplete) };
        if stored.algorithm != Algorithm::Argon2id.ident() {
            return Err(HashError::Incomplete);
        }
        let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let output = self.output(version, Params::try_from(&stored)?, password, salt)?;
        // In constant time.
        Ok(output == *expected)
    }

    fn output(&mut self, version: Version, params: Params, password: &[u8], salt: &Salt) -> Result<Output, HashError> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::new());
        }
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
        let mut output = Zeroizing::new(vec![0; length]);
        argon2.hash_password_into_with_memory(password, salt, &mut output, &mut self.memory)?;
        Output::new(&output).map_err(HashError::Stored)
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;
    use crate::domain::PasswordRules;

    fn text(password: &str) -> Zeroizing<String> {
        Zeroizing::new(password.to_owned())
    }

    #[tokio::test]
    async fn only_the_stored_password_is_right() {
        let passwords = Passwords::new(1).unwrap();
        let chosen = "correct horse battery".to_owned().into();
        let stored = passwords.hash(PasswordRules { shortest: 12 }.accept(&chosen, "").unwrap()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify(text("correct horse battery"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(text("correct horse batterz"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(text(""), Some(stored)).await.unwrap());
        assert!(!passwords.verify(text("correct horse battery"), None).await.unwrap());
        assert!(matches!(passwords.verify(text("x"), Some("nonsense".into())).await, Err(HashError::Stored(_))));
    }

    #[tokio::test]
    async fn the_parameters_of_the_stored_password_count() {
        let passwords = Passwords::new(1).unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(16, 1, 1, None).unwrap());
        let stored = weak.hash_password(b"correct horse battery").unwrap().to_string();
        assert!(passwords.verify(text("correct horse battery"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(text("correct horse batterz"), Some(stored.clone())).await.unwrap());
        for unusable in ["$argon2id$v=19$m=16,t=1,p=1", &stored.replace("argon2id", "argon2i")] {
            let verified = passwords.verify(text("correct horse battery"), Some(unusable.to_owned())).await;
            assert!(matches!(verified, Err(HashError::Incomplete)), "{unusable}: {verified:?}");
        }
    }

    #[tokio::test]
    async fn turns_are_few() {
        let passwords = Passwords::new(1).unwrap();
        let turns = (passwords.turn().await.unwrap(), passwords.turn().await.unwrap());
        assert!(futures::poll!(std::pin::pin!(passwords.turn())).is_pending());
        assert!(passwords.confirming_turn().await.is_ok(), "confirmations have turns of their own");
        drop(turns);
        assert!(passwords.turn().await.is_ok());
    }

    #[tokio::test]
    async fn a_hashing_thread_gives_way_to_others_and_keeps_its_memory() {
        let passwords = Passwords::new(1).unwrap();
        let look = async || {
            passwords.verify(text("x"), None).await.unwrap();
            let look = |hasher: &mut Hasher| {
                let niceness = rustix::process::getpriority_process(None).unwrap();
                Ok((niceness, hasher.memory.len(), hasher.memory.as_ptr() as usize))
            };
            passwords.in_turn(look).await.unwrap()
        };
        let (first, second) = (look().await, look().await);
        assert_eq!((first.0, first.1), (NICENESS, MEMORY_KIB as usize));
        assert_eq!(first, second);
    }
}
