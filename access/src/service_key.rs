use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proto::catalog::ServiceRole;
use subtle::ConstantTimeEq;
use tonic::metadata::AsciiMetadataValue;

use crate::{Credential, CredentialError, CredentialHash, CredentialKind};

/// A service that may ask the authority: its name, what it is, and the hash of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceKey {
    /// What the service is called in logs and lists.
    pub name: String,
    /// What it is, and so what it may ask.
    pub role: ServiceRole,
    /// SHA-256 of the key.
    pub hash: CredentialHash,
}

/// Why a text is no hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the 64 hexadecimal digits of a SHA-256")]
pub struct ServiceKeyError;

impl FromStr for CredentialHash {
    type Err = ServiceKeyError;

    fn from_str(text: &str) -> Result<Self, ServiceKeyError> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(ServiceKeyError);
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| ServiceKeyError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ServiceKeyError)?;
        }
        Ok(Self::from_bytes(bytes))
    }
}

impl fmt::Display for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a file holds no service key.
#[derive(Debug, thiserror::Error)]
pub enum ServiceKeyFileError {
    /// It cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// It holds no credential.
    #[error("what {} holds", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: CredentialError,
    },
    /// It holds a session or a token.
    #[error("{} must hold a service key, `pcl_svc_…`", .0.display())]
    OtherKind(PathBuf),
}

impl Credential {
    /// How a service shows its key to the authority, in the metadata `authorization` (RFC 6750, section 2.1).
    ///
    /// # Panics
    /// Never: a credential is letters, digits and underscores.
    #[must_use]
    pub fn bearer(&self) -> AsciiMetadataValue {
        let value = AsciiMetadataValue::try_from(format!("Bearer {}", self.expose()));
        let mut value = value.expect("a credential is letters, digits and underscores");
        value.set_sensitive(true);
        value
    }

    /// Reads the service key that a file holds.
    ///
    /// # Errors
    /// Where it holds none. The error does not show what it holds.
    pub fn read_service_key(file: &Path) -> Result<Self, ServiceKeyFileError> {
        let unreadable = |source| ServiceKeyFileError::Unreadable { file: file.to_owned(), source };
        let text = settings::read_secret(file).map_err(unreadable)?;
        match Self::parse(&text) {
            Ok(key) if key.kind() == CredentialKind::Service => Ok(key),
            Ok(_) => Err(ServiceKeyFileError::OtherKind(file.to_owned())),
            Err(source) => Err(ServiceKeyFileError::Malformed { file: file.to_owned(), source }),
        }
    }
}

/// The services that may ask the authority.
#[derive(Clone, Debug, Default)]
pub struct ServiceKeys(Vec<ServiceKey>);

impl ServiceKeys {
    /// Knows these, and no others.
    #[must_use]
    pub fn new(keys: Vec<ServiceKey>) -> Self {
        Self(keys)
    }

    /// The service that a key belongs to.
    pub(crate) fn service(&self, key: &str) -> Result<&ServiceKey, CredentialError> {
        let key = Credential::parse(key)?;
        if key.kind() != CredentialKind::Service {
            return Err(CredentialError::Prefix);
        }
        let hash = key.hash();
        let known = self.0.iter().find(|known| known.hash.as_bytes().ct_eq(hash.as_bytes()).into());
        known.ok_or(CredentialError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(1)).hash();
        assert_eq!(hash.to_string().parse::<CredentialHash>().unwrap(), hash);
        for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert!(wrong.parse::<CredentialHash>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_known_service_key_is_a_service() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = Credential::generate(CredentialKind::Service, &mut rng);
        let other = Credential::generate(CredentialKind::Service, &mut rng);
        let token = Credential::generate(CredentialKind::Token, &mut rng);
        let keys = ServiceKeys::new(vec![
            ServiceKey { name: "api-gateway".into(), role: ServiceRole::Gateway, hash: key.hash() },
            ServiceKey { name: "mistake".into(), role: ServiceRole::Gateway, hash: token.hash() },
        ]);
        assert_eq!(keys.service(key.expose()).unwrap().name, "api-gateway");
        assert!(keys.service(other.expose()).is_err());
        assert!(keys.service(token.expose()).is_err());
        assert!(keys.service("").is_err());
    }
}
