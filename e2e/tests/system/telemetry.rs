//! What is told of the system by OTLP: one trace of a call over all processes, and never a secret.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{CLIENT_NAME, PASSWORD, Stack};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::Method;
use testkit::eventually;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::secrets::{forms, line_with};
use crate::two_factor::second_factor;

const LONG: Duration = Duration::from_secs(30);
const STOP: &str = "/1.0/environment/control/rest/stopenv";
const LIST: &str = "/1.0/users/authentication/rest/gettokens";
/// The traces of a call of each.
const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "5cf92f3577b34da6a3ce929d0e0e4737";
const CALLS: &str = "http.server.request.duration";

/// Keeps all that it is told.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    traces: Vec<ExportTraceServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().traces.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.0.lock().unwrap().logs.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.lock().unwrap().metrics.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

impl Receiver {
    /// One that listens, and its address.
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Server::builder()
            .add_service(TraceServiceServer::new(receiver.clone()))
            .add_service(LogsServiceServer::new(receiver.clone()))
            .add_service(MetricsServiceServer::new(receiver.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        (receiver, url)
    }

    /// The spans of a trace, each with the service that told of it.
    fn trace(&self, id: &[u8]) -> Vec<(String, Span)> {
        let told = self.0.lock().unwrap();
        let of_service = told.traces.iter().flat_map(|request| &request.resource_spans).flat_map(|all| {
            let service = service(all.resource.as_ref());
            let spans = all.scope_spans.iter().flat_map(|scope| scope.spans.clone());
            spans.map(move |span| (service.clone(), span)).collect::<Vec<_>>()
        });
        of_service.filter(|(_, span)| span.trace_id == id).collect()
    }

    /// The services that have logged something within a trace.
    fn logged(&self, id: &[u8]) -> HashSet<String> {
        let told = self.0.lock().unwrap();
        let all = told.logs.iter().flat_map(|request| &request.resource_logs);
        let within = all.filter(|all| {
            all.scope_logs.iter().flat_map(|scope| &scope.log_records).any(|record| record.trace_id == id)
        });
        within.map(|all| service(all.resource.as_ref())).collect()
    }

    /// The names of metrics, each with the service that told of it.
    fn metrics(&self) -> HashSet<(String, String)> {
        let told = self.0.lock().unwrap();
        let all = told.metrics.iter().flat_map(|request| &request.resource_metrics);
        let named = all.flat_map(|all| {
            let metrics = all.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            metrics.map(|metric| (service(all.resource.as_ref()), metric.name.clone()))
        });
        named.collect()
    }

    /// The exemplars that a service's histogram has of a trace, of all that was told.
    fn exemplars(&self, of: &str, histogram: &str, trace: &[u8]) -> Vec<Exemplar> {
        let told = self.0.lock().unwrap();
        let all = told.metrics.iter().flat_map(|request| &request.resource_metrics);
        let scopes = all.filter(|all| service(all.resource.as_ref()) == of).flat_map(|all| &all.scope_metrics);
        let named = scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name == histogram);
        let points = named.flat_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => histogram.data_points.as_slice(),
            _ => &[],
        });
        points.flat_map(|point| &point.exemplars).filter(|exemplar| exemplar.trace_id == trace).cloned().collect()
    }

    /// All that was told, byte for byte.
    fn bytes(&self) -> Vec<u8> {
        let told = self.0.lock().unwrap();
        let mut bytes = Vec::new();
        told.traces.iter().for_each(|request| bytes.extend(request.encode_to_vec()));
        told.logs.iter().for_each(|request| bytes.extend(request.encode_to_vec()));
        told.metrics.iter().for_each(|request| bytes.extend(request.encode_to_vec()));
        bytes
    }
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let named = attributes.iter().find(|attribute| attribute.key == "service.name");
    match named.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn find<'a>(spans: &'a [(String, Span)], service: &str, name: &str) -> Option<&'a Span> {
    spans.iter().find(|(of, span)| of == service && span.name == name).map(|(_, span)| span)
}

/// Each span is within another one, up to the one that was sent with the call; and each of these pairs of processes is in the order
/// that a call goes.
fn assert_nested(spans: &[(String, Span)], expected: &[(&str, &str)]) {
    let known: HashSet<&[u8]> = spans.iter().map(|(_, span)| span.span_id.as_slice()).collect();
    let begun = spans.iter().filter(|(_, span)| !known.contains(span.parent_span_id.as_slice()));
    let begun: Vec<&str> = begun.map(|(_, span)| span.name.as_str()).collect();
    assert_eq!(begun, [expected[0].1]);
    let of = |index: usize| find(spans, expected[index].0, expected[index].1).unwrap();
    for (inner, outer) in [(1, 0), (2, 1), (3, 0), (4, 3), (5, 4)] {
        assert_eq!(of(inner).parent_span_id, of(outer).span_id, "{:?} in {:?}", expected[inner], expected[outer]);
    }
}

