//! Spans of calls, by the semantic conventions of OpenTelemetry, and the way of a trace from one process to the next (W3C Trace
//! Context). Where nobody is told of them they are disabled, and cost no more than the question.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::Injector;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::HeaderExtractor;
use pin_project_lite::pin_project;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of these spans.
pub(crate) const TARGET: &str = "trace";

/// The span of a request that has come in by HTTP. `route` tells the path as it is documented, never that of a request; `sent_in` are
/// the headers of a caller who is believed about the trace that the request is a part of.
#[must_use]
pub fn server_span(verb: &http::Method, route: impl FnOnce() -> String, sent_in: Option<&HeaderMap>) -> Span {
    if !tracing::span_enabled!(target: "trace", tracing::Level::INFO) {
        return Span::none();
    }
    let route = route();
    let span = tracing::info_span!(
        target: "trace",
        "http",
        otel.name = format!("{verb} {route}"),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = verb.as_str(),
        http.route = route,
        http.response.status_code = field::Empty,
        error.type = field::Empty,
        trace_id = field::Empty,
    );
    join_trace(&span, sent_in);
    span
}

/// Makes a span a part of the trace that a request was sent in, and has the lines that are logged within it name the trace.
fn join_trace(span: &Span, sent_in: Option<&HeaderMap>) {
    if span.is_disabled() {
        return;
    }
    let sent_in = sent_in.map(HeaderExtractor);
    let parent =
        sent_in.map(|headers| opentelemetry::global::get_text_map_propagator(|format| format.extract(&headers)));
    if let Some(parent) = parent.filter(|parent| parent.span().span_context().is_valid())
        && let Err(error) = span.set_parent(parent)
    {
        tracing::debug!(%error, "a call is in no trace");
    }
    let trace = span.context().span().span_context().trace_id();
    span.record("trace_id", field::display(trace));
}

/// The span of a call to another service, `/package.Service/Method`, which is told of the trace.
#[must_use]
pub fn client_span(path: &str, metadata: &mut MetadataMap) -> Span {
    let span = grpc_span("client", path);
    if !span.is_disabled() {
        let context = span.context();
        let carrier = &mut Carrier(metadata);
        opentelemetry::global::get_text_map_propagator(|format| format.inject_context(&context, carrier));
    }
    span
}

fn grpc_span(kind: &'static str, path: &str) -> Span {
    let path = path.trim_start_matches('/');
    let (service, method) = path.split_once('/').unwrap_or((path, ""));
    tracing::info_span!(
        target: "trace",
        "grpc",
        otel.name = path,
        otel.kind = kind,
        otel.status_code = field::Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = field::Empty,
        trace_id = field::Empty,
    )
}

/// A call to another service, in its span. The call is moved once: it can be large.
pub fn in_client_span<T>(
    span: Span,
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> impl Future<Output = Result<T, tonic::Status>> {
    call.instrument(span.clone()).map(move |answer| {
        span.grpc_ended(answer.as_ref().map_or_else(tonic::Status::code, |_| tonic::Code::Ok));
        answer
    })
}

/// How a span ended.
pub trait SpanResult {
    /// A call by gRPC has ended with this code.
    fn grpc_ended(&self, code: tonic::Code);

    /// A request by HTTP was answered with this status; `reason` names what is wrong, if anything.
    fn http_ended(&self, status: http::StatusCode, reason: Option<&'static str>);
}

impl SpanResult for Span {
    fn grpc_ended(&self, code: tonic::Code) {
        self.record("rpc.grpc.status_code", code as i32);
        if code != tonic::Code::Ok {
            self.record("otel.status_code", "ERROR");
        }
    }

    fn http_ended(&self, status: http::StatusCode, reason: Option<&'static str>) {
        self.record("http.response.status_code", status.as_u16());
        if let Some(reason) = reason {
            self.record("error.type", reason);
        }
        // What the caller did wrong is no error of a server (semantic conventions for HTTP).
        if status.is_server_error() || reason.is_some_and(|reason| ["INTERNAL", "UNAVAILABLE"].contains(&reason)) {
            self.record("otel.status_code", "ERROR");
        }
    }
}

struct Carrier<'a>(&'a mut MetadataMap);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), MetadataValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}

/// Spans of the calls that a gRPC server answers, in the traces of those who call it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerSpans;

impl<S> Layer<S> for ServerSpans {
    type Service = WithSpans<S>;

    fn layer(&self, inner: S) -> WithSpans<S> {
        WithSpans(inner)
    }
}

/// A service whose calls have spans.
#[derive(Clone, Debug)]
pub struct WithSpans<S>(S);

impl<S, B, R> Service<Request<B>> for WithSpans<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Spanned<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // What is asked every few seconds whether anybody calls or not is in no trace.
        let span = match request.uri().path() {
            path if path.starts_with("/grpc.") => Span::none(),
            path => grpc_span("server", path),
        };
        join_trace(&span, Some(request.headers()));
        let called = span.in_scope(|| self.0.call(request));
        Spanned { called, span }
    }
}

pin_project! {
    /// A call in its span.
    #[derive(Debug)]
    pub struct Spanned<F> {
        #[pin]
        called: F,
        span: Span,
    }
}

impl<F, R, E> Future for Spanned<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _within = this.span.enter();
        let answer = ready!(this.called.poll(context));
        if let Ok(answer) = &answer {
            // A failure is told with the head; what has none goes on to be answered.
            let status = answer.headers().get("grpc-status").and_then(|value| value.to_str().ok());
            let code = status.and_then(|code| code.parse::<i32>().ok()).map_or(tonic::Code::Ok, tonic::Code::from);
            this.span.grpc_ended(code);
        }
        Poll::Ready(answer)
    }
}
