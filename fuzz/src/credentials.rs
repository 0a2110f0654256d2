use std::sync::LazyLock;

use access::{
    AccountId, Claims, Confinement, Credential, CredentialHash, CredentialId, CredentialKind, GrantedKind, KeyRing,
    Revision, SigningKey,
};
use api_gateway::rest;
use jiff::Timestamp;
use proto::Failure;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::calls::{self, LIMITS, WIDE, split};
use crate::{Outcome, failures};

/// How many letters of a secret in a row are too many.
const PIECE: usize = 10;
/// The prefix of each kind is as long.
const PREFIX: usize = 8;
/// The letters of the checksum, at the end.
const CHECKSUM: usize = 6;
/// A checksum of 32 bits notices whatever was changed within as many.
const BURST: usize = 4;

/// What reads credentials. The first line says what the rest is:
/// - `parse`: a text that may be one;
/// - `edit KIND SEED AT`: what is put in place of a genuine one's letters, which must be noticed;
/// - `grant`: what may be a grant;
/// - else a call ([the format](crate)), in which `$TOKEN`, `$SESSION` and `$KEY` stand for genuine ones.
///
/// # Panics
/// Where something is taken for a credential that is none, a credential is not what was sent, or it is printed.
pub fn credentials(input: &[u8]) -> Outcome {
    let (first, rest) = split(input, b"\n").unwrap_or((input, b""));
    match first {
        b"parse" => parse(&String::from_utf8_lossy(rest)),
        b"grant" => grant(rest),
        _ => match first.strip_prefix(b"edit ") {
            Some(how) => edit(how, rest).unwrap_or(Outcome::Nothing),
            None => call(input),
        },
    }
}

fn parse(text: &str) -> Outcome {
    if let Ok(hash) = text.parse::<CredentialHash>() {
        assert_eq!(hash.to_string(), text.to_ascii_lowercase(), "a hash is written as it was read");
        return Outcome::Accepted;
    }
    match Credential::parse(text) {
        Ok(credential) => {
            genuine(&credential, text);
            Outcome::Accepted
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(text.len() < PIECE || !told.contains(text), "{told}");
            Outcome::Refused
        }
    }
}

/// It is the text, and shows it to nobody.
fn genuine(credential: &Credential, text: &str) {
    assert_eq!(credential.expose(), text);
    let again = Credential::parse(text).expect("it was read before");
    assert_eq!((again.kind(), again.hash()), (credential.kind(), credential.hash()));
    assert_eq!(text.len(), PREFIX + 43 + CHECKSUM);
    assert!(text.starts_with(prefix(credential.kind())));
    let printed = format!("{credential:?} {:?} {:?}", credential.hash(), credential.bearer());
    assert!(!shows(&printed, text), "{printed}");
}

/// Whether a text shows any part of a credential's secret.
fn shows(text: impl AsRef<[u8]>, credential: &str) -> bool {
    credential.as_bytes()[PREFIX..].windows(PIECE).any(|piece| split(text.as_ref(), piece).is_some())
}

fn prefix(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Token => "pcl_pat_",
        CredentialKind::Session => "pcl_ses_",
        CredentialKind::Service => "pcl_svc_",
    }
}

fn edit(how: &[u8], put: &[u8]) -> Option<Outcome> {
    let mut words = str::from_utf8(how).ok()?.split(' ');
    let (kind, seed, at) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse::<usize>().ok()?);
    let kinds = [CredentialKind::Token, CredentialKind::Session, CredentialKind::Service];
    let kind = kinds.into_iter().find(|known| prefix(*known)[4..7] == *kind)?;
    let credential = Credential::generate(kind, &mut StdRng::seed_from_u64(seed));
    let value = credential.expose();
    genuine(&credential, value);

    let put = str::from_utf8(put).ok()?;
    let end = at.checked_add(put.len()).filter(|end| *end <= value.len() && put.len() <= BURST)?;
    // Over the border a wrong checksum could be made to fit.
    let border = value.len() - CHECKSUM;
    if at < border && border < end {
        return None;
    }
    let edited = format!("{}{put}{}", value.get(..at)?, value.get(end..)?);
    let read = Credential::parse(&edited);
    assert_eq!(read.is_ok(), edited == value, "{edited} was made of {value}");
    Some(if read.is_ok() { Outcome::Accepted } else { Outcome::Refused })
}

