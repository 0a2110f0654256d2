use access::{AccountId, AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::GetAccounts;
use proto::token::v1::{AccountInfo as WireAccount, GetAccountsRequest, GetAccountsResponse};

use crate::domain::{AccountInfo, AccountState, Role};
use crate::grpc::Authority;
use crate::grpc::answer::page_limit;
use crate::grpc::authority::storage_failure;

impl Handle<GetAccounts> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: GetAccountsRequest,
    ) -> Result<GetAccountsResponse, Failure> {
        let limit = page_limit(request.limit)?;
        let after = AccountId(request.after.unwrap_or(0));
        let search = request.search.unwrap_or_default().to_lowercase();
        self.session(permit.session()).await?;
        // One more than asked for tells whether there is another page.
        let found = self.store.accounts(&search, after, i64::from(limit) + 1).await.map_err(storage_failure)?;
        let mut accounts: Vec<WireAccount> = found.into_iter().map(wire).collect();
        let more = accounts.len() > limit as usize;
        accounts.truncate(limit as usize);
        let next = accounts.last().filter(|_| more).map(|last| last.uid);
        Ok(GetAccountsResponse { accounts, next })
    }
}

fn wire(account: AccountInfo) -> WireAccount {
    WireAccount {
        uid: account.id.0,
        login: account.login,
        name: account.name,
        email: account.email,
        administrator: account.role == Role::Administrator,
        disabled: account.state == AccountState::Disabled,
        two_factor: account.second_factor,
        created_on: Some(proto::time::to_wire(account.created_at)),
    }
}
