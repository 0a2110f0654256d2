//! What one account's writer did, and what was found of it after a kill.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// A token's number.
pub type TokenId = i64;

/// What of a token can be edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// What it is called.
    pub description: String,
    /// The methods that it may call.
    pub methods: BTreeSet<String>,
    /// The moment from which on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A token's value. It is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub String);

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value([redacted])")
    }
}

/// A change that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A token is made.
    Create(Fields),
    /// All of a token's fields become others.
    Edit(TokenId, Fields),
    /// A token gets a new value and another expiry.
    Regenerate(TokenId, Option<Timestamp>),
    /// Tokens are deleted, all of them or none.
    Delete(BTreeSet<TokenId>),
}

/// What an acknowledgement said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A token was made, with this number and value.
    Created(TokenId, Value),
    /// It is done.
    Edited,
    /// A token has this value now.
    Regenerated(Value),
    /// It is done.
    Deleted,
}

/// How a change ended for who had asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged: it must be there.
    Acknowledged(Answer),
    /// Nothing was heard of it: it is there as a whole, or not at all.
    Unanswered,
    /// It was refused, although nothing was wrong with it: an earlier one is lost.
    Refused(String),
}

/// What a writer did between two kills, in its order. Only the last can be without an answer: it ends the writer's work.
pub type Work = Vec<(Change, Outcome)>;

/// What is found of one account after a restart.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The tokens, as they are listed. One that is listed twice is here twice.
    pub tokens: Vec<(TokenId, Fields)>,
    /// The values that were introspected, and the token that each is alive for.
    pub values: BTreeMap<Value, Option<TokenId>>,
    /// The tokens of the account's rows in the change log, in the order of their revisions.
    pub log: Vec<TokenId>,
}

/// A token that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) fields: Fields,
    /// Its value, where its writer was told.
    pub(crate) value: Option<Value>,
}

/// What must be there of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub(crate) tokens: BTreeMap<TokenId, Token>,
    /// Values that were alive once and must never be again.
    pub(crate) dead: BTreeSet<Value>,
    pub(crate) log: Vec<TokenId>,
}

impl Account {
    /// The tokens that must be there.
    #[must_use]
    pub fn tokens(&self) -> Vec<TokenId> {
        self.tokens.keys().copied().collect()
    }

    /// The values that must be alive.
    pub fn alive(&self) -> impl Iterator<Item = &Value> {
        self.tokens.values().filter_map(|token| token.value.as_ref())
    }

    /// The values that must be dead.
    pub fn dead(&self) -> impl Iterator<Item = &Value> {
        self.dead.iter()
    }

    /// Whether a value must be dead.
    #[must_use]
    pub fn is_dead(&self, value: &Value) -> bool {
        self.dead.contains(value)
    }

    /// What must be there after all that was acknowledged of a work.
    #[must_use]
    pub fn after(&self, work: &Work) -> Self {
        let mut account = self.clone();
        for (change, outcome) in work {
            if let Outcome::Acknowledged(answer) = outcome {
                account.apply(change, answer);
            }
        }
        account
    }

    /// What must be there after a change that was acknowledged.
    pub fn apply(&mut self, change: &Change, answer: &Answer) {
        match (change, answer) {
            (Change::Create(fields), Answer::Created(id, value)) => {
                self.tokens.insert(*id, Token { fields: fields.clone(), value: Some(value.clone()) });
            }
            (Change::Regenerate(id, expires_at), Answer::Regenerated(value)) => {
                self.regenerate(*id, *expires_at, Some(value.clone()));
            }
            (change, _) => self.apply_unanswered(change, None),
        }
    }

    /// What is there if a change was made that nothing was heard of: `created` is the token that it would have made.
    pub(crate) fn apply_unanswered(&mut self, change: &Change, created: Option<TokenId>) {
        match change {
            Change::Create(fields) => {
                if let Some(id) = created {
                    self.tokens.insert(id, Token { fields: fields.clone(), value: None });
                }
            }
            Change::Edit(id, fields) => {
                if let Some(token) = self.tokens.get_mut(id) {
                    token.fields = fields.clone();
                }
                self.log.push(*id);
            }
            Change::Regenerate(id, expires_at) => self.regenerate(*id, *expires_at, None),
            Change::Delete(ids) => {
                for id in ids {
                    let deleted = self.tokens.remove(id);
                    self.dead.extend(deleted.and_then(|token| token.value));
                    self.log.push(*id);
                }
            }
        }
    }

    fn regenerate(&mut self, id: TokenId, expires_at: Option<Timestamp>, value: Option<Value>) {
        if let Some(token) = self.tokens.get_mut(&id) {
            self.dead.extend(std::mem::replace(&mut token.value, value));
            // What is not given stays.
            token.fields.expires_at = expires_at.or(token.fields.expires_at);
        }
        self.log.push(id);
    }
}

impl Change {
    /// The tokens that it is about; none for one that is still to be made.
    pub(crate) fn tokens(&self) -> Vec<TokenId> {
        match self {
            Self::Create(_) => Vec::new(),
            Self::Edit(id, _) | Self::Regenerate(id, _) => vec![*id],
            Self::Delete(ids) => ids.iter().copied().collect(),
        }
    }
}
