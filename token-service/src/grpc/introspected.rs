//! What is known of credentials, remembered under this replica's own lease.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use access::lease::{Bounds, Freshness, Memorable, Memory, Recalled, Statement};
use access::{Claims, Credential, CredentialHash, CredentialKind, GrantedKind, SigningKey};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use storage::StorageError;

use super::Authority;
use crate::domain::Role;
use crate::store::Introspected;

/// How much is remembered.
pub(crate) const BOUNDS: Bounds = Bounds { entries: 100_000, bytes: 64 * 1024 * 1024, refusal: Duration::from_secs(1) };

/// A credential that is alive, and the grants that were made for it.
pub(crate) struct Known {
    pub(crate) found: Introspected,
    /// Before it was read, by the wall clock and by the lease's.
    read_at: Timestamp,
    aging_at: Duration,
    usable_until: Duration,
    /// One for each service that executes calls.
    grants: Box<[OnceLock<Grant>]>,
}

/// A grant, and what it says.
pub(crate) struct Grant {
    pub(crate) claims: Claims,
    pub(crate) signed: Bytes,
}

pub(crate) type Introspections = Memory<CredentialHash, Known>;

impl Memorable for Known {
    fn statement(&self) -> Statement {
        let Introspected { credential, account, as_of, .. } = self.found;
        Statement { credential, account, as_of }
    }

    fn aging_at(&self) -> Duration {
        self.aging_at
    }

    fn usable_until(&self) -> Duration {
        self.usable_until
    }

    fn size(&self) -> usize {
        // The claims of each grant, and the grant itself.
        size_of::<Self>() + self.found.login.len() + self.grants.len() * (size_of::<OnceLock<Grant>>() + 400)
    }
}

impl Authority {
    /// What is known of a credential that is alive.
    pub(crate) async fn introspected(
        &self,
        credential: &Credential,
        freshness: Freshness,
    ) -> Result<Option<Arc<Known>>, StorageError> {
        let key = credential.hash();
        let read = self.read(credential);
        let Freshness::NotBefore(oldest) = freshness else { return Ok(read.await?.map(Arc::new)) };
        match self.introspections.recall(&key) {
            Recalled::Refused => Ok(None),
            Recalled::Known { value, .. } if value.found.as_of < oldest => {
                self.introspections.forget(&key);
                self.introspections.ask(&key, read).await
            }
            // What was read half its time ago is read anew by the call that finds it so: a read is short.
            Recalled::Known { value, aging: false } => Ok(Some(value)),
            Recalled::Known { value, aging: true } => {
                self.introspections.renew(&key, read).await?;
                Ok(Some(value))
            }
            Recalled::Nothing => self.introspections.ask(&key, read).await,
        }
    }

    async fn read(&self, credential: &Credential) -> Result<Option<Known>, StorageError> {
        // Both before the credential is read.
        let (read_at, asked_at) = (self.clock.now(), self.clock.monotonic());
        let hash = credential.hash();
        let found = match credential.kind() {
            CredentialKind::Session => self.store.live_session(hash, read_at).await?,
            CredentialKind::Token => self.store.live_token(hash, read_at).await?,
            CredentialKind::Service => None,
        };
        let Some(found) = found else { return Ok(None) };
        // Half a grant's lifetime: what is handed out is good for the other half at least.
        let longest = self.policy.grant_lifetime.unsigned_abs() / 2;
        let left = found.alive_until.map(|end| end.duration_since(read_at).max(SignedDuration::ZERO).unsigned_abs());
        let usable = left.map_or(longest, |left| left.min(longest));
        let grants = self.catalog.audiences().iter().map(|_| OnceLock::new()).collect();
        let (aging_at, usable_until) = (asked_at + usable / 2, asked_at + usable);
        Ok(Some(Known { found, read_at, aging_at, usable_until, grants }))
    }

    /// The grant of a credential for a service. It is signed once for as long as what is known is remembered.
    pub(crate) fn grant<'a>(&self, key: &SigningKey, known: &'a Known, audience: &str) -> Option<&'a Grant> {
        let place = self.catalog.audience_place(audience)?;
        let grant = known.grants.get(place)?;
        Some(grant.get_or_init(|| {
            let claims = self.claims(known, audience);
            Grant { signed: key.sign(&claims).into(), claims }
        }))
    }

    fn claims(&self, known: &Known, audience: &str) -> Claims {
        let found = &known.found;
        let expires_at = known.read_at + self.policy.grant_lifetime;
        Claims {
            credential: found.credential,
            account: found.account,
            // No token administers, whoever made it.
            administrator: found.credential.kind == GrantedKind::Session && found.role == Role::Administrator,
            permissions: found.api_set.as_ref().map(|set| set.permissions(self.catalog)).unwrap_or_default(),
            confinement: found.confinement.clone(),
            audience: audience.to_owned(),
            issued_at: known.read_at,
            expires_at: found.expires_at.map_or(expires_at, |end| end.min(expires_at)),
            as_of: found.as_of,
            credential_expires_at: found.expires_at,
            superseded: found.superseded,
        }
    }
}
