//! How guessing is slowed down: some tries are free, and each one after them costs a wait that doubles. With time, tries are
//! forgotten again.

use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Login, Session};

/// The wait after the first try that is not free.
const FIRST_DELAY: SignedDuration = SignedDuration::from_secs(1);

/// How many bits of an IPv6 address tell a site: whoever has one address has all of these.
const SITE: u32 = 64;

const ADDRESS: &str = "address:";
const CONFIRMATION: &str = "confirmation:";
const REPORT: &str = "report:";

/// What is counted for an address.
const SHARED: [&str; 3] = [ADDRESS, CONFIRMATION, REPORT];

/// What a guess counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) allowance: Allowance,
}

/// How many wrong tries are free, and how long the wait gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) free: u32,
    pub(crate) longest: SignedDuration,
    /// After how long one try is forgotten.
    pub(crate) recovery: SignedDuration,
}

/// The tries of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tries {
    pub(crate) failures: i64,
    /// The moment from which on they are forgotten one by one.
    pub(crate) since: Timestamp,
    pub(crate) blocked_until: Timestamp,
    /// How many came too early since the last one that was looked at.
    pub(crate) turned_away: i64,
}

/// The allowances of this installation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    pub(crate) account: Allowance,
    pub(crate) address: Allowance,
    /// Codes are short, so whoever knows the password and guesses on must wait longer.
    pub(crate) code: Allowance,
}

/// What is guessed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guessed<'a> {
    /// A password, with a login that need not exist. What is no login at all counts for the address alone.
    Login(Option<&'a Login>),
    /// The password that confirms a change to an account.
    Password(&'a Session),
    /// What the authenticator of an account shows.
    Code(&'a Session),
    /// A recovery code. It has 80 random bits: nobody guesses one, so no number of wrong ones keeps its owner out of the account.
    RecoveryCode(&'a Session),
    /// The value of a credential, in a report that it is known to others.
    Credential,
}

impl Guessed<'_> {
    /// What the audit log calls it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Login(_) => "session.open",
            Self::Password(_) => "password.confirm",
            Self::Code(_) | Self::RecoveryCode(_) => "second_factor.verify",
            Self::Credential => "credential.report",
        }
    }
}

impl Tries {
    /// The tries with one more, or until when there may be none.
    pub(crate) fn another(self, allowance: Allowance, now: Timestamp) -> Result<Self, Timestamp> {
        if self.blocked_until > now {
            return Err(self.blocked_until);
        }
        let passed = now.duration_since(self.since).as_micros().max(0);
        let forgotten = i64::try_from(passed / allowance.recovery.as_micros()).unwrap_or(i64::MAX);
        let (left, since) = match self.failures.saturating_sub(forgotten) {
            ..=0 => (0, now),
            left => (left, self.since + allowance.recovery * i32::try_from(forgotten).unwrap_or(i32::MAX)),
        };
        let delay = allowance.delay(left + 1);
        // Of tries at once, another may have a slightly earlier clock: what costs no wait must not block it.
        let blocked_until = if delay.is_zero() { self.blocked_until } else { now + delay };
        Ok(Self { failures: left + 1, since, blocked_until, turned_away: 0 })
    }
}

impl Allowance {
    /// The wait after so many wrong tries in a row.
    fn delay(self, failures: i64) -> SignedDuration {
        let beyond = failures - i64::from(self.free);
        if beyond <= 0 {
            return SignedDuration::ZERO;
        }
        let doubled = u32::try_from(beyond - 1).ok().and_then(|times| 2_i32.checked_pow(times));
        doubled.map_or(self.longest, |times| FIRST_DELAY.saturating_mul(times).min(self.longest))
    }
}

impl Subject {
    /// Whether others may try under it as well: what is right for one of them makes nothing good for the others.
    pub(crate) fn is_shared(&self) -> bool {
        self.site().is_some()
    }

    /// The address, or its network, that it stands for.
    pub(crate) fn site(&self) -> Option<&str> {
        SHARED.iter().find_map(|prefix| self.name.strip_prefix(prefix))
    }
}

impl Throttle {
    /// What a guess counts for, in the order in which it is counted. A login is not kept as it was typed.
    pub(crate) fn subjects(&self, guessed: Guessed<'_>, address: Option<IpAddr>) -> Vec<Subject> {
        let from = address.map(site).map(|site| match guessed {
            Guessed::Credential => format!("{REPORT}{site}"),
            Guessed::Login(_) => format!("{ADDRESS}{site}"),
            // Apart from sign-ins, which anybody may try: who does so from the same address must not keep owners from changing their
            // tokens.
            Guessed::Password(_) | Guessed::Code(_) | Guessed::RecoveryCode(_) => format!("{CONFIRMATION}{site}"),
        });
        let at = match guessed {
            Guessed::Login(login) => login.map(|login| format!("login:{}", digest(login))),
            Guessed::Password(session) => Some(format!("password:{}", session.account)),
            Guessed::Code(session) => Some(format!("code:{}", session.account)),
            Guessed::RecoveryCode(_) | Guessed::Credential => None,
        };
        let allowance = if matches!(guessed, Guessed::Code(_)) { self.code } else { self.account };
        let from = from.map(|name| Subject { name, allowance: self.address });
        let at = at.map(|name| Subject { name, allowance });
        from.into_iter().chain(at).collect()
    }
}

