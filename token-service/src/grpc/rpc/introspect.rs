use access::lease::Freshness;
use access::{Credential, Handle, Revision, ServicePermit};
use jiff::SignedDuration;
use proto::Failure;
use proto::token::v1::rpc::Introspect;
use proto::token::v1::{IntrospectRequest, IntrospectResponse};
use zeroize::Zeroizing;

use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;

impl Handle<Introspect> for Authority {
    async fn handle(&self, _: &ServicePermit, request: IntrospectRequest) -> Result<IntrospectResponse, Failure> {
        let value = Zeroizing::new(request.credential);
        if !self.catalog.has_audience(&request.audience) {
            return Err(Failure::invalid("audience", "must name a service that executes calls"));
        }
        let Ok(credential) = Credential::parse(&value) else { return Ok(IntrospectResponse::default()) };
        // Before anything is looked at: a wait in between makes the rest shorter, never longer.
        let now = self.clock.now();
        let oldest = Freshness::NotBefore(Revision(request.not_before));
        let freshness = if request.fresh { Freshness::Now } else { oldest };
        let known = self.introspected(&credential, freshness).await.map_err(storage_failure)?;
        let Some(known) = known else { return Ok(IntrospectResponse::default()) };
        let key = self.signing_keys.signing().await?;
        let grant = self.grant(&key, &known, &request.audience);
        let grant = grant.ok_or_else(|| Failure::internal("an audience that was known is not"))?;
        let left = grant.claims.expires_at.duration_since(now).max(SignedDuration::ZERO);
        Ok(IntrospectResponse {
            active: true,
            claims: Some((&grant.claims).into()),
            grant: grant.signed.clone(),
            grant_left_micros: u64::try_from(left.as_micros()).unwrap_or(0),
        })
    }
}
