//! What accounts, sessions and tokens are, without a word of how they are kept or reached.

mod account;
mod audit;
mod session;
mod token;

pub(crate) use account::{Account, AccountState};
pub use account::{Login, LoginError, NewAccount, NewPassword, PasswordError, Role};
pub(crate) use audit::AuditEntry;
pub(crate) use session::{NewSession, Session};
pub(crate) use token::{
    ApiSet, ApiSetError, Description, DescriptionError, Expiry, ExpiryError, LastUse, NewExpiry, NewToken, NewValue,
    Selection, Token, TokenChange, environments, networks,
};
