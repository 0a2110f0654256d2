//! What the token-service says of a credential. Each call asks; what would remember answers comes between here.

use std::time::Duration;

use access::{Claims, Credential};
use bytes::Bytes;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::use_reports_client::UseReportsClient;
use proto::token::v1::{GetPublicKeysRequest, IntrospectRequest, ReportUsesRequest};
use proto::{ErrorKind, Failure};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

/// The token-service, as this gateway's key lets it be asked.
#[derive(Clone)]
pub(crate) struct Authority {
    client: IntrospectionClient<Channel>,
    uses: UseReportsClient<Channel>,
    service_key: AsciiMetadataValue,
    timeout: Duration,
}

/// A credential that is alive: what it may do, and the grant that proves it to one service.
pub(crate) struct Introspected {
    pub(crate) claims: Claims,
    pub(crate) grant: Bytes,
}

impl Authority {
    pub(crate) fn new(channel: Channel, service_key: &Credential, timeout: Duration) -> Self {
        let uses = UseReportsClient::new(channel.clone());
        Self { client: IntrospectionClient::new(channel), uses, service_key: bearer(service_key), timeout }
    }

    /// What a credential may do at a service right now; nothing where it is not alive.
    pub(crate) async fn introspect(
        &self,
        credential: &Credential,
        audience: &str,
    ) -> Result<Option<Introspected>, Failure> {
        let question = IntrospectRequest { credential: credential.expose().to_owned(), audience: audience.to_owned() };
        let answer = self.client.clone().introspect(self.request(question)).await;
        let answer = answer.map_err(|status| trouble(status.into()))?.into_inner();
        if !answer.active {
            return Ok(None);
        }
        let claims = answer.claims.ok_or_else(|| Failure::internal("the authority answered without claims"))?;
        let claims = Claims::try_from(claims).map_err(Failure::internal)?;
        Ok(Some(Introspected { claims, grant: answer.grant }))
    }

    /// Tells how credentials were used.
    pub(crate) async fn report_uses(&self, report: ReportUsesRequest) -> Result<(), Failure> {
        let answer = self.uses.clone().report_uses(self.request(report)).await;
        answer.map(drop).map_err(|status| trouble(status.into()))
    }

    /// Whether it answers, to this gateway's key.
    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        let answer = self.client.clone().get_public_keys(self.request(GetPublicKeysRequest {})).await;
        answer.map(drop).map_err(|status| trouble(status.into()))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.service_key.clone());
        request.set_timeout(self.timeout);
        request
    }
}

/// How a service key is shown to the authority (RFC 6750, section 2.1).
pub(crate) fn bearer(service_key: &Credential) -> AsciiMetadataValue {
    let mut value = AsciiMetadataValue::try_from(format!("Bearer {}", service_key.expose()))
        .expect("a credential is letters, digits and underscores");
    value.set_sensitive(true);
    value
}

/// What goes wrong between two services is never told as if it were the caller's fault: an unknown service key is not an
/// unknown token.
fn trouble(failure: Failure) -> Failure {
    match failure.kind() {
        ErrorKind::Unavailable | ErrorKind::Throttled => Failure::unavailable("the token authority", failure),
        _ => Failure::internal(failure),
    }
}
