//! The keys that grants are signed with. There is the one in the operator's file, until the first that replaces it: from then on they are
//! in the database, sealed under a key that is made from the file's, so that every replica has the same and none is in the open.
//!
//! A new key is told to whoever verifies grants for a while before it signs. The one before it is told until the last grant of it has
//! expired, and is deleted then. What each replica has in memory is as old as [`GOOD_FOR`] at most when it signs.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use access::{KeyRing, SigningKey, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use jiff::Timestamp;
use lifecycle::{Clock, Lifecycle};
use proto::Failure;
use storage::{Database, DatabaseOptions, StorageError};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::Config;
use crate::domain::AuditEntry;
use crate::grpc::storage_failure;
use crate::service::AdministerError;
use crate::store::{MIGRATIONS, NewSigningKey, SigningKeyRow, Store, Succession, SuccessionError};

/// How often the database is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How old what is in memory may be for a signature.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// How far apart the clocks of two machines may be (as grants are verified).
const SKEW: Duration = Duration::from_secs(5);

/// How long a new key is told at least before it signs: whoever verifies grants asks for the keys three times in it.
pub const SHORTEST_LEAD: Duration = Duration::from_secs(15);

const SEALING: &[u8] = b"portcullis.signing-keys.v1\0";
const NONCE_BYTES: usize = 24;

/// The keys of this replica. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub(crate) struct SigningKeys(Arc<Shared>);

struct Shared {
    file: Arc<SigningKey>,
    ring: KeyRing,
    store: Store,
    clock: Clock,
    current: RwLock<Current>,
    /// One looks at a time.
    looking: Mutex<()>,
}

#[derive(Clone)]
struct Current {
    rows: Vec<SigningKeyRow>,
    signing: Arc<SigningKey>,
    told: Vec<VerifyingKey>,
    /// The monotonic time before it was read.
    asked_at: Duration,
}

/// Why the keys are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningKeysError {
    #[error("the database does not tell the signing keys")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Sealed(#[from] SealedKeyError),
}

/// A key in the database cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "signing_key_file: the key {0} in the database was sealed under that of another file; with `reset-signing-keys` there is only the \
     file's"
)]
pub struct SealedKeyError(String);

impl From<SigningKeysError> for Failure {
    fn from(error: SigningKeysError) -> Self {
        match error {
            SigningKeysError::Storage(error) => storage_failure(error),
            SigningKeysError::Sealed(error) => Self::internal(error),
        }
    }
}

impl SigningKeys {
    /// Reads them. Grants are verified by the ring from then on.
    pub(crate) async fn open(
        file: SigningKey,
        ring: KeyRing,
        store: Store,
        clock: Clock,
    ) -> Result<Self, SigningKeysError> {
        let file = Arc::new(file);
        let told = vec![file.verifying_key()];
        let current =
            Current { rows: Vec::new(), signing: Arc::clone(&file), told: told.clone(), asked_at: Duration::ZERO };
        ring.replace(told);
        store.begin_signing_keys(&by_name(&file)).await?;
        let keys =
            Self(Arc::new(Shared { file, ring, store, clock, current: RwLock::new(current), looking: Mutex::new(()) }));
        keys.look().await?;
        Ok(keys)
    }

    /// The one that signs now.
    pub(crate) async fn signing(&self) -> Result<Arc<SigningKey>, SigningKeysError> {
        if let Some(signing) = self.fresh() {
            return Ok(signing);
        }
        // All who wait for the one that looks find what it has found.
        let _turn = self.0.looking.lock().await;
        match self.fresh() {
            Some(signing) => Ok(signing),
            None => Ok(self.read().await?.signing),
        }
    }

    /// All that a grant can be signed with, now and soon, as the database has them at this moment.
    pub(crate) async fn told(&self) -> Result<Vec<VerifyingKey>, SigningKeysError> {
        Ok(self.look().await?.told)
    }

