use access::{AccountId, Origin};
use jiff::Timestamp;

use super::{Guessed, Session, Subject};

/// What was done or tried: a line of the audit log. No text in it is a secret, or could be one that was typed into a wrong
/// field.
#[derive(Clone, Debug)]
pub(crate) struct AuditEntry {
    pub(crate) at: Timestamp,
    /// The account that it concerns, where one is known.
    pub(crate) account: Option<AccountId>,
    /// Who did it: `session 7`, `token 12`, `service api-gateway`, `operator`, `anonymous`.
    pub(crate) actor: String,
    /// What was done: `token.create`.
    pub(crate) action: &'static str,
    /// What it was done to: `token 12`.
    pub(crate) object: String,
    /// `SUCCESS`, or the reason of the failure.
    pub(crate) outcome: &'static str,
    pub(crate) origin: Origin,
    /// What was changed, by the names of parameters; empty where the action says it all.
    pub(crate) changes: String,
}

/// The outcome of what was done.
const SUCCESS: &str = "SUCCESS";

/// The outcome of what came too early.
const THROTTLED: &str = "THROTTLED";

impl AuditEntry {
    /// What an account's owner has done to the account.
    pub(crate) fn by_session(session: &Session, action: &'static str, object: String, at: Timestamp) -> Self {
        Self {
            at,
            account: Some(session.account),
            actor: format!("session {}", session.id),
            action,
            object,
            outcome: SUCCESS,
            origin: session.origin.clone(),
            changes: String::new(),
        }
    }

    /// What somebody without a credential has done.
    pub(crate) fn by_anybody(account: Option<AccountId>, action: &'static str, origin: &Origin, at: Timestamp) -> Self {
        Self {
            at,
            account,
            actor: "anonymous".to_owned(),
            action,
            object: String::new(),
            outcome: SUCCESS,
            origin: origin.clone(),
            changes: String::new(),
        }
    }

    /// What a service has done that was given a credential's value.
    pub(crate) fn by_service(
        name: &str,
        account: AccountId,
        action: &'static str,
        object: String,
        origin: &Origin,
        at: Timestamp,
    ) -> Self {
        Self { actor: format!("service {name}"), object, ..Self::by_anybody(Some(account), action, origin, at) }
    }

    /// What a token has done to itself.
    pub(crate) fn by_token(id: i64, account: AccountId, action: &'static str, origin: &Origin, at: Timestamp) -> Self {
        let name = format!("token {id}");
        Self { actor: name.clone(), object: name, ..Self::by_anybody(Some(account), action, origin, at) }
    }

    /// What the operator has done, who has the database.
    pub(crate) fn by_operator(account: AccountId, action: &'static str, object: String, at: Timestamp) -> Self {
        Self {
            at,
            account: Some(account),
            actor: "operator".to_owned(),
            action,
            object,
            outcome: SUCCESS,
            origin: Origin::default(),
            changes: String::new(),
        }
    }

    /// What the operator has done to the authority itself.
    pub(crate) fn on_authority(action: &'static str, object: String, at: Timestamp) -> Self {
        Self { actor: "operator".to_owned(), object, ..Self::by_anybody(None, action, &Origin::default(), at) }
    }

    /// The first guess that a subject turned away since the last one that was looked at.
    pub(crate) fn turned_away(
        guessed: Guessed<'_>,
        by: &Subject,
        known: Option<AccountId>,
        origin: &Origin,
        at: Timestamp,
    ) -> Self {
        let action = guessed.action();
        let entry = match guessed {
            Guessed::Login(_) | Guessed::Credential => Self::by_anybody(known, action, origin, at),
            Guessed::Password(session) | Guessed::Code(session) | Guessed::RecoveryCode(session) => {
                Self::by_session(session, action, format!("account {}", session.account), at)
            }
        };
        let entry = entry.failed(THROTTLED);
        match by.site() {
            Some(site) => entry.about(format!("address {site}")),
            None => entry,
        }
    }

    /// How many guesses a subject has turned away, wherever they came from.
    pub(crate) fn count_turned_away(
        count: i64,
        guessed: Guessed<'_>,
        by: &Subject,
        known: Option<AccountId>,
        at: Timestamp,
    ) -> Self {
        let (account, object) = match by.site() {
            Some(site) => (None, format!("{count} from {site}")),
            None => (known, count.to_string()),
        };
        let entry = Self::by_anybody(account, guessed.action(), &Origin::default(), at).about(object);
        Self { actor: "authority".to_owned(), ..entry }.failed(THROTTLED)
    }

    /// The same, done to this.
    pub(crate) fn about(mut self, object: String) -> Self {
        self.object = object;
        self
    }

    /// The same, with these changes.
    pub(crate) fn with_changes(mut self, changes: String) -> Self {
        self.changes = changes;
        self
    }

    /// The same on another's account.
    pub(crate) fn on(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }

    /// The same, tried in vain.
    pub(crate) fn failed(mut self, reason: &'static str) -> Self {
        self.outcome = reason;
        self
    }
}
