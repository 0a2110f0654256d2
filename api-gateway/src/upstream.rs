//! Calls to the services that execute methods, with messages that are known by their descriptors only.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use access::{Credential, GRANT_HEADER, ORIGIN_HEADER, Replicas};
use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use proto::{Failure, Method};
use tls::{Certificates, Connector};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataValue, BinaryMetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::{Config, ConfigError};

/// The largest answer of a service, in bytes. gRPC's own bound, 4 MiB, is soon reached by a list of environments.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How many bytes of a stream are on their way, and of all streams of a connection: more than those of each that there can be.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = i32::MAX as u32;

/// Services by their names.
pub(crate) type Services = BTreeMap<&'static str, Replicas>;

/// The services that execute methods, by the names that grants have for them.
#[derive(Clone)]
pub(crate) struct Upstreams {
    services: Services,
    /// The same, by connections of their own: a stream that is not read must hold up no call.
    streams: Services,
    authority: &'static str,
    service_key: AsciiMetadataValue,
}

impl Upstreams {
    /// The services, and the key by which the one that is the authority believes this gateway.
    pub(crate) fn new(
        (services, streams): (Services, Services),
        authority: &'static str,
        service_key: &Credential,
    ) -> Self {
        Self { services, streams, authority, service_key: service_key.bearer() }
    }

    /// Calls a method under a grant; a public one needs none. Tells as well how long the service took, without what it was waited
    /// for it to take connections.
    pub(crate) async fn call(
        &self,
        method: &Method,
        message: &Bytes,
        grant: Option<BinaryMetadataValue>,
        origin: &BinaryMetadataValue,
    ) -> Result<(DynamicMessage, Duration), Failure> {
        let service = of(&self.services, method)?;
        let attempt = |channel| {
            let mut request = self.request(method, message, grant.as_ref(), origin);
            let (path, codec) = way(method);
            let span = telemetry::client_span(path.as_str(), request.metadata_mut());
            telemetry::in_client_span(span, async move {
                let mut client = client(channel).await?;
                let began = Instant::now();
                let answer = client.unary(request, path, codec).await?;
                Ok((answer.into_inner(), began.elapsed()))
            })
        };
        service.call(attempt).await.map_err(|status| failure(method, status))
    }

    /// Calls a method that answers with a stream. Dropping the stream ends the call.
    pub(crate) async fn stream(
        &self,
        method: &'static Method,
        message: &Bytes,
        grant: Option<BinaryMetadataValue>,
        origin: &BinaryMetadataValue,
    ) -> Result<Answers, Failure> {
        let service = of(&self.streams, method)?;
        let attempt = |channel| {
            let mut request = self.request(method, message, grant.as_ref(), origin);
            let (path, codec) = way(method);
            let span = telemetry::client_span(path.as_str(), request.metadata_mut());
            let call = async move { client(channel).await?.server_streaming(request, path, codec).await };
            telemetry::in_client_span(span, call)
        };
        let answers = service.call(attempt).await;
        let answers = answers.map(tonic::Response::into_inner).map_err(|status| failure(method, status))?;
        Ok(Answers { method, answers })
    }

    fn request(
        &self,
        method: &Method,
        message: &Bytes,
        grant: Option<&BinaryMetadataValue>,
        origin: &BinaryMetadataValue,
    ) -> Request<Bytes> {
        let mut request = Request::new(message.clone());
        if let Some(grant) = grant {
            request.metadata_mut().insert_bin(GRANT_HEADER, grant.clone());
        }
        request.metadata_mut().insert_bin(ORIGIN_HEADER, origin.clone());
        // Nobody else is to have the key.
        if method.audience() == self.authority {
            request.metadata_mut().insert("authorization", self.service_key.clone());
        }
        request
    }

    /// The services that do not serve, with the reason.
    pub(crate) async fn not_serving(&self, timeout: Duration) -> Vec<(&'static str, String)> {
        let asked = self.services.iter().map(|(name, service)| async move {
            let ask = |channel| {
                let mut request = Request::new(HealthCheckRequest::default());
                request.set_timeout(timeout);
                async move { HealthClient::new(channel).check(request).await }
            };
            let answer = service.ask(ask).await;
            match answer.map(|answer| answer.into_inner().status()) {
                Ok(ServingStatus::Serving) => None,
                Ok(_) => Some((*name, "not serving".to_owned())),
                Err(status) => Some((*name, status.code().description().to_owned())),
            }
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

/// A client of a connection that takes a call.
async fn client(channel: Channel) -> Result<Grpc<Channel>, Status> {
    let mut client = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    Ok(client)
}

/// Where a method is called, and how its messages are read and written.
fn way(method: &Method) -> (PathAndQuery, DynamicCodec) {
    (method.grpc_path().clone(), DynamicCodec(method.descriptor().output()))
}

/// The answers of a method that streams.
pub(crate) struct Answers {
    method: &'static Method,
    answers: Streaming<DynamicMessage>,
}

impl Answers {
    /// The next one; none where the method has told all.
    pub(crate) async fn next(&mut self) -> Result<Option<DynamicMessage>, Failure> {
        self.answers.message().await.map_err(|status| failure(self.method, status))
    }
}

/// The services that execute methods, for calls and for streams, and the certificates by which they know this gateway.
pub(crate) fn services(
    config: &Config,
    certificates: Option<&Certificates>,
) -> Result<(Services, Services), ConfigError> {
    let (endpoints, patience) = (config.endpoints()?, config.restart_patience.unsigned_abs());
    let replicas = |name: &'static str, all: Vec<Endpoint>| {
        Replicas::patient(all, Connector::to(certificates.cloned(), name), patience)
    };
    let streams = endpoints.iter().map(|(name, all)| (*name, all.iter().cloned().map(for_streams).collect()));
    let streams = streams.map(|(name, all)| (name, replicas(name, all))).collect();
    Ok((endpoints.into_iter().map(|(name, all)| (name, replicas(name, all))).collect(), streams))
}

/// For a connection of streams: of each a little waits to be read, and of all together as much as there is.
fn for_streams(endpoint: Endpoint) -> Endpoint {
    endpoint.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW)
}

fn of<'a>(services: &'a Services, method: &Method) -> Result<&'a Replicas, Failure> {
    services.get(method.audience()).ok_or_else(|| Failure::internal(format!("no upstream {}", method.audience())))
}

/// A status that a broken connection made, and no service, is an outage, whatever its code.
fn failure(method: &Method, status: Status) -> Failure {
    let broken = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled) && status.source().is_some();
    if broken { Failure::unavailable(method.audience(), status) } else { status.into() }
}

/// Protobuf: a request is encoded already, so that it can be sent again; an answer is read by its descriptor.
struct DynamicCodec(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = Bytes;
    type Decode = DynamicMessage;
    type Encoder = Encoded;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> Encoded {
        Encoded
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.0.clone())
    }
}

struct Encoded;

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
