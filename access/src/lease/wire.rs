//! The protocol's messages on the wire.

use std::time::Duration;

use proto::token::v1 as wire;
use proto::token::v1::watch_request::Message as Request;
use proto::token::v1::watch_response::Message as Response;
use uuid::Uuid;

use super::{Change, HolderId, Resume, ToAuthority, ToHolder};
use crate::{AccountId, CredentialId, GrantedKind, Revision};

/// A message that says nothing, or what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is malformed")]
pub struct MalformedMessage;

/// Who begins a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The process.
    pub holder: HolderId,
    /// Where it can be found, for operators.
    pub place: String,
    /// The newest change that it has applied.
    pub applied: Option<Revision>,
}

impl Introduction {
    /// What a holder says first on a stream.
    #[must_use]
    pub fn of(holder: HolderId, place: &str, resume: Resume) -> Self {
        Self { holder, place: place.to_owned(), applied: resume.applied }
    }

    /// The first message of a stream.
    #[must_use]
    pub fn to_wire(&self) -> wire::WatchRequest {
        let message = Request::Introduction(wire::Introduction {
            holder: self.holder.to_string(),
            place: self.place.clone(),
            applied: self.applied.map(|revision| revision.0),
        });
        wire::WatchRequest { message: Some(message) }
    }

    /// From the first message of a stream.
    ///
    /// # Errors
    /// Where it is another message, or its holder no UUID.
    pub fn from_wire(message: wire::WatchRequest) -> Result<Self, MalformedMessage> {
        let Some(Request::Introduction(introduction)) = message.message else { return Err(MalformedMessage) };
        let holder = Uuid::try_parse(&introduction.holder).map_err(|_| MalformedMessage)?;
        Ok(Self { holder: HolderId(holder), place: introduction.place, applied: introduction.applied.map(Revision) })
    }
}

impl From<ToAuthority> for wire::WatchRequest {
    fn from(message: ToAuthority) -> Self {
        let message = match message {
            ToAuthority::Ask { number } => Request::Question(wire::LeaseQuestion { number }),
            ToAuthority::Acknowledge { revision } => {
                Request::Acknowledgement(wire::Acknowledgement { revision: revision.0 })
            }
            ToAuthority::Release => Request::Release(wire::Release {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::WatchRequest> for ToAuthority {
    type Error = MalformedMessage;

    fn try_from(message: wire::WatchRequest) -> Result<Self, MalformedMessage> {
        Ok(match message.message.ok_or(MalformedMessage)? {
            Request::Introduction(_) => return Err(MalformedMessage),
            Request::Question(question) => Self::Ask { number: question.number },
            Request::Acknowledgement(told) => Self::Acknowledge { revision: Revision(told.revision) },
            Request::Release(_) => Self::Release,
        })
    }
}

/// A message for a holder. The beginning says how long leases last as well, for the holder's timer.
#[must_use]
pub fn to_holder(message: ToHolder, lease_duration: Duration) -> wire::WatchResponse {
    let message = match message {
        ToHolder::Begin { after, remember_for } => Response::Beginning(wire::Beginning {
            after: after.0,
            remember_for: Some(duration_to_wire(remember_for)),
            lease_duration: Some(duration_to_wire(lease_duration)),
        }),
        ToHolder::Changes(changes) => {
            Response::Changes(wire::Changes { changes: changes.into_iter().map(change_to_wire).collect() })
        }
        ToHolder::Lease { number, duration, revision } => {
            Response::Lease(wire::Lease { number, duration: Some(duration_to_wire(duration)), revision: revision.0 })
        }
    };
    wire::WatchResponse { message: Some(message) }
}

/// What a message for a holder says; with the beginning, how long leases last.
///
/// # Errors
/// Where it says nothing, or what cannot be.
pub fn from_authority(message: wire::WatchResponse) -> Result<(ToHolder, Option<Duration>), MalformedMessage> {
    Ok(match message.message.ok_or(MalformedMessage)? {
        Response::Beginning(beginning) => {
            let remember_for = duration_from_wire(beginning.remember_for)?;
            let lease_duration = duration_from_wire(beginning.lease_duration)?;
            (ToHolder::Begin { after: Revision(beginning.after), remember_for }, Some(lease_duration))
        }
        Response::Changes(changes) => {
            let changes = changes.changes.iter().map(change_from_wire).collect();
            (ToHolder::Changes(changes), None)
        }
        Response::Lease(lease) => {
            let duration = duration_from_wire(lease.duration)?;
            (ToHolder::Lease { number: lease.number, duration, revision: Revision(lease.revision) }, None)
        }
    })
}

fn change_to_wire(change: Change) -> wire::Change {
    let kind = change.credential.map_or(wire::CredentialKind::Unspecified, |credential| credential.kind.to_wire());
    wire::Change {
        revision: change.revision.0,
        account_id: change.account.0,
        kind: kind.into(),
        credential_id: change.credential.map_or(0, |credential| credential.number),
    }
}

/// A kind that is not known here is taken for the whole account: that is never too little.
fn change_from_wire(change: &wire::Change) -> Change {
    let kind = GrantedKind::from_wire(change.kind());
    Change {
        revision: Revision(change.revision),
        account: AccountId(change.account_id),
        credential: kind.map(|kind| CredentialId { kind, number: change.credential_id }),
    }
}

fn duration_to_wire(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0) }
}

fn duration_from_wire(duration: Option<prost_types::Duration>) -> Result<Duration, MalformedMessage> {
    Duration::try_from(duration.ok_or(MalformedMessage)?).map_err(|_| MalformedMessage)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(3500);

    #[test]
    fn messages_for_holders_are_read_as_they_were_written() {
        let token = CredentialId { kind: GrantedKind::Token, number: 7 };
        let change = |revision, credential| Change { revision: Revision(revision), account: AccountId(2), credential };
        let messages = [
            ToHolder::Begin { after: Revision(4), remember_for: Duration::from_secs(70) },
            ToHolder::Changes(vec![change(5, Some(token)), change(6, None)]),
            ToHolder::Lease { number: 9, duration: LEASE, revision: Revision(6) },
        ];
        for message in messages {
            let lease = matches!(message, ToHolder::Begin { .. }).then_some(LEASE);
            assert_eq!(from_authority(to_holder(message.clone(), LEASE)), Ok((message, lease)));
        }
        assert_eq!(from_authority(wire::WatchResponse { message: None }), Err(MalformedMessage));
        let endless =
            wire::Lease { duration: Some(prost_types::Duration { seconds: -1, nanos: 0 }), ..wire::Lease::default() };
        assert_eq!(
            from_authority(wire::WatchResponse { message: Some(Response::Lease(endless)) }),
            Err(MalformedMessage)
        );
    }

    #[test]
    fn messages_for_the_authority_are_read_as_they_were_written() {
        for message in
            [ToAuthority::Ask { number: 3 }, ToAuthority::Acknowledge { revision: Revision(8) }, ToAuthority::Release]
        {
            assert_eq!(ToAuthority::try_from(wire::WatchRequest::from(message)), Ok(message));
        }
        let introduction =
            Introduction { holder: HolderId(Uuid::from_u128(5)), place: "127.0.0.1:1".into(), applied: None };
        assert_eq!(Introduction::from_wire(introduction.to_wire()), Ok(introduction.clone()));
        assert_eq!(ToAuthority::try_from(introduction.to_wire()), Err(MalformedMessage));
        assert_eq!(Introduction::from_wire(ToAuthority::Release.into()), Err(MalformedMessage));
    }
}