/// A trace's id, as it is told.
fn id_of(text: &str) -> Vec<u8> {
    (0..16).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// Neither what was told nor what was logged holds any of these, in any form.
fn assert_kept<'a>(receiver: &Receiver, log: &str, secrets: impl Iterator<Item = &'a String>) {
    let bytes = receiver.bytes();
    for secret in secrets {
        assert_eq!(line_with(log, secret), None);
        for form in forms(secret) {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "what was told holds {form:?}");
        }
    }
}

/// Each service tells metrics of its own.
async fn assert_metrics(receiver: &Receiver) {
    let metrics = [
        ("api-gateway", CALLS),
        ("api-gateway", "portcullis.introspection.cache.lookups"),
        ("token-service", "portcullis.lease.holders"),
        ("token-service", "portcullis.signin.attempts"),
        ("environment-service", "portcullis.driver.operation.duration"),
    ];
    eventually("the metrics", LONG, async || {
        let told = receiver.metrics();
        metrics.iter().all(|(service, name)| told.contains(&((*service).to_owned(), (*name).to_owned()))).then_some(())
    })
    .await;
}

/// How long the call took, and what a driver did for it, are told with the spans that it was.
async fn assert_exemplars(receiver: &Receiver, id: &[u8]) {
    for (service, histogram, name) in [
        ("api-gateway", CALLS, "GET /1.0/environment/control/rest/stopenv"),
        ("environment-service", "portcullis.driver.operation.duration", "process end"),
    ] {
        let told = async || receiver.exemplars(service, histogram, id).pop();
        let exemplar = eventually(&format!("an exemplar of {histogram}"), LONG, told).await;
        assert!(exemplar.filtered_attributes.is_empty(), "{exemplar:?}");
        let told = async || receiver.trace(id).into_iter().find(|(_, span)| span.span_id == exemplar.span_id);
        let (of, span) = eventually(&format!("the span of {exemplar:?}"), LONG, told).await;
        assert_eq!((of.as_str(), span.name.as_str()), (service, name));
    }
}

#[tokio::test]
async fn a_call_is_one_trace_over_all_processes_and_no_secret_is_told() {
    let (receiver, url) = Receiver::start().await;
    let mut stack = Stack::sqlite_told_to(&url).await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let (_, token) = stack.token(&session, "environment.control.StopEnv").await;
    let path = format!("{STOP}?envName=my-project&session={token}");
    let stop = stack.client.request(Method::GET, &path).header("traceparent", format!("00-{ONE}-00f067aa0ba902b7-01"));
    stack.client.send(stop).await.success();

    let id = id_of(ONE);
    let (introspect, stop) =
        ("portcullis.token.v1.Introspection/Introspect", "portcullis.environment.v1.Control/StopEnv");
    let expected = [
        ("api-gateway", "GET /1.0/environment/control/rest/stopenv"),
        ("api-gateway", introspect),
        ("token-service", introspect),
        ("api-gateway", stop),
        ("environment-service", stop),
        ("environment-service", "process end"),
        ("environment-service", "transaction"),
    ];
    for (service, name) in expected {
        let told = async || find(&receiver.trace(&id), service, name).is_some().then_some(());
        eventually(&format!("`{name}` of {service}"), LONG, told).await;
    }
    let spans = receiver.trace(&id);
    assert_nested(&spans, &expected);

    // The authority logs nothing of an introspection, but of a call that it executes.
    let other = id_of(OTHER);
    let list = stack.client.request(Method::GET, &format!("{LIST}?session={session}"));
    stack.client.send(list.header("traceparent", format!("00-{OTHER}-00f067aa0ba902b7-01"))).await.success();
    for (service, id) in [("api-gateway", &id), ("token-service", &other), ("environment-service", &id)] {
        let told = async || receiver.logged(id).contains(service).then_some(());
        eventually(&format!("what {service} has logged within it"), LONG, told).await;
    }
    assert_metrics(&receiver).await;
    assert_exemplars(&receiver, &id).await;

    // A failure is in its trace too, by its reason.
    stack.client.get(&format!("{STOP}?envName=nowhere&session={token}")).await;
    stack.client.get(&format!("/{token}?x={token}")).await;
    // Secrets of every other kind go through the system as well.
    let (second_factor, codes) = second_factor(&stack, &session).await;
    let client_key = stack.service_key(CLIENT_NAME);
    let asked = stack.client.request(Method::POST, "/oauth2/introspect").basic_auth(CLIENT_NAME, Some(&client_key));
    assert_eq!(stack.client.send(asked.form(&[("token", &token)])).await.json()["active"], true);
    let keys = ["api-gateway", "environment-service"].map(|service| stack.service_key(service));

    let mut log = String::new();
    for process in [stack.gateway.take(), stack.environment.take(), stack.token.take()].into_iter().flatten() {
        let (_, told) = process.terminate().await;
        assert!(told.contains(ONE) || told.contains(OTHER), "the lines of a call name its trace: {told}");
        log.push_str(&told);
    }
    assert_eq!(receiver.exemplars("api-gateway", CALLS, &id).len(), 1, "it is told once");
    let secrets = [token, session, PASSWORD.to_owned(), second_factor, client_key];
    assert_kept(&receiver, &log, secrets.iter().chain(&keys).chain(&codes));
}
