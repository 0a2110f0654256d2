//! Evidence that a call is allowed. Only the access layer can make it, so a handler that has it need not ask.

use proto::rule;

use crate::{AccountId, Claims, Confinement, CredentialId, Origin, Revision};

/// A call that anyone may make.
#[derive(Clone, Debug)]
pub struct PublicPermit {
    origin: Origin,
}

/// A call that an account may make with the credential that it showed.
#[derive(Clone, Debug)]
pub struct AccountPermit {
    claims: Claims,
    origin: Origin,
}

/// A call that an account may make, shown by a session.
#[derive(Clone, Debug)]
pub struct SessionPermit(AccountPermit);

/// A call that an administrator may make, shown by a session.
#[derive(Clone, Debug)]
pub struct AdministratorPermit(SessionPermit);

/// A call that a service of the installation may make.
#[derive(Clone, Debug)]
pub struct ServicePermit {
    name: String,
    origin: Origin,
}

/// A call that nobody may make: there is no value of it.
#[derive(Clone, Debug)]
pub enum NoPermit {}

impl PublicPermit {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin }
    }

    /// Where the call came in.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl AccountPermit {
    pub(crate) fn new(claims: Claims, origin: Origin) -> Self {
        Self { claims, origin }
    }

    /// Where the call came in.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What the credential is confined to. The layer has looked at what the request names; a list is for its handler to cut.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.claims.confinement
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.claims.account
    }

    /// The credential that was shown.
    #[must_use]
    pub fn credential(&self) -> CredentialId {
        self.claims.credential
    }

    /// Whether a token was shown by its value of before its last regeneration.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.claims.superseded
    }

    /// The revision that the credential was read at.
    #[must_use]
    pub fn as_of(&self) -> Revision {
        self.claims.as_of
    }
}

impl SessionPermit {
    pub(crate) fn new(claims: Claims, origin: Origin) -> Self {
        Self(AccountPermit::new(claims, origin))
    }

    /// Where the call came in.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.0.origin()
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.0.account()
    }

    /// The session's number.
    #[must_use]
    pub fn session(&self) -> i64 {
        self.0.credential().number
    }
}

impl AdministratorPermit {
    pub(crate) fn new(claims: Claims, origin: Origin) -> Self {
        Self(SessionPermit::new(claims, origin))
    }

    /// The session that the administrator is signed in with.
    #[must_use]
    pub fn session(&self) -> &SessionPermit {
        &self.0
    }
}

impl ServicePermit {
    pub(crate) fn new(name: &str, origin: Origin) -> Self {
        Self { name: name.to_owned(), origin }
    }

    /// Where the call came in.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The service's name, as the authority knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What an access rule gives to the handlers under it.
pub trait Evidence {
    /// The permit.
    type Permit: Clone + Send + Sync + 'static;

    /// Whether the permit rests on a grant, which can become untrue while a stream lasts.
    const UNDER_GRANT: bool = true;

    /// What the caller's credential is confined to. Only tokens are, and only these rules open methods to tokens.
    fn confinement(_: &Self::Permit) -> &Confinement {
        const { &Confinement::NONE }
    }
}

impl Evidence for rule::Public {
    type Permit = PublicPermit;

    const UNDER_GRANT: bool = false;
}
impl Evidence for rule::Authenticated {
    type Permit = AccountPermit;

    fn confinement(permit: &AccountPermit) -> &Confinement {
        permit.confinement()
    }
}
impl Evidence for rule::Permission {
    type Permit = AccountPermit;

    fn confinement(permit: &AccountPermit) -> &Confinement {
        permit.confinement()
    }
}
impl Evidence for rule::Session {
    type Permit = SessionPermit;
}
impl Evidence for rule::SessionWithPassword {
    type Permit = SessionPermit;
}
impl Evidence for rule::Administrator {
    type Permit = AdministratorPermit;
}
impl Evidence for rule::AdministratorWithPassword {
    type Permit = AdministratorPermit;
}
impl Evidence for rule::Service {
    type Permit = ServicePermit;

    const UNDER_GRANT: bool = false;
}
impl Evidence for rule::Undeclared {
    type Permit = NoPermit;
}
