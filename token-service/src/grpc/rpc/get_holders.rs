use access::{AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::GetHolders;
use proto::token::v1::{GetHoldersRequest, GetHoldersResponse, HolderInfo};

use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;
use crate::store::HolderRow;

impl Handle<GetHolders> for Authority {
    async fn handle(&self, permit: &AdministratorPermit, _: GetHoldersRequest) -> Result<GetHoldersResponse, Failure> {
        self.session(permit.session()).await?;
        let holders = self.store.holders().await.map_err(storage_failure)?;
        let revision = self.store.revision().await.map_err(storage_failure)?;
        Ok(GetHoldersResponse { holders: holders.into_iter().map(wire).collect(), revision: revision.0 })
    }
}

fn wire(holder: HolderRow) -> HolderInfo {
    HolderInfo {
        id: holder.holder,
        name: holder.name,
        place: holder.place,
        replica: holder.replica,
        lease_ends_at: Some(proto::time::to_wire(holder.expires_at)),
        lease_left_millis: i64::try_from(holder.left.as_millis()).unwrap_or(i64::MAX),
        acknowledged: holder.acknowledged.0,
    }
}
