use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use proto::token::v1::GrantClaims;

use crate::{AccountId, Confinement, CredentialId, GrantedKind, PermissionSet, Revision, Rights};

/// What a grant asserts of one credential, for one audience, for a short time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The credential.
    pub credential: CredentialId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Whether the account is an administrator.
    pub administrator: bool,
    /// What a token may call. Empty for a session.
    pub permissions: PermissionSet,
    /// What a token is confined to. A session is not.
    pub confinement: Confinement,
    /// Who may execute under the grant.
    pub audience: String,
    /// The moment before the credential was read.
    pub issued_at: Timestamp,
    /// The moment from which on the grant is refused.
    pub expires_at: Timestamp,
    /// The newest revision committed before the credential was read.
    pub as_of: Revision,
    /// When the credential itself ends.
    pub credential_expires_at: Option<Timestamp>,
    /// Whether a token was shown by its value of before its last regeneration.
    pub superseded: bool,
}

impl Claims {
    /// What decides what the credential may call.
    #[must_use]
    pub fn rights(&self) -> Rights<'_> {
        let Self { credential, administrator, permissions, .. } = self;
        Rights { kind: credential.kind, administrator: *administrator, permissions: permissions.bits() }
    }
}

/// Claims that say less than they have to, or what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the claims are malformed")]
pub struct MalformedClaims;

impl From<&Claims> for GrantClaims {
    fn from(claims: &Claims) -> Self {
        Self {
            kind: claims.credential.kind.to_wire().into(),
            credential_id: claims.credential.number,
            account_id: claims.account.0,
            administrator: claims.administrator,
            permissions: claims.permissions.to_bytes(),
            environments: claims.confinement.environments.iter().map(ToString::to_string).collect(),
            source_networks: claims.confinement.networks.iter().map(ToString::to_string).collect(),
            audience: claims.audience.clone(),
            issued_at: Some(proto::time::to_wire(claims.issued_at)),
            expires_at: Some(proto::time::to_wire(claims.expires_at)),
            as_of: claims.as_of.0,
            credential_expires_at: claims.credential_expires_at.map(proto::time::to_wire),
            superseded: claims.superseded,
        }
    }
}

impl TryFrom<GrantClaims> for Claims {
    type Error = MalformedClaims;

    fn try_from(wire: GrantClaims) -> Result<Self, MalformedClaims> {
        let kind = GrantedKind::from_wire(wire.kind()).ok_or(MalformedClaims)?;
        let time = |time| proto::time::from_wire(&time).map_err(|_| MalformedClaims);
        Ok(Self {
            credential: CredentialId { kind, number: wire.credential_id },
            account: AccountId(wire.account_id),
            administrator: wire.administrator,
            // A copy: what is remembered must not keep the whole message that it came in.
            permissions: PermissionSet::from_bytes(Bytes::copy_from_slice(&wire.permissions)).ok_or(MalformedClaims)?,
            confinement: Confinement {
                environments: parsed(&wire.environments)?,
                networks: parsed(&wire.source_networks)?,
            },
            audience: wire.audience,
            issued_at: time(wire.issued_at.ok_or(MalformedClaims)?)?,
            expires_at: time(wire.expires_at.ok_or(MalformedClaims)?)?,
            as_of: Revision(wire.as_of),
            credential_expires_at: wire.credential_expires_at.map(time).transpose()?,
            superseded: wire.superseded,
        })
    }
}

fn parsed<T: FromStr>(texts: &[String]) -> Result<Vec<T>, MalformedClaims> {
    texts.iter().map(|text| text.parse().map_err(|_| MalformedClaims)).collect()
}
