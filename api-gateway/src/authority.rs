//! What the token-service says of a credential, as it is asked. What is remembered of it is kept in [`crate::introspection`].

use std::time::Duration;

use access::lease::Freshness;
use access::{Claims, Credential, Replicas, is_outage};
use bytes::Bytes;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::use_reports_client::UseReportsClient;
use proto::token::v1::{GetPublicKeysRequest, IntrospectRequest, ReportUsesRequest};
use proto::{ErrorKind, Failure};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status};

/// How the introspection is called.
const INTROSPECT: &str = "portcullis.token.v1.Introspection/Introspect";

/// The token-service, as this gateway's key lets it be asked.
#[derive(Clone)]
pub(crate) struct Authority {
    replicas: Replicas,
    service_key: AsciiMetadataValue,
    timeout: Duration,
}

/// A credential that is alive: what it may do, and the grant that proves it to one service.
pub(crate) struct Introspected {
    pub(crate) claims: Claims,
    pub(crate) grant: Bytes,
    /// How long the grant can still be used, from the question on.
    pub(crate) left: Duration,
}

impl Authority {
    pub(crate) fn new(replicas: Replicas, service_key: &Credential, timeout: Duration) -> Self {
        Self { replicas, service_key: service_key.bearer(), timeout }
    }

    /// What a credential may do at a service right now; nothing where it is not alive.
    pub(crate) async fn introspect(
        &self,
        credential: &Credential,
        audience: &str,
        freshness: Freshness,
    ) -> Result<Option<Introspected>, Failure> {
        let ask = |channel| {
            let (credential, audience) = (credential.expose().to_owned(), audience.to_owned());
            let (fresh, not_before) = match freshness {
                Freshness::Now => (true, 0),
                Freshness::NotBefore(revision) => (false, revision.0),
            };
            let mut question = self.request(IntrospectRequest { credential, audience, fresh, not_before });
            let span = telemetry::client_span(INTROSPECT, question.metadata_mut());
            let call = async move { IntrospectionClient::new(channel).introspect(question).await };
            telemetry::in_client_span(span, call)
        };
        let answer = self.replicas.ask(ask).await.map_err(trouble)?.into_inner();
        if !answer.active {
            return Ok(None);
        }
        let claims = answer.claims.ok_or_else(|| Failure::internal("the authority answered without claims"))?;
        let claims = Claims::try_from(claims).map_err(Failure::internal)?;
        let left = Duration::from_micros(answer.grant_left_micros);
        Ok(Some(Introspected { claims, grant: answer.grant, left }))
    }

    /// Tells how credentials were used. A report that is sent again is counted once.
    pub(crate) async fn report_uses(&self, report: ReportUsesRequest) -> Result<(), Failure> {
        let tell = |channel| {
            let report = self.request(report.clone());
            async move { UseReportsClient::new(channel).report_uses(report).await }
        };
        let answer = self.replicas.ask(tell).await;
        answer.map(drop).map_err(trouble)
    }

    /// Whether it answers, to this gateway's key.
    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        let ask = |channel| {
            let question = self.request(GetPublicKeysRequest {});
            async move { IntrospectionClient::new(channel).get_public_keys(question).await }
        };
        let answer = self.replicas.ask(ask).await;
        answer.map(drop).map_err(trouble)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.service_key.clone());
        request.set_timeout(self.timeout);
        request
    }
}

/// What goes wrong between two services is never told as if it were the caller's fault: an unknown service key is not an
/// unknown token.
fn trouble(status: Status) -> Failure {
    if is_outage(&status) {
        return Failure::unavailable("the token authority", status);
    }
    let failure = Failure::from(status);
    match failure.kind() {
        ErrorKind::Unavailable | ErrorKind::Throttled => Failure::unavailable("the token authority", failure),
        _ => Failure::internal(failure),
    }
}
