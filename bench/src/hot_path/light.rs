//! A client of unary calls that costs less than a generated one: with that, the client and not the server would be what is
//! measured. Its messages are encoded beforehand, and its answers are looked at and not decoded.

use anyhow::{Context, ensure};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use axum::http::{HeaderValue, Request, Version};
use h2::client::{Builder, SendRequest};
use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};
use proto::Rpc;
use proto::token::v1::IntrospectRequest;
use proto::token::v1::rpc::Introspect;
use tokio::net::TcpStream;

/// How an `IntrospectResponse` of a credential that is alive begins: field 1, true.
const ACTIVE: &[u8] = &[8, 1];

/// The length of what goes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Introspect on one connection.
#[derive(Clone)]
pub(super) struct LightClient {
    send: SendRequest<Bytes>,
    request: Request<()>,
}

impl LightClient {
    /// Connects to a server, as a service with a key.
    pub(super) async fn connect(url: &str, key: &str) -> anyhow::Result<Self> {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // So much room that no answer waits for it.
        let mut builder = Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 26);
        let (send, connection) = builder.handshake(stream).await?;
        // It ends with the runtime that it is in; what is wrong with it is told to each call.
        tokio::spawn(connection);
        let mut request = Request::post(format!("http://{address}{}", Introspect::PATH)).version(Version::HTTP_2);
        let headers = request.headers_mut().context("the address is none")?;
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(AUTHORIZATION, format!("Bearer {key}").parse()?);
        Ok(Self { send, request: request.body(())? })
    }

    /// Asks of a credential that has to be alive.
    pub(super) async fn introspect(&self, question: &Bytes) -> anyhow::Result<()> {
        let mut send = self.send.clone().ready().await?;
        let (answer, mut body) = send.send_request(self.request.clone(), false)?;
        body.send_data(question.clone(), true)?;
        let answer = answer.await?;
        let status = answer.headers().get("grpc-status").cloned();
        let mut body = answer.into_body();
        let mut alive = false;
        while let Some(part) = body.data().await {
            let part = part?;
            // Servers write a small message in one frame.
            alive |= part.get(PREFIX..).is_some_and(|message| message.starts_with(ACTIVE));
            body.flow_control().release_capacity(part.len())?;
        }
        let status = body.trailers().await?.and_then(|trailers| trailers.get("grpc-status").cloned()).or(status);
        ensure!(status.is_some_and(|status| status == "0") && alive, "a token that was written is not alive");
        Ok(())
    }
}

/// A question, as it goes over the connection (gRPC's `Length-Prefixed-Message`).
pub(super) fn question(credential: &str) -> Bytes {
    let question = IntrospectRequest {
        credential: credential.to_owned(),
        audience: "environment-service".to_owned(),
        ..IntrospectRequest::default()
    };
    let mut bytes = BytesMut::with_capacity(PREFIX + question.encoded_len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(question.encoded_len()).expect("a question is short"));
    question.encode(&mut bytes).expect("there is room for it");
    bytes.freeze()
}
