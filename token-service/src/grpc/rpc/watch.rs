use access::{HandleStream, ServicePermit};
use futures::stream::BoxStream;
use proto::Failure;
use proto::token::v1::rpc::Watch;
use proto::token::v1::{WatchRequest, WatchResponse};
use tonic::Streaming;

use crate::grpc::Authority;
use crate::lease;

impl HandleStream<Watch> for Authority {
    async fn handle_stream(
        &self,
        permit: &ServicePermit,
        requests: Streaming<WatchRequest>,
    ) -> Result<BoxStream<'static, Result<WatchResponse, Failure>>, Failure> {
        lease::watch(&self.leases, permit.name(), requests).await
    }
}