/// Half of the login's SHA-256: enough to tell logins apart.
fn digest(login: &Login) -> String {
    let hash: [u8; 32] = Sha256::digest(login.as_str()).into();
    let half = hash.first_chunk().copied().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(half))
}

/// The addresses that are in one hand.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::MAX << (Ipv6Addr::BITS - SITE);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use access::{AccountId, Origin};

    use super::*;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    fn allowance(free: u32) -> Allowance {
        Allowance { free, longest: SECOND * 60, recovery: SECOND * 3600 }
    }

    #[test]
    fn the_wait_doubles_after_the_free_tries_up_to_its_longest() {
        let allowance = allowance(3);
        let delays: Vec<i64> = (0..12).map(|failures| allowance.delay(failures).as_secs()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(allowance.delay(i64::MAX), SECOND * 60);
        assert_eq!(self::allowance(0).delay(1), SECOND);
    }

    #[test]
    fn tries_are_counted_unless_they_have_to_wait_and_are_forgotten_one_by_one() {
        let begun = Timestamp::UNIX_EPOCH;
        let after = |seconds: i32| begun + SECOND * seconds;
        let none = Tries { failures: 0, since: begun, blocked_until: begun, turned_away: 0 };
        let first = none.another(allowance(1), after(10)).unwrap();
        assert_eq!(first, Tries { failures: 1, since: after(10), ..none });
        let second = first.another(allowance(1), after(10)).unwrap();
        assert_eq!(second, Tries { failures: 2, blocked_until: after(11), ..first });
        assert_eq!(second.another(allowance(1), after(10)), Err(after(11)));
        let early = Tries { turned_away: 5, ..second };
        let third = early.another(allowance(1), after(11)).unwrap();
        assert_eq!((third.failures, third.blocked_until, third.turned_away), (3, after(13), 0));

        // One is forgotten in an hour, however often somebody tries.
        let fourth = third.another(allowance(1), after(3610)).unwrap();
        assert_eq!((fourth.failures, fourth.since), (3, after(3610)));
        let fifth = fourth.another(allowance(1), after(7209)).unwrap();
        assert_eq!((fifth.failures, fifth.since), (4, after(3610)));
        let sixth = fifth.another(allowance(1), after(7300)).unwrap();
        assert_eq!((sixth.failures, sixth.since), (4, after(7210)));
        let late = sixth.another(allowance(1), after(1_000_000)).unwrap();
        assert_eq!(late, Tries { failures: 1, since: after(1_000_000), ..sixth });
    }

    #[test]
    fn a_guess_counts_for_its_object_and_its_site() {
        let throttle = Throttle { account: allowance(1), address: allowance(2), code: allowance(3) };
        let names = |guessed, address: &str| {
            let subjects = throttle.subjects(guessed, address.parse().ok());
            subjects.into_iter().map(|subject| subject.name).collect::<Vec<_>>()
        };
        let session = Session { id: 3, account: AccountId(7), origin: Origin::default() };
        let password = Guessed::Password(&session);
        assert_eq!(names(password, "192.0.2.1"), ["confirmation:192.0.2.1", "password:7"]);
        assert_eq!(names(password, "::ffff:192.0.2.1"), ["confirmation:192.0.2.1", "password:7"]);
        assert_eq!(names(password, "2001:db8:1:2:3::4"), ["confirmation:2001:db8:1:2::", "password:7"]);
        assert_eq!(names(password, ""), ["password:7"]);
        assert_eq!(names(Guessed::Code(&session), "192.0.2.1"), ["confirmation:192.0.2.1", "code:7"]);
        assert_eq!(names(Guessed::Credential, "192.0.2.1"), ["report:192.0.2.1"]);
        assert_eq!(names(Guessed::RecoveryCode(&session), "192.0.2.1"), ["confirmation:192.0.2.1"]);
        assert_eq!(names(Guessed::Login(None), "192.0.2.1"), ["address:192.0.2.1"]);
        let login = "Alice".parse().unwrap();
        let names = names(Guessed::Login(Some(&login)), "");
        assert!(names[0].starts_with("login:") && !names[0].contains("alice"), "{names:?}");
        let shared =
            |guessed| throttle.subjects(guessed, "192.0.2.1".parse().ok()).iter().map(Subject::is_shared).collect();
        let both: (Vec<bool>, Vec<bool>) = (shared(password), shared(Guessed::Credential));
        assert_eq!(both, (vec![true, false], vec![true]));
    }
}
