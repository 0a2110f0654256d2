//! The second factor of an account: the codes of an authenticator (TOTP, RFC 6238) and recovery codes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};
use zeroize::{Zeroize, Zeroizing};

/// What RFC 4226 (section 4, R6) recommends: 160 bits.
pub(crate) const SECRET_BYTES: usize = 20;

/// How long a code of the authenticator is shown, in seconds.
const STEP: i64 = 30;

/// How many steps an authenticator's clock may be off (RFC 6238, section 5.2: one).
const SKEW: i64 = 1;

const DIGITS: usize = 6;

/// How many recovery codes an account gets.
const RECOVERY_CODES: usize = 10;

/// The digits of a recovery code, Crockford's base 32: none looks like another. 16 of them are 80 random bits, so that a plain
/// hash of them tells nobody anything.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LETTERS: usize = 16;
const GROUP: usize = 4;

/// The secret that an authenticator makes codes of.
pub(crate) struct FactorSecret(Zeroizing<[u8; SECRET_BYTES]>);

/// What somebody shows as the second factor.
#[derive(Debug)]
pub(crate) enum Code {
    /// What the authenticator shows.
    Time(TimeCode),
    /// A recovery code.
    Recovery(RecoveryHash),
}

/// Six digits that an authenticator shows for thirty seconds.
pub(crate) struct TimeCode(Zeroizing<String>);

/// A recovery code, as it is told once.
pub(crate) struct RecoveryCode(Zeroizing<String>);

/// SHA-256 of a recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecoveryHash([u8; 32]);

/// A second factor as it is kept.
#[derive(Debug)]
pub(crate) struct StoredFactor {
    /// Its secret, sealed.
    pub(crate) sealed: Vec<u8>,
    pub(crate) state: FactorState,
    /// The last step whose code was used.
    pub(crate) last_step: i64,
}

/// Whether sign-ins need a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FactorState {
    /// Not yet: its first code has not been seen.
    Pending,
    /// They do.
    Active,
}

/// A code that is right and is to be used up.
#[derive(Debug)]
pub(crate) enum UsedCode {
    /// That of a step, of the authenticator whose secret is sealed so.
    Time {
        /// The step.
        step: i64,
        /// The sealed secret.
        sealed: Vec<u8>,
    },
    /// A recovery code, if it is one.
    Recovery(RecoveryHash),
}

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodeError {
    #[error("must be the six digits that the authenticator shows, or a recovery code")]
    Neither,
    #[error("must be the six digits that the authenticator shows")]
    NotSixDigits,
}

impl FactorSecret {
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    pub(crate) fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// In base32 (RFC 4648), without padding: as authenticators take it.
    pub(crate) fn to_base32(&self) -> String {
        self.totp("", "").secret().to_base32()
    }

    /// What an authenticator reads from a QR code: `otpauth://totp/Issuer:login?secret=…&issuer=Issuer`.
    pub(crate) fn uri(&self, issuer: &str, login: &str) -> String {
        self.totp(issuer, login).to_url().expect("there is an account's name, without a colon")
    }

    /// The step of a code, where it is right at a moment and newer than the last step whose code was used.
    pub(crate) fn step(&self, code: &TimeCode, now: Timestamp, last_used: i64) -> Option<i64> {
        let present = now.as_second().div_euclid(STEP);
        let totp = self.totp("", "");
        let mut steps = (present - SKEW..=present + SKEW).filter(|step| *step > last_used);
        steps.find(|step| u64::try_from(step * STEP).is_ok_and(|begin| totp.check(&code.0, begin).is_some()))
    }

    fn totp(&self, issuer: &str, login: &str) -> Totp {
        // A label is parted by colons; it is for people only.
        let label = |text: &str| text.replace(':', "-");
        let secret = Secret::new(self.expose().into());
        let issuer = Some(label(issuer)).filter(|issuer| !issuer.is_empty());
        // Which steps are looked at is decided here, so the crate is to look at one.
        let builder =
            Builder::new().with_secret(secret).with_skew(0).with_account_name(label(login)).with_issuer(issuer);
        builder.build().expect("the secret is long enough, and no text has a colon")
    }
}

