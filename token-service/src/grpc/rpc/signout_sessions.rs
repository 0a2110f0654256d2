use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::SignoutSessions;
use proto::token::v1::{SignoutSessionsRequest, SignoutSessionsResponse};

use crate::grpc::Authority;
use crate::grpc::answer::selection;

impl Handle<SignoutSessions> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: SignoutSessionsRequest,
    ) -> Result<SignoutSessionsResponse, Failure> {
        let selection = selection(&request.ids, request.all(), "session")?;
        let session = self.session(permit).await?;
        let changes = self.store.end_sessions(&session, &selection, self.clock.now()).await?;
        let confirmed = self.leases.confirm(&changes).await;
        tracing::info!(account.id = session.account.0, sessions = ?selection, "sessions were ended");
        Ok(SignoutSessionsResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
