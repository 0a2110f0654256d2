use access::{AccountId, CredentialHash, Origin};
use jiff::Timestamp;

/// What a session opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// All that its account may do.
    Active,
    /// The verification of the second factor, and nothing else.
    Pending,
}

/// A session to be opened.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) account: AccountId,
    /// The password's hash that the sign-in was verified by: it must still be the account's.
    pub(crate) password_hash: String,
    pub(crate) hash: CredentialHash,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// When it ends where a second factor is needed and does not come.
    pub(crate) pending_until: Timestamp,
    /// How many sessions the account may have, this one included.
    pub(crate) limit: i64,
    pub(crate) origin: Origin,
}

/// A session as its account's owner sees it.
#[derive(Debug)]
pub(crate) struct OpenSession {
    pub(crate) id: i64,
    pub(crate) address: String,
    pub(crate) user_agent: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) last_access_at: Timestamp,
}

/// Which session a change is made under, and from where: looked at again within the change's own transaction, since a
/// session that has just been ended must change nothing any more.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) account: AccountId,
    pub(crate) origin: Origin,
}
