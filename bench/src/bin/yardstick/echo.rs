//! A bare unary call, with messages of the size that Introspect's have.

use std::net::SocketAddr;
use std::path::Path;

use prost::Message;
use proto::token::v1::introspection_server::IntrospectionServer;
use proto::token::v1::rpc::{GetPublicKeys, Introspect, IntrospectBatch, RevokeCredential};
use proto::token::v1::{IntrospectRequest, IntrospectResponse};
use proto::{Handler, Rpc};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

struct Echo(IntrospectResponse);

impl Handler<Introspect> for Echo {
    async fn call(&self, _: Request<IntrospectRequest>) -> Result<Response<IntrospectResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

/// The other RPCs of the service, which nobody calls.
macro_rules! not_asked_for {
    ($($rpc:ty),*) => {$(
        impl Handler<$rpc> for Echo {
            async fn call(
                &self,
                _: Request<<$rpc as Rpc>::Request>,
            ) -> Result<Response<<$rpc as Rpc>::Response>, Status> {
                Err(Status::unimplemented("only Introspect is measured"))
            }
        }
    )*};
}

not_asked_for!(GetPublicKeys, IntrospectBatch, RevokeCredential);

pub(crate) async fn serve(listen: SocketAddr, answer: &Path) -> anyhow::Result<()> {
    let answer = IntrospectResponse::decode(std::fs::read(answer)?.as_slice())?;
    Server::builder().add_service(IntrospectionServer::new(Echo(answer))).serve(listen).await?;
    Ok(())
}
