use access::{AccountId, AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::GetAccounts;
use proto::token::v1::{AccountInfo as WireAccount, GetAccountsRequest, GetAccountsResponse};

use crate::domain::{AccountInfo, AccountState, Login, Role};
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
        let after = request.after.unwrap_or(0);
        if after < 0 {
            return Err(Failure::invalid("after", "must be the number of an account, or 0"));
        }
        let search = search(request.search)?;
        self.session(permit.session()).await?;
        // One more than asked for tells whether there is another page.
        let found =
            self.store.accounts(&search, AccountId(after), i64::from(limit) + 1).await.map_err(storage_failure)?;
        let mut accounts: Vec<WireAccount> = found.into_iter().map(wire).collect();
        let more = accounts.len() > limit as usize;
        accounts.truncate(limit as usize);
        let next = accounts.last().filter(|_| more).map(|last| last.uid);
        Ok(GetAccountsResponse { accounts, next })
    }
}

/// What a login is to hold, in lower case. One that is longer than every login could only find nothing.
fn search(text: Option<String>) -> Result<String, Failure> {
    let text = text.unwrap_or_default();
    if text.chars().count() > Login::MOST_CHARACTERS {
        let most = Login::MOST_CHARACTERS;
        return Err(Failure::invalid("search", format!("must have at most {most} characters, as a login has")));
    }
    Ok(text.to_lowercase())
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
