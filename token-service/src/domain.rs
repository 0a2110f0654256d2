//! What accounts, sessions and tokens are, without a word of how they are kept or reached.

mod account;
mod session;
mod token;

pub(crate) use account::{Account, AccountState};
pub use account::{Login, LoginError, NewAccount, NewPassword, PasswordError, Role};
pub(crate) use session::{NewSession, Session};
pub(crate) use token::{
    ApiSet, ApiSetError, Description, DescriptionError, Expiry, ExpiryError, NewToken, Selection, Token, TokenChange,
};
