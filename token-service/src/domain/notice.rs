use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The first pause after an attempt that failed; it doubles up to the longest.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What the webhook is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    /// A token expires soon.
    Expiring,
    /// A token's value was reported to be known to others.
    Leaked,
    /// The value that a token had before its regeneration, and that lived on beside the present one, was reported.
    PreviousLeaked,
    /// A session's value was reported.
    SessionLeaked,
}

/// A message to the webhook.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) id: String,
    pub(crate) kind: NoticeKind,
    /// When the token expires, or when it was reported.
    pub(crate) about: Timestamp,
    pub(crate) attempts: i64,
    pub(crate) next_attempt_at: Timestamp,
    /// The token's number, or the session's.
    pub(crate) credential: i64,
    /// What the token is called; empty where it is deleted.
    pub(crate) description: String,
    pub(crate) account: i64,
    pub(crate) login: String,
    pub(crate) email: String,
}

impl Notice {
    /// The message's body, in the form of Standard Webhooks.
    pub(crate) fn body(&self, now: Timestamp) -> Value {
        let (kind, of, moment) = match self.kind {
            NoticeKind::Expiring => ("token.expiring", "token", "expiresAt"),
            NoticeKind::Leaked => ("token.leaked", "token", "leakedAt"),
            NoticeKind::PreviousLeaked => ("token.leaked", "token", "previousLeakedAt"),
            NoticeKind::SessionLeaked => ("session.leaked", "session", "leakedAt"),
        };
        let mut credential = json!({ "id": self.credential, moment: self.about.to_string() });
        if of == "token" {
            credential["description"] = json!(self.description);
        }
        json!({
            "type": kind,
            "timestamp": now.to_string(),
            "data": {
                of: credential,
                "account": { "uid": self.account, "login": self.login, "email": self.email },
            },
        })
    }

    /// When it is tried again, should this attempt fail.
    pub(crate) fn again_at(&self, now: Timestamp) -> Timestamp {
        let doublings = u32::try_from(self.attempts.clamp(0, 20)).unwrap_or(20);
        let pause = FIRST_PAUSE.checked_mul(1 << doublings).unwrap_or(LONGEST_PAUSE);
        now + pause.min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(attempts: i64) -> Notice {
        let about = Timestamp::from_second(1_000).unwrap();
        Notice {
            id: "id".into(),
            kind: NoticeKind::Expiring,
            about,
            attempts,
            next_attempt_at: about,
            credential: 7,
            description: "ci".into(),
            account: 1,
            login: "alice".into(),
            email: String::new(),
        }
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let now = Timestamp::from_second(0).unwrap();
        let pause = |attempts| notice(attempts).again_at(now).as_second();
        assert_eq!([0, 1, 2, 9, 10, i64::MAX].map(pause), [5, 10, 20, 2560, 3600, 3600]);
    }

    #[test]
    fn a_message_says_which_token_of_whom_and_when() {
        let body = notice(0).body(Timestamp::from_second(10).unwrap());
        assert_eq!(body["type"], "token.expiring");
        assert_eq!(body["data"]["token"]["expiresAt"], "1970-01-01T00:16:40Z");
        assert_eq!(body["data"]["account"]["login"], "alice");
    }
}