impl fmt::Debug for FactorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorSecret([redacted])")
    }
}

impl fmt::Debug for TimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeCode([redacted])")
    }
}

impl FromStr for TimeCode {
    type Err = CodeError;

    /// Blanks and hyphens between the digits are nothing.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let digits = letters(text);
        let right = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        if right { Ok(Self(digits)) } else { Err(CodeError::NotSixDigits) }
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        if let Ok(code) = text.parse() {
            return Ok(Self::Time(code));
        }
        let code = letters(text);
        let right = code.len() == LETTERS && code.bytes().all(|byte| ALPHABET.contains(&byte));
        if right { Ok(Self::Recovery(RecoveryHash::of(&code))) } else { Err(CodeError::Neither) }
    }
}

/// What is typed, without what only parts it, and with the letters that Crockford takes for digits.
fn letters(text: &str) -> Zeroizing<String> {
    // Room for all of it at once: what is moved would leave a copy behind.
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    let typed = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-');
    letters.extend(typed.map(|letter| match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        letter => letter,
    }));
    letters
}

impl RecoveryCode {
    /// All that an account gets.
    pub(crate) fn generate_all(rng: &mut impl CryptoRng) -> Vec<Self> {
        (0..RECOVERY_CODES).map(|_| Self::generate(rng)).collect()
    }

    fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0_u8; LETTERS];
        rng.fill_bytes(&mut bytes);
        let mut text = Zeroizing::new(String::with_capacity(LETTERS + LETTERS / GROUP));
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(byte % 32)]));
        }
        bytes.zeroize();
        Self(text)
    }

    pub(crate) fn hash(&self) -> RecoveryHash {
        RecoveryHash::of(&letters(&self.0))
    }

    /// The code itself, for the one answer that tells it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl RecoveryHash {
    fn of(letters: &str) -> Self {
        Self(Sha256::digest(letters.as_bytes()).into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn code(text: &str) -> TimeCode {
        text.parse().unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, of whose eight digits six are the last ones.
        let secret = FactorSecret::new(*b"12345678901234567890");
        for (second, text) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(secret.step(&code(text), at(second), 0), Some(second / 30), "{text}");
        }
    }

    #[test]
    fn a_code_is_right_one_step_early_or_late_and_only_after_the_last_one_used() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        let right = code("287 082");
        for (second, step) in [(0, Some(1)), (29, Some(1)), (60, Some(1)), (89, Some(1)), (90, None), (10_000, None)] {
            assert_eq!(secret.step(&right, at(second), 0), step, "{second}");
        }
        assert_eq!(secret.step(&right, at(59), 1), None, "used before");
        assert_eq!(secret.step(&code("287083"), at(59), 0), None);
    }

    #[test]
    fn an_authenticator_is_told_all_it_needs() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        let expected = "otpauth://totp/My%20Cloud:a%40b-c?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20Cloud";
        assert_eq!(secret.uri("My Cloud", "a@b:c"), expected);
        assert_eq!(secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(format!("{secret:?} {:?}", code("287082")), "FactorSecret([redacted]) TimeCode([redacted])");
    }

    #[test]
    fn recovery_codes_are_read_however_they_are_typed() {
        let mut rng = StdRng::seed_from_u64(7);
        let codes = RecoveryCode::generate_all(&mut rng);
        assert_eq!(codes.len(), 10);
        for code in codes {
            let text = code.expose();
            assert_eq!(text.len(), 19, "{text}");
            for typed in
                [text.to_owned(), text.to_uppercase(), text.replace('-', " "), text.replace('0', "o").replace('1', "L")]
            {
                let Ok(Code::Recovery(hash)) = typed.parse() else { panic!("{typed}") };
                assert_eq!(hash, code.hash(), "{typed}");
            }
        }
        for wrong in
            ["", "12345", "1234567", "12345a", "+12345", "１２３４５６", "u234-5678-90ab-cdef", "0123-4567-89ab-cdef-0"]
        {
            assert_eq!(wrong.parse::<Code>().unwrap_err(), CodeError::Neither, "{wrong}");
        }
        assert_eq!("0123-4567-89ab-cdef".parse::<TimeCode>().unwrap_err(), CodeError::NotSixDigits);
    }
}
