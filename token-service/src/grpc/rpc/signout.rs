use access::{AccountPermit, GrantedKind, Handle};
use proto::Failure;
use proto::token::v1::rpc::Signout;
use proto::token::v1::{SignoutRequest, SignoutResponse};

use crate::domain::Session;
use crate::grpc::Authority;

impl Handle<Signout> for Authority {
    async fn handle(&self, permit: &AccountPermit, _: SignoutRequest) -> Result<SignoutResponse, Failure> {
        let credential = self.credential(permit).await?;
        match credential.kind {
            // A token is no session: the platform's clients sign out with theirs and go on using it.
            GrantedKind::Token => Ok(SignoutResponse::default()),
            GrantedKind::Session => {
                let origin = permit.origin().clone();
                let session = Session { id: credential.number, account: permit.account(), origin };
                let confirmed = match self.store.end_session(&session, self.clock.now()).await? {
                    Some(change) => self.leases.confirm(&[change]).await,
                    None => self.confirmed_by_others().await?,
                };
                Ok(SignoutResponse { confirmed: Some(true), confirmation_micros: Some(confirmed.micros()) })
            }
        }
    }
}
