use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::Get2FAStatus;
use proto::token::v1::{Get2FaStatusRequest, Get2FaStatusResponse};

use crate::domain::FactorState;
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;

impl Handle<Get2FAStatus> for Authority {
    async fn handle(&self, permit: &SessionPermit, _: Get2FaStatusRequest) -> Result<Get2FaStatusResponse, Failure> {
        let session = self.session(permit).await?;
        let factor = self.store.second_factor(session.account).await.map_err(storage_failure)?;
        let left = self.store.recovery_codes_left(session.account).await.map_err(storage_failure)?;
        Ok(Get2FaStatusResponse {
            enabled: factor.is_some_and(|factor| factor.state == FactorState::Active),
            recovery_codes_left: u32::try_from(left).unwrap_or_default(),
        })
    }
}
