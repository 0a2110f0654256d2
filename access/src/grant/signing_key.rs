use std::fmt;

use ed25519_dalek::Signer;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use hkdf::Hkdf;
use prost::Message;
use proto::token::v1::{GrantClaims, SignedGrant};
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Claims, VerifyingKey, signed_text};

/// The authority's private key (Ed25519, RFC 8032).
pub struct SigningKey(ed25519_dalek::SigningKey);

/// Why a file holds no signing key.
#[derive(Debug, thiserror::Error)]
#[error("is no Ed25519 private key in PKCS #8 PEM form")]
pub struct SigningKeyError;

impl SigningKey {
    /// Makes a new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0_u8; 32]);
        rng.fill_bytes(seed.as_mut());
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Reads one from PKCS #8 PEM (RFC 8410), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// Where the text is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| SigningKeyError)
    }

    /// Writes it as PKCS #8 PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("an Ed25519 key has a PKCS #8 form")
    }

    /// Makes another secret of it, for the purpose that the context names (HKDF-SHA-256, RFC 5869): nothing of the key can be told
    /// from it.
    #[must_use]
    pub fn derive(&self, context: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        let seed = Zeroizing::new(self.0.to_bytes());
        let expanded = Hkdf::<Sha256>::new(None, seed.as_slice()).expand(context, derived.as_mut());
        expanded.expect("32 bytes are as many as there can be for each digest");
        derived
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(self.0.verifying_key())
    }

    /// Makes a grant: `SignedGrant`, encoded.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Vec<u8> {
        let claims = GrantClaims::from(claims).encode_to_vec();
        let signature = self.0.sign(&signed_text(&claims)).to_bytes().to_vec();
        let key_id = self.verifying_key().key_id().to_owned();
        SignedGrant { claims: claims.into(), key_id, signature: signature.into() }.encode_to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifying_key().key_id())
    }
}
