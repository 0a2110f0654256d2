//! What accounts, sessions and tokens are, without a word of how they are kept or reached.

mod account;
mod audit;
mod credential_use;
mod notice;
mod password;
mod second_factor;
mod session;
mod throttle;
mod token;
mod token_changes;

pub(crate) use account::{Account, AccountChange, AccountInfo, AccountState};
pub use account::{Login, LoginError, NewAccount, Role};
pub(crate) use audit::AuditEntry;
pub(crate) use credential_use::{CredentialUse, DAYS_KEPT, day, day_text};
pub(crate) use notice::{Notice, NoticeKind};
pub(crate) use password::{AcceptedPassword, PasswordRules, normalized};
pub use password::{NewPassword, PasswordError};
pub(crate) use second_factor::{
    Code, CodeError, FactorSecret, FactorState, RecoveryCode, RecoveryHash, StoredFactor, TimeCode, UsedCode,
};
pub(crate) use session::{NewSession, OpenSession, Session, SessionState};
pub(crate) use throttle::{Allowance, Guessed, Subject, Throttle, Tries};
pub(crate) use token::{
    ApiSet, ApiSetError, Description, DescriptionError, Expiry, ExpiryError, LastUse, NewExpiry, NewToken, NewValue,
    Selection, Token, TokenChange, environments, networks,
};
