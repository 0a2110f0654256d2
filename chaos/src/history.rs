//! What was done to the system, and what it answered: all that the check knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A moment of the test process's monotonic clock: microseconds since it was set.
pub type Micros = u64;

/// A moment of the wall clock, which the services' logs have too: microseconds since 1970, UTC.
pub type WallMicros = i64;

/// The kinds of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A session.
    Session,
    /// A personal access token.
    Token,
}

/// A credential, by its number within its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Credential {
    /// Its kind.
    pub kind: Kind,
    /// Its number.
    pub number: i64,
}

/// The methods that are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `environment.control.GetEnvs`: every live credential may call it.
    GetEnvs,
    /// `environment.control.GetEnvInfo`: what an edit takes away.
    GetEnvInfo,
}

impl Method {
    /// Its public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GetEnvs => "environment.control.GetEnvs",
            Self::GetEnvInfo => "environment.control.GetEnvInfo",
        }
    }

    /// Its path at the gateway.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::GetEnvs => "/1.0/environment/control/rest/getenvs",
            Self::GetEnvInfo => "/1.0/environment/control/rest/getenvinfo",
        }
    }

    /// The method of a public name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        [Self::GetEnvs, Self::GetEnvInfo].into_iter().find(|method| method.name() == name)
    }
}

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was executed: `result` was 0.
    Executed,
    /// It was answered with another `result`.
    Refused(i64),
    /// There was no answer: it was executed or not.
    Unknown,
}

/// A call under a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The credential.
    pub credential: Credential,
    /// Which of its values: 0 for the first, and one more for each regeneration.
    pub value: u32,
    /// The method.
    pub method: Method,
    /// The number of the gateway.
    pub gateway: usize,
    /// When it began: before the first byte was sent.
    pub began: Micros,
    /// When it ended: after the last byte was read.
    pub ended: Micros,
    /// How.
    pub outcome: Outcome,
}

/// How something was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `DeleteTokens`, several at once.
    DeleteTokens,
    /// `RevokeCredential` by gRPC, with a service's key.
    RevokeCredential,
    /// `EditToken`, without one of the methods.
    EditToken,
    /// `RegenerateToken`.
    RegenerateToken,
    /// `Signout`, with the session itself.
    Signout,
    /// `ChangePassword`, which ends the account's other sessions.
    ChangePassword,
}

/// What was taken away of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// All of it.
    Credential,
    /// This value and those before it.
    Value(u32),
    /// The permission for a method.
    Method(Method),
}

/// How a revocation ended for who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was answered with success.
    Confirmed {
        /// When the answer was there.
        at: Micros,
        /// The same by the wall clock.
        wall: WallMicros,
    },
    /// An attempt without an answer was followed by one that found it done. Nobody has promised anything of it.
    Gone,
    /// It was never answered: done or not.
    Unanswered,
}

/// The revocation of one credential. A request that revokes several is as many of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The credential.
    pub credential: Credential,
    /// What of it was taken.
    pub taken: Taken,
    /// How.
    pub way: Way,
    /// When it was asked for first.
    pub began: Micros,
    /// The same by the wall clock.
    pub began_wall: WallMicros,
    /// When the attempt was begun that decided.
    pub last_attempt: Micros,
    /// How many attempts were made.
    pub attempts: u32,
    /// The gateway of the last attempt; none where an authority was asked directly.
    pub gateway: Option<usize>,
    /// How it ended.
    pub verdict: Verdict,
}

impl Revocation {
    /// When it was confirmed.
    #[must_use]
    pub fn confirmed(&self) -> Option<Micros> {
        let Verdict::Confirmed { at, .. } = self.verdict else { return None };
        Some(at)
    }
}

/// A fault that was made, up to the moment at which all was well again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its kind, as it is counted.
    pub kind: String,
    /// What it was done to.
    pub victim: String,
    /// What more there is to know: how long, how slow.
    pub detail: String,
    /// When it began.
    pub began: Micros,
    /// When its effects had ended: everything was up and ready.
    pub ended: Micros,
}

/// A call that the environment-service admitted, from its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The credential of the grant.
    pub credential: Credential,
    /// The method.
    pub method: Method,
    /// When the call had come, before anything was decided.
    pub arrived: WallMicros,
    /// When the grant says that the credential was read.
    pub granted: WallMicros,
}

/// All that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// How long a lease is, in microseconds.
    pub lease: Micros,
    /// When the clients began, and when they had ended.
    pub span: (Micros, Micros),
    /// The calls.
    pub calls: Vec<Call>,
    /// The revocations.
    pub revocations: Vec<Revocation>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// What the environment-service says that it admitted.
    pub admissions: Vec<Admission>,
}

impl History {
    /// The revocations by credential.
    #[must_use]
    pub fn revocations_by_credential(&self) -> BTreeMap<Credential, Vec<&Revocation>> {
        let mut by_credential = BTreeMap::<_, Vec<_>>::new();
        for revocation in &self.revocations {
            by_credential.entry(revocation.credential).or_default().push(revocation);
        }
        by_credential
    }
}
