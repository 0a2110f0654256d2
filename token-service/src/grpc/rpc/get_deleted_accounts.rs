use access::{Handle, ServicePermit};
use proto::Failure;
use proto::token::v1::rpc::GetDeletedAccounts;
use proto::token::v1::{DeletedAccount as WireAccount, GetDeletedAccountsRequest, GetDeletedAccountsResponse};

use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;
use crate::store::DeletedAccount;

/// How many are told at once.
const PAGE: i64 = 1000;

impl Handle<GetDeletedAccounts> for Authority {
    async fn handle(
        &self,
        _: &ServicePermit,
        request: GetDeletedAccountsRequest,
    ) -> Result<GetDeletedAccountsResponse, Failure> {
        if request.after < 0 {
            return Err(Failure::invalid("after", "must be the number of a deletion, or 0"));
        }
        let authority = self.store.identity().await.map_err(storage_failure)?;
        let (accounts, last) = self.store.deleted_accounts(request.after, PAGE).await.map_err(storage_failure)?;
        Ok(GetDeletedAccountsResponse { authority, accounts: accounts.into_iter().map(wire).collect(), last })
    }
}

fn wire(deleted: DeletedAccount) -> WireAccount {
    WireAccount {
        number: deleted.number,
        account_id: deleted.account.0,
        deleted_at: Some(proto::time::to_wire(deleted.deleted_at)),
    }
}
