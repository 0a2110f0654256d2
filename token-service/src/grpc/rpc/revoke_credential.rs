use access::{Credential, Handle, ServicePermit};
use proto::Failure;
use proto::token::v1::rpc::RevokeCredential;
use proto::token::v1::{RevokeCredentialRequest, RevokeCredentialResponse};
use zeroize::Zeroizing;

use crate::grpc::Authority;
use crate::grpc::authority::{named, storage_failure};
use crate::lease::Confirmed;

impl Handle<RevokeCredential> for Authority {
    async fn handle(
        &self,
        permit: &ServicePermit,
        request: RevokeCredentialRequest,
    ) -> Result<RevokeCredentialResponse, Failure> {
        let value = Zeroizing::new(request.credential);
        named(permit, &request.client_id)?;
        let Ok(value) = Credential::parse(&value) else { return answer(Confirmed::AT_ONCE) };
        let now = self.clock.now();
        let held = self.store.held(&value, now).await.map_err(storage_failure)?;
        let Some(held) = held else { return answer(self.confirmed_by_others().await?) };
        let revoked = self.store.revoke_held(held, value.hash(), permit.name(), permit.origin(), now).await;
        let Some(change) = revoked.map_err(storage_failure)? else {
            return answer(self.confirmed_by_others().await?);
        };
        tracing::info!(credential = %held.credential, service = permit.name(), "a service revoked a credential");
        answer(self.leases.confirm(&[change]).await)
    }
}

fn answer(confirmed: Confirmed) -> Result<RevokeCredentialResponse, Failure> {
    Ok(RevokeCredentialResponse { confirmed: true, confirmation_micros: confirmed.micros() })
}