    /// Looks at the database from time to time, and deletes the keys that are over.
    pub(crate) async fn follow(self, lifecycle: Lifecycle) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = lifecycle.draining() => return,
                _ = tick.tick() => {}
            }
            let looked = async {
                for key in self.0.store.forget_signing_keys().await? {
                    tracing::info!(key.id = key, "a signing key is over, and was deleted");
                }
                self.look().await.map(drop)
            };
            if let Err(error) = looked.await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the signing keys were not looked at");
            }
        }
    }

    fn fresh(&self) -> Option<Arc<SigningKey>> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        let age = self.0.clock.monotonic().saturating_sub(current.asked_at);
        (age < GOOD_FOR).then(|| Arc::clone(&current.signing))
    }

    async fn look(&self) -> Result<Current, SigningKeysError> {
        let _turn = self.0.looking.lock().await;
        self.read().await
    }

    async fn read(&self) -> Result<Current, SigningKeysError> {
        let asked_at = self.0.clock.monotonic();
        let (rows, now) = self.0.store.signing_keys().await?;
        let mut current = self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        current.asked_at = asked_at;
        let signing = match rows.iter().rfind(|row| row.signs_from <= now) {
            None if rows.is_empty() => Arc::clone(&self.0.file),
            // The database's clock was put back: the first that there is is known to all.
            None => Arc::new(self.unsealed(&rows[0])?),
            Some(row) if row.key_id == current.signing.verifying_key().key_id() => Arc::clone(&current.signing),
            Some(row) => Arc::new(self.unsealed(row)?),
        };
        if signing.verifying_key().key_id() != current.signing.verifying_key().key_id() {
            tracing::info!(key.id = signing.verifying_key().key_id(), "grants are signed with another key");
            current.signing = signing;
        }
        if rows != current.rows {
            current.told = if rows.is_empty() {
                vec![self.0.file.verifying_key()]
            } else {
                rows.iter().map(|row| self.public(row)).collect::<Result<_, _>>()?
            };
            self.0.ring.replace(current.told.clone());
            current.rows = rows;
        }
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = current.clone();
        Ok(current)
    }

    fn public(&self, row: &SigningKeyRow) -> Result<VerifyingKey, SealedKeyError> {
        let key = STANDARD.decode(&row.public_key).ok().and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        let key = key.filter(|key| key.key_id() == row.key_id).ok_or_else(|| SealedKeyError(row.key_id.clone()))?;
        // Whoever can write to the database must not have grants of its own believed: each key is vouched for by the file's.
        self.unsealed(row)?;
        Ok(key)
    }

    fn unsealed(&self, row: &SigningKeyRow) -> Result<SigningKey, SealedKeyError> {
        unseal(&self.0.file, row).ok_or_else(|| SealedKeyError(row.key_id.clone()))
    }
}

fn sealing(file: &SigningKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*file.derive(SEALING)).into())
}

/// The key of the operator's file, as it is kept: without what is secret of it.
fn by_name(file: &SigningKey) -> NewSigningKey {
    let public = file.verifying_key();
    NewSigningKey {
        key_id: public.key_id().to_owned(),
        public_key: STANDARD.encode(public.as_bytes()),
        sealed: String::new(),
    }
}

/// A new key, as it is kept.
fn seal(file: &SigningKey, key: &SigningKey) -> NewSigningKey {
    let public = key.verifying_key();
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let (pem, aad) = (key.to_pem(), public.key_id().as_bytes());
    let payload = Payload { msg: pem.as_bytes(), aad };
    let sealed = sealing(file).encrypt(&XNonce::from(nonce), payload).expect("a few bytes are not too many");
    NewSigningKey {
        key_id: public.key_id().to_owned(),
        public_key: STANDARD.encode(public.as_bytes()),
        sealed: STANDARD.encode([nonce.as_slice(), &sealed].concat()),
    }
}

/// The key of a row; none where it was not sealed under the file's, or is another than the row says.
fn unseal(file: &SigningKey, row: &SigningKeyRow) -> Option<SigningKey> {
    let key = if row.sealed.is_empty() {
        // The file's own: it is not written down.
        SigningKey::from_pem(&file.to_pem()).ok()?
    } else {
        let sealed = STANDARD.decode(&row.sealed).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: row.key_id.as_bytes() };
        let pem = Zeroizing::new(sealing(file).decrypt(&XNonce::from(*nonce), payload).ok()?);
        SigningKey::from_pem(str::from_utf8(&pem).ok()?).ok()?
    };
    (key.verifying_key().key_id() == row.key_id).then_some(key)
}

/// A key that grants are signed with, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyInfo {
    /// As grants name it.
    pub key_id: String,
    /// From when on it signs; for the first one, always.
    pub signs_from: Timestamp,
    /// Until when a grant of it can be good; not known before another one replaces it.
    pub verifies_until: Option<Timestamp>,
}

impl From<&SigningKeyRow> for SigningKeyInfo {
    fn from(row: &SigningKeyRow) -> Self {
        let SigningKeyRow { key_id, signs_from, verifies_until, .. } = row.clone();
        Self { key_id, signs_from, verifies_until }
    }
}

