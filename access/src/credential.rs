//! The form of a credential: a prefix that tells its kind, 256 random bits, and a checksum, so that a mistyped or invented
//! value is refused without asking anybody.

use std::fmt;

use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What all of them begin with.
const FAMILY: &str = "pcl_";
/// The digits of base 62, in the order of their values.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The digits that 32 bytes take.
const SECRET_DIGITS: usize = 43;
/// The digits that a CRC-32 takes.
const CHECKSUM_DIGITS: usize = 6;

/// What a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// `pcl_pat_…`, a personal access token.
    Token,
    /// `pcl_ses_…`, a session.
    Session,
    /// `pcl_svc_…`, a service of the installation.
    Service,
}

impl CredentialKind {
    const ALL: [Self; 3] = [Self::Token, Self::Session, Self::Service];

    fn prefix(self) -> &'static str {
        match self {
            Self::Token => "pcl_pat_",
            Self::Session => "pcl_ses_",
            Self::Service => "pcl_svc_",
        }
    }
}

/// A credential's value, well-formed. Whether it is known is another question.
pub struct Credential {
    kind: CredentialKind,
    value: Zeroizing<String>,
}

/// Why a text is no credential. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It does not begin like a credential of ours.
    #[error("is neither a session nor a token")]
    Prefix,
    /// It is too short, too long, or has a character that no credential has.
    #[error("is malformed")]
    Malformed,
    /// Its checksum does not fit.
    #[error("has a wrong checksum")]
    Checksum,
}

impl Credential {
    /// Makes a new one.
    pub fn generate(kind: CredentialKind, rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0_u8; 32]);
        rng.fill_bytes(secret.as_mut());
        let mut value = Zeroizing::new(String::with_capacity(kind.prefix().len() + SECRET_DIGITS + CHECKSUM_DIGITS));
        value.push_str(kind.prefix());
        push_base62(&mut value, secret, SECRET_DIGITS);
        let checksum = crc32fast::hash(value.as_bytes());
        push_base62(&mut value, Zeroizing::new(checksum.to_be_bytes()), CHECKSUM_DIGITS);
        Self { kind, value }
    }

    /// Reads one.
    ///
    /// # Errors
    /// Where the text is not of a credential's form. Nobody need be asked about it then.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let kind = CredentialKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()));
        let kind = kind.ok_or(CredentialError::Prefix)?;
        let digits = &text.as_bytes()[kind.prefix().len()..];
        if digits.len() != SECRET_DIGITS + CHECKSUM_DIGITS || !digits.iter().all(u8::is_ascii_alphanumeric) {
            return Err(CredentialError::Malformed);
        }
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_DIGITS);
        let mut expected = String::with_capacity(CHECKSUM_DIGITS);
        push_base62(&mut expected, Zeroizing::new(crc32fast::hash(body.as_bytes()).to_be_bytes()), CHECKSUM_DIGITS);
        if checksum != expected {
            return Err(CredentialError::Checksum);
        }
        Ok(Self { kind, value: Zeroizing::new(text.to_owned()) })
    }

    /// Whether a text may hold one, whole or in part: what may is repeated to nobody.
    #[must_use]
    pub fn may_be_in(text: &str) -> bool {
        text.to_ascii_lowercase().contains(FAMILY)
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// What is stored and looked up in its place: SHA-256. A slow hash would add nothing to 256 random bits.
    #[must_use]
    pub fn hash(&self) -> CredentialHash {
        CredentialHash(Sha256::digest(self.value.as_bytes()).into())
    }

    /// The value itself, for the one answer that hands it out and for the call that presents it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[redacted]", self.kind.prefix())
    }
}

/// SHA-256 of a credential's value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash that was stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash([redacted])")
    }
}

/// Writes a big-endian number in base 62 with leading zeros.
fn push_base62<const N: usize>(text: &mut String, mut number: Zeroizing<[u8; N]>, digits: usize) {
    let mut reversed = Zeroizing::new([0_u8; SECRET_DIGITS]);
    for digit in &mut reversed[..digits] {
        let mut remainder = 0_u32;
        for byte in number.iter_mut() {
            let dividend = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(dividend / 62).expect("the remainder is below 62");
            remainder = dividend % 62;
        }
        *digit = DIGITS[remainder as usize];
    }
    text.extend(reversed[..digits].iter().rev().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn token(seed: u64) -> Credential {
        Credential::generate(CredentialKind::Token, &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn base62_has_its_digits_in_order_and_leading_zeros() {
        let mut text = String::new();
        push_base62(&mut text, Zeroizing::new(61_u32.to_be_bytes()), 6);
        push_base62(&mut text, Zeroizing::new(62_u32.to_be_bytes()), 6);
        push_base62(&mut text, Zeroizing::new(u32::MAX.to_be_bytes()), 6);
        assert_eq!(text, "00000z0000104gfFC3");
    }

    #[test]
    fn the_largest_secret_fits() {
        let mut text = String::new();
        let mut number = Zeroizing::new([0xff_u8; 32]);
        push_base62(&mut text, number.clone(), SECRET_DIGITS);
        assert_eq!(text.len(), SECRET_DIGITS);
        // 62^43 > 2^256: the last quotient is nothing.
        for _ in 0..SECRET_DIGITS {
            let mut remainder = 0_u32;
            for byte in number.iter_mut() {
                let dividend = remainder << 8 | u32::from(*byte);
                *byte = (dividend / 62) as u8;
                remainder = dividend % 62;
            }
        }
        assert_eq!(*number, [0; 32]);
    }

    #[test]
    fn it_is_printed_without_its_value() {
        assert_eq!(format!("{:?}", token(1)), "pcl_pat_[redacted]");
    }

    #[test]
    fn it_is_noticed_within_a_text() {
        for kind in CredentialKind::ALL {
            assert!(Credential::may_be_in(&format!("/1.0/{}x", kind.prefix().to_uppercase())), "{kind:?}");
        }
        assert!(!Credential::may_be_in("a_name_pcl"));
    }

    #[test]
    fn what_it_is_not_is_told_apart() {
        assert_eq!(Credential::parse("").unwrap_err(), CredentialError::Prefix);
        assert_eq!(Credential::parse("ghp_abc").unwrap_err(), CredentialError::Prefix);
        assert_eq!(Credential::parse("pcl_pat_").unwrap_err(), CredentialError::Malformed);
        let value = token(1).expose().to_owned();
        assert_eq!(Credential::parse(&format!("{value}0")).unwrap_err(), CredentialError::Malformed);
        assert_eq!(Credential::parse(&value.replace("pat", "ses")).unwrap_err(), CredentialError::Checksum);
    }

    proptest! {
        #[test]
        fn every_generated_one_is_read_again(seed: u64) {
            let credential = token(seed);
            let read = Credential::parse(credential.expose()).unwrap();
            prop_assert_eq!(read.kind(), CredentialKind::Token);
            prop_assert_eq!(read.hash(), credential.hash());
        }

        #[test]
        fn one_changed_character_is_noticed(seed: u64, at in 0_usize..57, to in proptest::char::range('0', 'z')) {
            let value = token(seed).expose().to_owned();
            let mut characters: Vec<char> = value.chars().collect();
            prop_assume!(characters[at] != to);
            characters[at] = to;
            prop_assert!(Credential::parse(&characters.iter().collect::<String>()).is_err());
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Credential::parse(&text);
            let _ = Credential::parse(&format!("pcl_pat_{text}"));
        }
    }
}
