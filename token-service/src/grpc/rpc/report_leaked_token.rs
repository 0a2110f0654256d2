use std::time::Duration;

use access::{Credential, CredentialKind, Handle, PublicPermit};
use proto::Failure;
use proto::token::v1::rpc::ReportLeakedToken;
use proto::token::v1::{ReportLeakedTokenRequest, ReportLeakedTokenResponse};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::domain::Guessed;
use crate::grpc::authority::storage_failure;
use crate::grpc::{Authority, answer};

/// When the answer comes, so that its time does not tell whether there was such a value. It does not wait longer for a change to
/// be confirmed, and says nothing of it: what was committed is in force everywhere after the time of a lease at the latest.
const ANSWER_AFTER: Duration = Duration::from_millis(250);

impl Handle<ReportLeakedToken> for Authority {
    async fn handle(
        &self,
        permit: &PublicPermit,
        request: ReportLeakedTokenRequest,
    ) -> Result<ReportLeakedTokenResponse, Failure> {
        let value = Zeroizing::new(request.token_value);
        // What has the form of no credential can't be one: that is nothing to hide.
        let invalid = |problem: &dyn std::fmt::Display| Failure::invalid("tokenValue", problem);
        let value = Credential::parse(&value).map_err(|error| invalid(&error))?;
        if value.kind() == CredentialKind::Service {
            return Err(invalid(&"is a service's key: its operator has to replace it"));
        }
        let answer_at = Instant::now() + ANSWER_AFTER;
        let reported = report(self, permit, &value, answer_at).await;
        tokio::time::sleep_until(answer_at).await;
        reported.map(|()| ReportLeakedTokenResponse {})
    }
}

async fn report(
    authority: &Authority,
    permit: &PublicPermit,
    value: &Credential,
    answer_at: Instant,
) -> Result<(), Failure> {
    let now = authority.clock.now();
    // Counted whether there is such a value or not: one that costs nothing would tell.
    let _ = authority.guess(Guessed::Credential, permit.origin()).await?;
    let Some(held) = authority.store.held(value, now).await.map_err(storage_failure)? else {
        return Ok(());
    };
    let (_, unknown) = answer::new_value();
    let dead = authority.store.report_leak(held, value.hash(), unknown, permit.origin(), now).await;
    let Some(change) = dead.map_err(storage_failure)? else {
        return Ok(());
    };
    let account = held.account.0;
    tracing::warn!(credential = %held.credential, account.id = account, "a value was reported to be leaked");
    let _ = tokio::time::timeout_at(answer_at, authority.leases.confirm(&[change])).await;
    Ok(())
}
