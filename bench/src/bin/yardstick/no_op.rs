//! The service behind the gateways that are compared: nothing is cheaper than what it does.

use std::net::SocketAddr;

use futures::StreamExt;
use proto::environment::v1::control_server::ControlServer;
use proto::{AnswerStream, AnswersHandler, Handler, Rpc};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

struct NoOp;

impl<R: Rpc<Response: Default>> Handler<R> for NoOp {
    async fn call(&self, _: Request<R::Request>) -> Result<Response<R::Response>, Status> {
        Ok(Response::new(R::Response::default()))
    }
}

impl<R: Rpc<Response: Default>> AnswersHandler<R> for NoOp {
    async fn call(&self, _: Request<R::Request>) -> Result<Response<AnswerStream<R::Response>>, Status> {
        Ok(Response::new(futures::stream::empty().boxed()))
    }
}

pub(crate) async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    // It says of the whole server that it serves, which is what the gateway asks before it is ready.
    let (_reporter, health) = tonic_health::server::health_reporter();
    Server::builder().add_service(ControlServer::new(NoOp)).add_service(health).serve(listen).await?;
    Ok(())
}
