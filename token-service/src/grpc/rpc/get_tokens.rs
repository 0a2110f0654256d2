use std::collections::BTreeSet;

use access::{Handle, SessionPermit};
use proto::token::v1::rpc::GetTokens;
use proto::token::v1::{GetTokensRequest, GetTokensResponse};
use proto::{ErrorKind, Failure};

use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;

impl Handle<GetTokens> for Authority {
    async fn handle(&self, permit: &SessionPermit, request: GetTokensRequest) -> Result<GetTokensResponse, Failure> {
        let session = self.session(permit).await?;
        let mut tokens = self.store.tokens(session.account).await.map_err(storage_failure)?;
        if !request.ids.is_empty() && !request.all() {
            let wanted: BTreeSet<i64> = request.ids.into_iter().collect();
            tokens.retain(|token| wanted.contains(&token.id));
            let found: BTreeSet<i64> = tokens.iter().map(|token| token.id).collect();
            if let Some(missing) = wanted.difference(&found).next() {
                return Err(Failure::new(ErrorKind::ObjectNotFound, format!("there is no token {missing}")));
            }
        }
        let now = self.clock.now();
        let api_tokens = tokens.into_iter().map(|token| self.shown(token, None, now)).collect();
        Ok(GetTokensResponse { api_tokens })
    }
}
