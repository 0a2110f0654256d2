use std::time::Duration;

use access::{Credential, GATEWAY_KEY_HEADER, ORIGIN_HEADER, Origin, Replicas, is_outage};
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::{IntrospectBatchRequest, IntrospectedCredential, RevokeCredentialRequest};
use proto::{ErrorKind, Failure};
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Request, Status};

use super::client::Client;

/// The token-service, asked for clients under their own keys. The gateway's key stands beside, so that it is believed about
/// where a call came in, and for nothing else.
#[derive(Clone)]
pub(crate) struct ClientAuthority {
    replicas: Replicas,
    gateway_key: AsciiMetadataValue,
    timeout: Duration,
}

impl ClientAuthority {
    pub(crate) fn new(replicas: Replicas, service_key: &Credential, timeout: Duration) -> Self {
        let mut gateway_key = AsciiMetadataValue::try_from(service_key.expose())
            .expect("a credential is letters, digits and underscores");
        gateway_key.set_sensitive(true);
        Self { replicas, gateway_key, timeout }
    }

    /// What is known of a credential, or of what is none.
    pub(super) async fn introspect(
        &self,
        client: &Client,
        credential: Option<&Credential>,
        origin: &Origin,
    ) -> Result<IntrospectedCredential, Failure> {
        let question = IntrospectBatchRequest { credentials: vec![value(credential)], client_id: client.id.clone() };
        let ask = |channel| {
            let question = self.request(client, question.clone(), origin);
            async move { IntrospectionClient::new(channel).introspect_batch(question).await }
        };
        let answer = self.replicas.ask(ask).await;
        let answer = answer.map_err(trouble)?.into_inner();
        let [known] = <[_; 1]>::try_from(answer.credentials)
            .map_err(|_| Failure::internal("the authority answered of more or less than was asked about"))?;
        Ok(known)
    }

    /// Ends a credential; what is none has ended.
    pub(super) async fn revoke(
        &self,
        client: &Client,
        credential: Option<&Credential>,
        origin: &Origin,
    ) -> Result<(), Failure> {
        let request = RevokeCredentialRequest { credential: value(credential), client_id: client.id.clone() };
        let revoke = |channel| {
            let request = self.request(client, request.clone(), origin);
            async move { IntrospectionClient::new(channel).revoke_credential(request).await }
        };
        let answer = self.replicas.call(revoke).await;
        answer.map(drop).map_err(trouble)
    }

    fn request<T>(&self, client: &Client, message: T, origin: &Origin) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", client.key.bearer());
        metadata.insert(GATEWAY_KEY_HEADER, self.gateway_key.clone());
        metadata.insert_bin(ORIGIN_HEADER, MetadataValue::from_bytes(&origin.to_bytes()));
        request.set_timeout(self.timeout);
        request
    }
}

fn value(credential: Option<&Credential>) -> String {
    credential.map(|credential| credential.expose().to_owned()).unwrap_or_default()
}

/// Only the client's own key can be refused here, as unknown or for its role: all else is no fault of the client's.
fn trouble(status: Status) -> Failure {
    if is_outage(&status) {
        return Failure::unavailable("the token authority", status);
    }
    let failure = Failure::from(status);
    match failure.kind() {
        ErrorKind::NotAuthenticated => failure,
        ErrorKind::PermissionDenied => {
            Failure::new(ErrorKind::NotAuthenticated, "the service key is not a client's").because(failure)
        }
        ErrorKind::Unavailable | ErrorKind::Throttled => Failure::unavailable("the token authority", failure),
        _ => Failure::internal(failure),
    }
}
