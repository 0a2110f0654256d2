use std::error::Error;
use std::future::Future;

use futures::stream::{BoxStream, StreamExt};
use proto::{AnswerStream, AnswersHandler, ErrorKind, Failure, Handler, Rpc, StreamHandler};
use tonic::{Request, Response, Status, Streaming};

use crate::permit::Evidence;
use crate::standing::{Standing, Standings};

/// The answers of an RPC that streams, as its handler gives them.
pub type Answers<T> = BoxStream<'static, Result<T, Failure>>;

/// What a service does for one RPC. The permit that it is given follows from the access rule in the `.proto`.
pub trait Handle<R: Rpc<Access: Evidence>>: Send + Sync + 'static {
    /// Answers one call that is allowed.
    fn handle(
        &self,
        permit: &<R::Access as Evidence>::Permit,
        request: R::Request,
    ) -> impl Future<Output = Result<R::Response, Failure>> + Send;
}

/// What a service does for one RPC that answers with a stream. The stream is ended, whatever it does, when the call would not be
/// let in any more.
pub trait HandleAnswers<R: Rpc<Access: Evidence>>: Send + Sync + 'static {
    /// Answers one call that is allowed.
    fn handle_answers(
        &self,
        permit: &<R::Access as Evidence>::Permit,
        request: R::Request,
    ) -> impl Future<Output = Result<Answers<R::Response>, Failure>> + Send;
}

/// What a service does for one RPC that streams in both directions.
pub trait HandleStream<R: Rpc<Access: Evidence>>: Send + Sync + 'static {
    /// Answers one call that is allowed.
    fn handle_stream(
        &self,
        permit: &<R::Access as Evidence>::Permit,
        requests: Streaming<R::Request>,
    ) -> impl Future<Output = Result<Answers<R::Response>, Failure>> + Send;
}

/// A service whose handlers run only with a permit. It serves whatever gRPC services its handlers cover.
pub struct Guarded<S>(S);

impl<S> Guarded<S> {
    /// Guards a service's handlers.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

impl<R, S> Handler<R> for Guarded<S>
where
    R: Rpc<Access: Evidence>,
    S: Handle<R>,
{
    async fn call(&self, mut request: Request<R::Request>) -> Result<Response<R::Response>, Status> {
        let permit = permit::<R, _>(&mut request)?;
        let request = request.into_inner();
        let allowed = R::Access::confinement(&permit).allow_environments(R::environments(&request));
        allowed.map_err(|failure| report(R::PATH, failure))?;
        let answer = self.0.handle(&permit, request).await;
        answer.map(Response::new).map_err(|failure| report(R::PATH, failure))
    }
}

impl<R, S> AnswersHandler<R> for Guarded<S>
where
    R: Rpc<Access: Evidence>,
    S: HandleAnswers<R>,
{
    async fn call(&self, mut request: Request<R::Request>) -> Result<Response<AnswerStream<R::Response>>, Status> {
        let permit = permit::<R, _>(&mut request)?;
        let standing = request.extensions_mut().remove::<Standing>();
        let request = request.into_inner();
        let allowed = R::Access::confinement(&permit).allow_environments(R::environments(&request));
        allowed.map_err(|failure| report(R::PATH, failure))?;
        let answers = self.0.handle_answers(&permit, request).await;
        stream::<R>(answers.map_err(|failure| report(R::PATH, failure))?, standing)
    }
}

impl<R, S> StreamHandler<R> for Guarded<S>
where
    R: Rpc<Access: Evidence>,
    S: HandleStream<R>,
{
    async fn call(
        &self,
        mut request: Request<Streaming<R::Request>>,
    ) -> Result<Response<AnswerStream<R::Response>>, Status> {
        let permit = permit::<R, _>(&mut request)?;
        let standing = request.extensions_mut().remove::<Standing>();
        let answers = self.0.handle_stream(&permit, request.into_inner()).await;
        stream::<R>(answers.map_err(|failure| report(R::PATH, failure))?, standing)
    }
}

/// What a handler answers, as long as its call would be let in. Where nobody can say how long that is, there is no stream.
fn stream<R: Rpc<Access: Evidence>>(
    answers: Answers<R::Response>,
    standing: Option<Standing>,
) -> Result<Response<AnswerStream<R::Response>>, Status> {
    let answers = match standing {
        Some(standing) => Standings::new(answers, standing).boxed(),
        None if R::Access::UNDER_GRANT => {
            return Err(report(R::PATH, Failure::internal(format!("{} streams without a lease", R::PATH))));
        }
        None => answers,
    };
    Ok(Response::new(answers.map(|answer| answer.map_err(|failure| report(R::PATH, failure))).boxed()))
}

/// The layer in front leaves the permit. Where there is no layer there is no permit, and no call.
fn permit<R: Rpc<Access: Evidence>, T>(request: &mut Request<T>) -> Result<<R::Access as Evidence>::Permit, Status> {
    let permit = request.extensions_mut().remove::<<R::Access as Evidence>::Permit>();
    permit.ok_or_else(|| report(R::PATH, Failure::internal(format!("{} was called without the access layer", R::PATH))))
}

/// Logs, once and with its causes, what its caller is not told.
fn report(path: &'static str, failure: Failure) -> Status {
    match failure.kind() {
        ErrorKind::Internal => tracing::error!(rpc.path = path, error = %causes(&failure), "a call failed"),
        ErrorKind::Unavailable => tracing::warn!(rpc.path = path, error = %causes(&failure), "a call failed"),
        kind => tracing::debug!(rpc.path = path, error.reason = kind.reason(), "a call was refused"),
    }
    failure.into()
}

/// The chain of an error's causes on one line.
fn causes(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
