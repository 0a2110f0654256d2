//! Whether anything was executed under what had been taken away: a pure function of the history.

use std::fmt;

use crate::history::{Admission, Call, History, Micros, Outcome, Revocation, Taken, Verdict};

/// Something that was executed although it must not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A call that began after the confirmation was answered with success.
    Executed(Call, Revocation),
    /// A call that came to the environment-service after the confirmation was admitted there.
    Admitted(Admission, Revocation),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executed(call, revocation) => {
                let late = call.began.saturating_sub(revocation.confirmed().unwrap_or_default());
                write!(f, "executed {} ms after the confirmation: {call:?}; {revocation:?}", late / 1000)
            }
            Self::Admitted(admission, revocation) => {
                write!(f, "admitted after the confirmation: {admission:?}; {revocation:?}")
            }
        }
    }
}

/// What the check says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What was executed although it must not have been.
    pub violations: Vec<Violation>,
    /// How many calls began after the confirmation that took away what they needed: without any, nothing is shown.
    pub tried: usize,
    /// How many of these within a second of it.
    pub tried_at_once: usize,
}

impl Findings {
    /// How many calls were answered with success.
    #[must_use]
    pub fn executed(&self) -> usize {
        self.violations.iter().filter(|violation| matches!(violation, Violation::Executed(..))).count()
    }

    /// How many calls were admitted, whatever was answered.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.violations.len() - self.executed()
    }
}

/// Looks at every call and every admission.
#[must_use]
pub fn check(history: &History) -> Findings {
    const SECOND: Micros = 1_000_000;
    let revocations = history.revocations_by_credential();
    let mut findings = Findings::default();
    for call in &history.calls {
        let of_credential = revocations.get(&call.credential).into_iter().flatten();
        let hit = of_credential.filter(|revocation| forbids(revocation, call)).min_by_key(|hit| hit.confirmed());
        let Some(revocation) = hit else { continue };
        findings.tried += 1;
        let late = call.began - revocation.confirmed().unwrap_or(call.began);
        findings.tried_at_once += usize::from(late < SECOND);
        if call.outcome == Outcome::Executed {
            findings.violations.push(Violation::Executed(*call, **revocation));
        }
    }
    for admission in &history.admissions {
        let mut of_credential = revocations.get(&admission.credential).into_iter().flatten();
        if let Some(revocation) = of_credential.find(|revocation| forbids_admission(revocation, admission)) {
            findings.violations.push(Violation::Admitted(*admission, **revocation));
        }
    }
    findings
}

/// Whether a call needed what had been taken away when it began.
fn forbids(revocation: &Revocation, call: &Call) -> bool {
    let needed = match revocation.taken {
        Taken::Credential => true,
        Taken::Value(value) => call.value <= value,
        Taken::Method(method) => call.method == method,
    };
    needed && revocation.confirmed().is_some_and(|confirmed| call.began > confirmed)
}

/// The log names no value: after a regeneration, only a grant is known to be of the old value that was made before anybody
/// asked for the new one.
fn forbids_admission(revocation: &Revocation, admission: &Admission) -> bool {
    let Verdict::Confirmed { wall, .. } = revocation.verdict else { return false };
    let needed = match revocation.taken {
        Taken::Credential => true,
        Taken::Value(_) => admission.granted < revocation.began_wall,
        Taken::Method(method) => admission.method == method,
    };
    needed && admission.arrived > wall
}

#[cfg(test)]
mod tests;
