use access::{Credential, Handle, ServicePermit};
use proto::Failure;
use proto::token::v1::rpc::RevokeCredential;
use proto::token::v1::{RevokeCredentialRequest, RevokeCredentialResponse};
use zeroize::Zeroizing;

use crate::grpc::Authority;
use crate::grpc::authority::{named, storage_failure};

impl Handle<RevokeCredential> for Authority {
    async fn handle(
        &self,
        permit: &ServicePermit,
        request: RevokeCredentialRequest,
    ) -> Result<RevokeCredentialResponse, Failure> {
        let value = Zeroizing::new(request.credential);
        named(permit, &request.client_id)?;
        let Ok(value) = Credential::parse(&value) else { return Ok(RevokeCredentialResponse {}) };
        let now = self.clock.now();
        let held = self.store.held(&value, now).await.map_err(storage_failure)?;
        let Some(held) = held else { return Ok(RevokeCredentialResponse {}) };
        let revoked = self.store.revoke_held(held, value.hash(), permit.name(), permit.origin(), now).await;
        if revoked.map_err(storage_failure)? {
            tracing::info!(credential = %held.credential, service = permit.name(), "a service revoked a credential");
        }
        Ok(RevokeCredentialResponse {})
    }
}
