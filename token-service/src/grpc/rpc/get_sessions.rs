use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::GetSessions;
use proto::token::v1::{GetSessionsRequest, GetSessionsResponse, Session as WireSession};

use crate::domain::{OpenSession, Session};
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;

impl Handle<GetSessions> for Authority {
    async fn handle(&self, permit: &SessionPermit, _: GetSessionsRequest) -> Result<GetSessionsResponse, Failure> {
        let current = self.session(permit).await?;
        let open = self.store.sessions(current.account, self.clock.now()).await.map_err(storage_failure)?;
        let sessions = open.into_iter().map(|session| wire(session, &current)).collect();
        Ok(GetSessionsResponse { sessions })
    }
}

fn wire(session: OpenSession, current: &Session) -> WireSession {
    WireSession {
        id: session.id,
        uid: current.account.0,
        host: session.address,
        user_agent: session.user_agent,
        created_on: Some(proto::time::to_wire(session.created_at)),
        last_access: Some(proto::time::to_wire(session.last_access_at)),
        expires_at: Some(proto::time::to_wire(session.expires_at)),
        current: session.id == current.id,
    }
}
