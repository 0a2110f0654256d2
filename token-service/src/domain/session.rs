use access::{AccountId, CredentialHash};
use jiff::Timestamp;

/// A session to be opened.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) account: AccountId,
    pub(crate) hash: CredentialHash,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Which session a change is made under: looked at again within the change's own transaction, since a session that has
/// just been ended must change nothing any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) account: AccountId,
}