fn grant(bytes: &[u8]) -> Outcome {
    static GENUINE: LazyLock<(KeyRing, Claims)> = LazyLock::new(|| {
        let key = SigningKey::generate(&mut StdRng::seed_from_u64(1));
        let ring = KeyRing::default();
        ring.replace(vec![key.verifying_key()]);
        (ring, claims())
    });
    let (ring, claims) = &*GENUINE;
    match ring.verify(bytes, &claims.audience, claims.issued_at) {
        // Whatever stands beside it, only what was signed counts.
        Ok(read) => {
            assert_eq!(read, *claims);
            Outcome::Accepted
        }
        Err(_) => Outcome::Refused,
    }
}

/// What is said in the one grant that is genuine.
fn claims() -> Claims {
    let at = |second| Timestamp::from_second(second).expect("long ago");
    Claims {
        credential: CredentialId { kind: GrantedKind::Token, number: 7 },
        account: AccountId(3),
        administrator: false,
        permissions: [proto::catalog::PermissionId(3)].into_iter().collect(),
        confinement: Confinement {
            environments: vec!["staging-*".parse().expect("a pattern")],
            networks: vec!["10.0.0.0/8".parse().expect("a network")],
        },
        audience: "environment-service".to_owned(),
        issued_at: at(1_000),
        expires_at: at(1_060),
        as_of: Revision(42),
        credential_expires_at: Some(at(2_000)),
        superseded: false,
    }
}

/// A name in an input, and the credential that it stands for.
static NAMED: LazyLock<[(&str, Credential); 3]> = LazyLock::new(|| {
    let mut rng = StdRng::seed_from_u64(1);
    [
        ("$TOKEN", Credential::generate(CredentialKind::Token, &mut rng)),
        ("$SESSION", Credential::generate(CredentialKind::Session, &mut rng)),
        ("$KEY", Credential::generate(CredentialKind::Service, &mut rng)),
    ]
});

fn call(input: &[u8]) -> Outcome {
    // The fuzzer sees what its inputs are compared with, and comes to know a piece of a secret by itself. Alone, behind no prefix, nothing
    // tells that it is one.
    if NAMED.iter().any(|(_, credential)| shows(input, credential.expose())) {
        return Outcome::Nothing;
    }
    let input = with_credentials(input);
    let Some(request) = calls::request(&input) else { return Outcome::Nothing };
    let method = calls::method(request.uri().path());
    let key = calls::finish(rest::client_key(request.clone(), LIMITS));
    let call = match calls::read(request, WIDE) {
        Ok(call) => call,
        Err(failure) => {
            failures::look_at(method, &failure);
            return Outcome::Refused;
        }
    };
    let shown = call.credential();
    let failures = [shown.as_ref().err(), key.as_ref().err()].into_iter().flatten();
    failures.chain(&call.message().err()).for_each(tells_none);
    let key = key.ok().inspect(|key| assert_eq!(key.kind(), CredentialKind::Service));
    let shown = shown.ok().flatten().and_then(|text| Credential::parse(&text).ok());
    if shown.is_none() && key.is_none() {
        return Outcome::Refused;
    }
    for credential in shown.iter().chain(&key) {
        genuine(credential, credential.expose());
    }
    Outcome::Accepted
}

fn with_credentials(input: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::new(), input);
    while let Some((letter, behind)) = rest.split_first() {
        let named = NAMED.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
        match named {
            Some((name, credential)) => {
                text.extend_from_slice(credential.expose().as_bytes());
                rest = &rest[name.len()..];
            }
            None => {
                text.push(*letter);
                rest = behind;
            }
        }
    }
    text
}

fn tells_none(failure: &Failure) {
    for text in failures::everything(failure) {
        let shown = NAMED.iter().any(|(_, credential)| shows(&text, credential.expose()));
        assert!(!shown, "a failure shows a credential: {text}");
    }
}
