use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use prost::Message;
use proto::token::v1::{GrantClaims, PublicKey, SignedGrant};

use super::{Claims, SKEW_SECONDS, key_id, signed_text};

/// A public key of the authority.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    key_id: String,
    key: ed25519_dalek::VerifyingKey,
}

/// Why bytes are no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// They are no point of the curve, or not 32.
    #[error("is no Ed25519 public key")]
    NotAKey,
    /// The name is not the key's.
    #[error("is not the key that its name says")]
    WrongName,
}

impl VerifyingKey {
    pub(super) fn new(key: ed25519_dalek::VerifyingKey) -> Self {
        Self { key_id: key_id(key.as_bytes()), key }
    }

    /// The key's name.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key itself (RFC 8032).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Reads a key.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::NotAKey)?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map(Self::new).map_err(|_| KeyError::NotAKey)
    }
}

impl From<&VerifyingKey> for PublicKey {
    fn from(key: &VerifyingKey) -> Self {
        Self { key_id: key.key_id.clone(), key: key.key.as_bytes().to_vec().into() }
    }
}

impl TryFrom<PublicKey> for VerifyingKey {
    type Error = KeyError;

    fn try_from(wire: PublicKey) -> Result<Self, KeyError> {
        let key = Self::from_bytes(&wire.key)?;
        if key.key_id == wire.key_id { Ok(key) } else { Err(KeyError::WrongName) }
    }
}

/// Why a grant is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is none.
    #[error("the call carries no grant")]
    Missing,
    /// It cannot be read.
    #[error("the grant is malformed")]
    Malformed,
    /// It names a key that is not known here.
    #[error("the grant is signed with an unknown key")]
    UnknownKey,
    /// The signature is not of these claims.
    #[error("the grant's signature is wrong")]
    Signature,
    /// It is for another service.
    #[error("the grant is for another audience")]
    Audience,
    /// Its time, or its credential's, is over.
    #[error("the grant has expired")]
    Expired,
    /// It is from further in the future than two clocks can differ.
    #[error("the grant is not valid yet")]
    NotYetValid,
}

/// The keys by which a service verifies grants. Cheap to clone; every clone sees a change.
#[derive(Clone, Debug, Default)]
pub struct KeyRing(Arc<RwLock<Vec<VerifyingKey>>>);

impl KeyRing {
    /// Takes these keys in place of all before.
    pub fn replace(&self, keys: Vec<VerifyingKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Whether there is no key, so that no grant can be verified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Reads a grant (`SignedGrant`, encoded) and says what it asserts.
    ///
    /// # Errors
    /// Where anything at all is wrong with it.
    pub fn verify(&self, grant: &[u8], audience: &str, now: Timestamp) -> Result<Claims, GrantError> {
        let grant = SignedGrant::decode(grant).map_err(|_| GrantError::Malformed)?;
        let key = self.key(&grant.key_id).ok_or(GrantError::UnknownKey)?;
        let signature: [u8; 64] = grant.signature.as_ref().try_into().map_err(|_| GrantError::Signature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature);
        key.verify_strict(&signed_text(&grant.claims), &signature).map_err(|_| GrantError::Signature)?;

        let claims = GrantClaims::decode(grant.claims.as_ref()).map_err(|_| GrantError::Malformed)?;
        let claims = Claims::try_from(claims).map_err(|_| GrantError::Malformed)?;
        if claims.audience != audience {
            return Err(GrantError::Audience);
        }
        if claims.issued_at > now + SignedDuration::from_secs(SKEW_SECONDS) {
            return Err(GrantError::NotYetValid);
        }
        if now >= claims.expires_at || claims.credential_expires_at.is_some_and(|end| now >= end) {
            return Err(GrantError::Expired);
        }
        Ok(claims)
    }

    fn key(&self, key_id: &str) -> Option<ed25519_dalek::VerifyingKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.key_id == key_id).map(|key| key.key)
    }
}
