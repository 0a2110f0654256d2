use std::future::Future;
use std::pin::Pin;

use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

/// An RPC of the contract: the types that a handler of it has to fit. Implemented by a marker for each, in `rpc`.
pub trait Rpc: Send + Sync + 'static {
    /// The request message.
    type Request: Send + 'static;
    /// The answer message.
    type Response: Send + 'static;
    /// The access rule that the `.proto` declares, one of [`rule`].
    type Access;
    /// The path of gRPC: `/package.Service/Method`.
    const PATH: &'static str;

    /// The environments that a request names.
    fn environments(_: &Self::Request) -> Vec<&str> {
        Vec::new()
    }
}

/// What serves one RPC. Whatever handles each RPC of a service is a server of that service.
pub trait Handler<R: Rpc>: Send + Sync + 'static {
    /// Answers one call.
    fn call(&self, request: Request<R::Request>) -> impl Future<Output = Result<Response<R::Response>, Status>> + Send;
}

/// The answers of an RPC that streams.
pub type AnswerStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What serves one RPC that is asked once and answers with a stream.
pub trait AnswersHandler<R: Rpc>: Send + Sync + 'static {
    /// Answers one call.
    fn call(
        &self,
        request: Request<R::Request>,
    ) -> impl Future<Output = Result<Response<AnswerStream<R::Response>>, Status>> + Send;
}

/// What serves one RPC that streams in both directions.
pub trait StreamHandler<R: Rpc>: Send + Sync + 'static {
    /// Answers one call.
    fn call(
        &self,
        request: Request<Streaming<R::Request>>,
    ) -> impl Future<Output = Result<Response<AnswerStream<R::Response>>, Status>> + Send;
}

/// The access rules as types, so that the evidence a handler is given follows from the `.proto`.
pub mod rule {
    /// Anyone.
    pub struct Public;
    /// Any live credential.
    pub struct Authenticated;
    /// A session.
    pub struct Session;
    /// A session, and the account's password in the request.
    pub struct SessionWithPassword;
    /// A session, or a token that lists the method.
    pub struct Permission;
    /// A session of an administrator.
    pub struct Administrator;
    /// A session of an administrator, and the administrator's password in the request.
    pub struct AdministratorWithPassword;
    /// Another service of the installation.
    pub struct Service;
    /// The `.proto` says nothing: nobody.
    pub struct Undeclared;
}
