use std::error::Error;
use std::future::Future;

use proto::{ErrorKind, Failure, Handler, Rpc};
use tonic::{Request, Response, Status};

use crate::permit::Evidence;

/// What a service does for one RPC. The permit that it is given follows from the access rule in the `.proto`.
pub trait Handle<R: Rpc<Access: Evidence>>: Send + Sync + 'static {
    /// Answers one call that is allowed.
    fn handle(
        &self,
        permit: &<R::Access as Evidence>::Permit,
        request: R::Request,
    ) -> impl Future<Output = Result<R::Response, Failure>> + Send;
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
        // The layer in front leaves the permit. Where there is no layer there is no permit, and no call.
        let permit = request.extensions_mut().remove::<<R::Access as Evidence>::Permit>();
        let Some(permit) = permit else {
            let failure = Failure::internal(format!("{} was called without the access layer", R::PATH));
            return Err(report(R::PATH, failure));
        };
        let request = request.into_inner();
        let allowed = R::Access::confinement(&permit).allow_environments(R::environments(&request));
        allowed.map_err(|failure| report(R::PATH, failure))?;
        let answer = self.0.handle(&permit, request).await;
        answer.map(Response::new).map_err(|failure| report(R::PATH, failure))
    }
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
