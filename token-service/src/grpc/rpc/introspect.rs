use access::{Claims, Credential, CredentialKind, GrantedKind, Handle, Revision, ServicePermit};
use jiff::Timestamp;
use proto::Failure;
use proto::token::v1::rpc::Introspect;
use proto::token::v1::{IntrospectRequest, IntrospectResponse};
use storage::StorageError;
use zeroize::Zeroizing;

use crate::domain::Role;
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;
use crate::store::Introspected;

impl Handle<Introspect> for Authority {
    async fn handle(&self, _: &ServicePermit, request: IntrospectRequest) -> Result<IntrospectResponse, Failure> {
        let value = Zeroizing::new(request.credential);
        if !self.catalog.has_audience(&request.audience) {
            return Err(Failure::invalid("audience", "must name a service that executes calls"));
        }
        let Ok(credential) = Credential::parse(&value) else { return Ok(IntrospectResponse::default()) };

        // Both before the credential is read: a change that comes in between is newer than what is said here.
        let issued_at = self.clock.now();
        let as_of = self.store.revision().await.map_err(storage_failure)?;
        let found = look_up(self, &credential, issued_at).await.map_err(storage_failure)?;
        let Some(found) = found else { return Ok(IntrospectResponse::default()) };

        let claims = claims(self, found, request.audience, issued_at, as_of);
        Ok(IntrospectResponse {
            active: true,
            grant: self.signing_key.sign(&claims).into(),
            claims: Some((&claims).into()),
        })
    }
}

/// What is known of a credential that is alive.
pub(super) async fn look_up(
    authority: &Authority,
    credential: &Credential,
    now: Timestamp,
) -> Result<Option<Introspected>, StorageError> {
    match credential.kind() {
        CredentialKind::Session => authority.store.live_session(credential.hash(), now).await,
        CredentialKind::Token => authority.store.live_token(credential.hash(), now).await,
        CredentialKind::Service => Ok(None),
    }
}

fn claims(
    authority: &Authority,
    found: Introspected,
    audience: String,
    issued_at: Timestamp,
    as_of: Revision,
) -> Claims {
    let expires_at = issued_at + authority.policy.grant_lifetime;
    Claims {
        credential: found.credential,
        account: found.account,
        // No token administers, whoever made it.
        administrator: found.credential.kind == GrantedKind::Session && found.role == Role::Administrator,
        permissions: found.api_set.map(|set| set.permissions(authority.catalog)).unwrap_or_default(),
        confinement: found.confinement,
        audience,
        issued_at,
        expires_at: found.expires_at.map_or(expires_at, |end| end.min(expires_at)),
        as_of,
        credential_expires_at: found.expires_at,
    }
}
