//! How the secrets of second factors are kept: sealed under a key that the database does not hold.

use std::fmt;

use access::AccountId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::domain::FactorSecret;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// What is sealed along: a secret opens for its own account only.
const CONTEXT: &[u8] = b"portcullis.second-factor.v1\0";

/// The key under which the authority seals the secrets of second factors (XChaCha20-Poly1305).
pub struct SecondFactorKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why a text is no key. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 bytes in base64, as `portcullis second-factor-key` prints them")]
pub struct SecondFactorKeyError;

/// A secret was sealed under another key, for another account, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the second factor was not sealed under this key")]
pub(crate) struct UnsealError;

impl SecondFactorKey {
    /// Makes a new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rng.fill_bytes(key.as_mut());
        Self(key)
    }

    /// Reads one.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn from_base64(text: &str) -> Result<Self, SecondFactorKeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| SecondFactorKeyError)?);
        let key = bytes.as_slice().try_into().map_err(|_| SecondFactorKeyError)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// As it stands in its file.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    pub(crate) fn seal(&self, account: AccountId, secret: &FactorSecret, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let aad = associated(account);
        let payload = Payload { msg: secret.expose(), aad: &aad };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).expect("a few bytes are not too many");
        [nonce.as_slice(), &sealed].concat()
    }

    pub(crate) fn open(&self, account: AccountId, sealed: &[u8]) -> Result<FactorSecret, UnsealError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError)?;
        let aad = associated(account);
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
        let opened = Zeroizing::new(opened.map_err(|_| UnsealError)?);
        Ok(FactorSecret::new(opened.as_slice().try_into().map_err(|_| UnsealError)?))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

fn associated(account: AccountId) -> Vec<u8> {
    [CONTEXT, &account.0.to_be_bytes()].concat()
}

impl fmt::Debug for SecondFactorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecondFactorKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_secret_opens_under_its_key_for_its_account_and_whole_only() {
        let mut rng = StdRng::seed_from_u64(3);
        let (key, other) = (SecondFactorKey::generate(&mut rng), SecondFactorKey::generate(&mut rng));
        let secret = FactorSecret::generate(&mut rng);
        let sealed = key.seal(AccountId(7), &secret, &mut rng);
        assert_ne!(sealed, key.seal(AccountId(7), &secret, &mut rng), "each time under another nonce");
        assert!(!sealed.windows(8).any(|part| secret.expose().windows(8).any(|clear| clear == part)));

        let again = SecondFactorKey::from_base64(&key.to_base64()).unwrap();
        assert_eq!(again.open(AccountId(7), &sealed).unwrap().expose(), secret.expose());
        assert_eq!(other.open(AccountId(7), &sealed).unwrap_err(), UnsealError);
        assert_eq!(key.open(AccountId(8), &sealed).unwrap_err(), UnsealError);
        for end in [0, 23, 24, 40, sealed.len() - 1] {
            assert_eq!(key.open(AccountId(7), &sealed[..end]).unwrap_err(), UnsealError);
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key.open(AccountId(7), &changed).unwrap_err(), UnsealError, "{index}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_told() {
        for text in ["", "nonsense", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33])] {
            assert_eq!(SecondFactorKey::from_base64(text).unwrap_err(), SecondFactorKeyError, "{text}");
        }
        let key = SecondFactorKey::from_base64(&STANDARD.encode([7; 32])).unwrap();
        assert_eq!(format!("{key:?}"), "SecondFactorKey([redacted])");
    }
}
