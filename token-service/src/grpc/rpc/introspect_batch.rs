use access::lease::Freshness;
use access::{Credential, GrantedKind, Handle, ServicePermit};
use proto::token::v1::rpc::IntrospectBatch;
use proto::token::v1::{CredentialKind, IntrospectBatchRequest, IntrospectBatchResponse, IntrospectedCredential};
use proto::{Catalog, Failure};
use zeroize::Zeroizing;

use crate::grpc::Authority;
use crate::grpc::authority::{named, storage_failure};
use crate::store::Introspected;

/// How many credentials are asked about at once.
const MOST: usize = 100;

impl Handle<IntrospectBatch> for Authority {
    async fn handle(
        &self,
        permit: &ServicePermit,
        request: IntrospectBatchRequest,
    ) -> Result<IntrospectBatchResponse, Failure> {
        let values: Vec<Zeroizing<String>> = request.credentials.into_iter().map(Zeroizing::new).collect();
        named(permit, &request.client_id)?;
        if !(1..=MOST).contains(&values.len()) {
            return Err(Failure::invalid("credentials", format!("must be 1 to {MOST}")));
        }
        // Before the first credential is read: a change that comes in between is newer than what is said here.
        let as_of = self.store.revision().await.map_err(storage_failure)?;
        let mut credentials = Vec::with_capacity(values.len());
        for value in values {
            credentials.push(introspect(self, &value).await?);
        }
        Ok(IntrospectBatchResponse { as_of: as_of.0, credentials })
    }
}

async fn introspect(authority: &Authority, value: &str) -> Result<IntrospectedCredential, Failure> {
    let Ok(credential) = Credential::parse(value) else { return Ok(IntrospectedCredential::default()) };
    let found = authority.introspected(&credential, Freshness::Now).await.map_err(storage_failure)?;
    Ok(found.map(|found| known(authority.catalog, &found.found)).unwrap_or_default())
}

fn known(catalog: &Catalog, found: &Introspected) -> IntrospectedCredential {
    let kind = match found.credential.kind {
        GrantedKind::Session => CredentialKind::Session,
        GrantedKind::Token => CredentialKind::Token,
    };
    let methods = found.api_set.as_ref().map(|set| set.methods(catalog)).unwrap_or_default();
    IntrospectedCredential {
        active: true,
        kind: kind.into(),
        credential_id: found.credential.number,
        account_id: found.account.0,
        login: found.login.clone(),
        permissions: methods.iter().map(|method| method.name().to_owned()).collect(),
        environments: found.confinement.environments.iter().map(ToString::to_string).collect(),
        source_networks: found.confinement.networks.iter().map(ToString::to_string).collect(),
        created_at: Some(proto::time::to_wire(found.created_at)),
        expires_at: found.expires_at.map(proto::time::to_wire),
    }
}
