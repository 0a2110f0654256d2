//! Grants: what the authority said of a credential, under its signature, so that the executing service need not ask again.

mod claims;
mod key_ring;
mod signing_key;

pub use claims::{Claims, MalformedClaims};
pub use key_ring::{GrantError, KeyError, KeyRing, VerifyingKey};
pub use signing_key::{SigningKey, SigningKeyError};

/// The gRPC metadata in which a call carries its grant.
pub const GRANT_HEADER: &str = "portcullis-grant-bin";

/// What is signed begins with this, so that a signature of ours means nothing anywhere else.
const CONTEXT: &[u8] = b"portcullis.grant.v1\0";

/// How far apart the clocks of two machines may be, in seconds.
const SKEW_SECONDS: i64 = 5;

fn signed_text(claims: &[u8]) -> Vec<u8> {
    [CONTEXT, claims].concat()
}

/// The key's name: the first 16 hexadecimal digits of the SHA-256 of the public key.
fn key_id(public_key: &[u8; 32]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(public_key)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::{AccountId, Confinement, CredentialId, GrantedKind, Revision};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            credential: CredentialId { kind: GrantedKind::Token, number: 7 },
            account: AccountId(3),
            administrator: false,
            permissions: [proto::catalog::PermissionId(3)].into_iter().collect(),
            confinement: Confinement {
                environments: vec!["staging-*".parse().unwrap()],
                networks: vec!["10.0.0.0/8".parse().unwrap()],
            },
            audience: "environment-service".to_owned(),
            issued_at: at(1_000),
            expires_at: at(1_060),
            as_of: Revision(42),
            credential_expires_at: Some(at(2_000)),
            superseded: false,
        }
    }

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut StdRng::seed_from_u64(seed))
    }

    fn ring(keys: &[&SigningKey]) -> KeyRing {
        let ring = KeyRing::default();
        ring.replace(keys.iter().map(|key| key.verifying_key()).collect());
        ring
    }

    #[test]
    fn what_was_signed_is_read_again() {
        let key = key(1);
        let grant = key.sign(&claims());
        let read = ring(&[&key]).verify(&grant, "environment-service", at(1_001)).unwrap();
        assert_eq!(read, claims());
    }

    #[test]
    fn each_flaw_is_refused() {
        let (key, other) = (key(1), key(2));
        let ring = ring(&[&key]);
        let verify = |grant: &[u8], second| ring.verify(grant, "environment-service", at(second)).unwrap_err();
        let grant = key.sign(&claims());

        assert_eq!(verify(&grant, 1_060), GrantError::Expired);
        assert_eq!(verify(&grant, 1_000 - SKEW_SECONDS - 1), GrantError::NotYetValid);
        assert_eq!(ring.verify(&grant, "token-service", at(1_001)).unwrap_err(), GrantError::Audience);
        assert_eq!(verify(&other.sign(&claims()), 1_001), GrantError::UnknownKey);
        assert_eq!(verify(b"", 1_001), GrantError::UnknownKey);
        assert_eq!(verify(b"\xff\xff", 1_001), GrantError::Malformed);
        let expired = Claims { credential_expires_at: Some(at(1_001)), ..claims() };
        assert_eq!(verify(&key.sign(&expired), 1_001), GrantError::Expired);
    }

    #[test]
    fn no_byte_of_a_grant_can_be_changed() {
        let key = key(1);
        let ring = ring(&[&key]);
        let grant = key.sign(&claims());
        for at_byte in 0..grant.len() {
            for bit in 0..8 {
                let mut forged = grant.clone();
                forged[at_byte] ^= 1 << bit;
                assert!(ring.verify(&forged, "environment-service", at(1_001)).is_err(), "byte {at_byte}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_key_survives_its_file() {
        let key = key(1);
        let again = SigningKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.verifying_key().key_id(), key.verifying_key().key_id());
        assert!(SigningKey::from_pem("nonsense").is_err());
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_removed_key_verifies_no_more() {
        let (old, new) = (key(1), key(2));
        let ring = ring(&[&old, &new]);
        let grant = old.sign(&claims());
        assert!(ring.verify(&grant, "environment-service", at(1_001)).is_ok());
        ring.replace(vec![new.verifying_key()]);
        assert_eq!(ring.verify(&grant, "environment-service", at(1_001)).unwrap_err(), GrantError::UnknownKey);
    }
}
