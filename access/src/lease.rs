//! Leases: how what was introspected is remembered, and a revocation counts at once all the same. Whoever serves from
//! remembered introspections or executes under grants is a *holder*: it has a stream to the authority, on which changes come
//! down and acknowledgements go up, and a lease, without which it remembers nothing and executes nothing. The authority
//! confirms a change when each holder has acknowledged it or has no lease any more.
//!
//! [`Holder`], [`Line`] and [`Confirmation`] are the protocol: pure, with time as a parameter. The model checker
//! (`tests/model`) runs the very same functions. Sockets, timers and memory stand around them: [`LeaseKeeper`] keeps a process's
//! lease, [`LeaseHandle`] asks it, [`Memory`] remembers what it allows.

mod confirmation;
mod handle;
mod holder;
mod keeper;
mod line;
mod memory;
mod metrics;
pub mod wire;

pub use confirmation::{Confirmation, Live};
pub use handle::{LeaseHandle, LeaseStatus, Refusals};
pub use holder::{Disorder, Holder, Refusal, Resume};
pub use keeper::LeaseKeeper;
pub use line::{Line, Log};
pub use memory::{Bounds, Counts, Memorable, Memory, Recalled};

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::{AccountId, Claims, CredentialId, Revision};

/// A holder: a process, from its start to its end. One that starts again is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HolderId(pub Uuid);

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A change to what a credential may do, or all credentials of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Its place in the order in which changes were committed. Each is one more than the one before.
    pub revision: Revision,
    /// The account that the credential belongs to.
    pub account: AccountId,
    /// The credential; all of the account's, where there is none.
    pub credential: Option<CredentialId>,
}

/// What was said of a credential, as far as a change can make it untrue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The credential.
    pub credential: CredentialId,
    /// Its account.
    pub account: AccountId,
    /// The newest revision that was committed before the credential was read.
    pub as_of: Revision,
}

/// How new what the authority says of a credential has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Read now, whatever it remembers.
    Now,
    /// Read when this change had been committed. A holder asks for its [floor](Holder::floor): of what is older, it does not
    /// know whether it is still true.
    NotBefore(Revision),
}

impl From<&Claims> for Statement {
    fn from(claims: &Claims) -> Self {
        Self { credential: claims.credential, account: claims.account, as_of: claims.as_of }
    }
}

/// What a holder tells the authority on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToAuthority {
    /// Asks for a lease from now on.
    Ask {
        /// The question's number on this stream.
        number: u64,
    },
    /// Every change up to this one is applied.
    Acknowledge {
        /// The newest that is.
        revision: Revision,
    },
    /// The lease is given back: nothing is served or executed under it any more.
    Release,
}

/// What the authority tells a holder on its stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToHolder {
    /// The first of all: where the changes begin that follow.
    Begin {
        /// Every change after this one follows.
        after: Revision,
        /// How long a change is to be remembered: until every grant that is older than it has expired.
        remember_for: Duration,
    },
    /// Changes, in their order.
    Changes(Vec<Change>),
    /// The answer to a question for a lease.
    Lease {
        /// The question's number.
        number: u64,
        /// How long the lease is good, from the question on.
        duration: Duration,
        /// The newest change that was committed when the lease had been written down.
        revision: Revision,
    },
}