/// Makes a new key that replaces the one that signs grants, after `lead` ([`SHORTEST_LEAD`] at least). Answers all keys.
///
/// # Errors
/// Where the one before it does not sign yet, or the database does not keep it. Nothing is changed then.
pub async fn rotate_signing_key(config: &Config, lead: Duration) -> Result<Vec<SigningKeyInfo>, AdministerError> {
    let (store, file) = opened(config).await?;
    let (rows, _) = store.signing_keys().await?;
    if let Some(row) = rows.iter().find(|row| unseal(&file, row).is_none()) {
        return Err(AdministerError::Refused(Box::new(SealedKeyError(row.key_id.clone()))));
    }
    let key = SigningKey::generate(&mut rand::rng());
    let (first, new) = (by_name(&file), seal(&file, &key));
    let remains = GOOD_FOR + config.grant_lifetime.unsigned_abs() + SKEW;
    let succession = Succession { lead: lead.max(SHORTEST_LEAD), remains };
    let entry = AuditEntry::on_authority("signing_key.rotate", format!("key {}", new.key_id), Clock::system().now());
    let kept = store.succeed_signing_key(&first, &new, succession, &entry).await;
    store.close().await;
    match kept {
        Ok(kept) => Ok(kept.iter().map(SigningKeyInfo::from).collect()),
        Err(SuccessionError::Storage(error)) => Err(error.into()),
        Err(error @ SuccessionError::UnderWay(..)) => Err(AdministerError::Refused(Box::new(error))),
    }
}

/// The keys that a grant can be signed with, now and soon.
///
/// # Errors
/// Where the database cannot be read.
pub async fn signing_keys(config: &Config) -> Result<Vec<SigningKeyInfo>, AdministerError> {
    let (store, file) = opened(config).await?;
    let (rows, _) = store.signing_keys().await?;
    store.close().await;
    if rows.is_empty() {
        let key_id = file.verifying_key().key_id().to_owned();
        return Ok(vec![SigningKeyInfo { key_id, signs_from: Timestamp::UNIX_EPOCH, verifies_until: None }]);
    }
    Ok(rows.iter().map(SigningKeyInfo::from).collect())
}

/// Deletes the keys of the database, so that grants are signed with the file's alone: for a file that was replaced. No replica may run.
///
/// # Errors
/// Where the database cannot be changed.
pub async fn reset_signing_keys(config: &Config) -> Result<u64, AdministerError> {
    let (store, file) = opened(config).await?;
    let object = format!("key {}", file.verifying_key().key_id());
    let entry = AuditEntry::on_authority("signing_key.reset", object, Clock::system().now());
    let deleted = store.reset_signing_keys(&entry).await?;
    store.close().await;
    Ok(deleted)
}

async fn opened(config: &Config) -> Result<(Store, SigningKey), AdministerError> {
    let file = config.signing_key().map_err(|error| AdministerError::Refused(Box::new(error)))?;
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    Ok((Store::new(database), file))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut StdRng::seed_from_u64(seed))
    }

    fn row(key: NewSigningKey) -> SigningKeyRow {
        let NewSigningKey { key_id, public_key, sealed } = key;
        SigningKeyRow { key_id, public_key, sealed, signs_from: Timestamp::UNIX_EPOCH, verifies_until: None }
    }

    #[test]
    fn a_key_opens_under_its_file_and_whole_only() {
        let (file, other) = (key(1), key(2));
        let sealed = row(seal(&file, &key(3)));
        let id = key(3).verifying_key().key_id().to_owned();
        assert_eq!(unseal(&file, &sealed).unwrap().verifying_key().key_id(), id);
        assert!(unseal(&other, &sealed).is_none());
        let renamed = SigningKeyRow { key_id: other.verifying_key().key_id().to_owned(), ..sealed.clone() };
        assert!(unseal(&file, &renamed).is_none());
        let unsealed = SigningKeyRow { sealed: String::new(), ..sealed.clone() };
        assert!(unseal(&file, &unsealed).is_none(), "only the file's own key is not written down");
        let bytes = STANDARD.decode(&sealed.sealed).unwrap();
        for place in [0, NONCE_BYTES, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            let damaged = SigningKeyRow { sealed: STANDARD.encode(damaged), ..sealed.clone() };
            assert!(unseal(&file, &damaged).is_none(), "{place}");
        }
        assert!(!sealed.sealed.contains(&STANDARD.encode(key(3).to_pem().as_bytes())));
    }
}
