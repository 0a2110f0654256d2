use access::{Handle, SessionPermit};
use jiff::SignedDuration;
use proto::Failure;
use proto::token::v1::rpc::RegenerateToken;
use proto::token::v1::{RegenerateTokenRequest, RegenerateTokenResponse};

use crate::domain::{NewExpiry, NewValue, TokenChange};
use crate::grpc::{Authority, answer};

/// How long a value can live on beside the new one, in seconds.
const LONGEST_OVERLAP: u32 = 30 * 24 * 60 * 60;

impl Handle<RegenerateToken> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: RegenerateTokenRequest,
    ) -> Result<RegenerateTokenResponse, Failure> {
        let now = self.clock.now();
        let overlap = request.overlap_seconds.unwrap_or(0);
        if overlap > LONGEST_OVERLAP {
            return Err(Failure::invalid(
                "overlapSeconds",
                format!("must be 0 to {LONGEST_OVERLAP}, which is 30 days"),
            ));
        }
        let overlap_ends_at = (overlap > 0).then(|| now + SignedDuration::from_secs(overlap.into()));
        let (value, hash) = answer::new_value();
        let changed = TokenChange {
            value: Some(NewValue { hash, overlap_ends_at }),
            expires_at: answer::expiry(request.expires_at, now)?.map(NewExpiry::At),
            ..TokenChange::default()
        };
        let session = self.confirmed(permit, request.password).await?;
        let (token, change) = self.store.change_token(&session, request.id, &changed, now).await?;
        let confirmed = self.leases.confirm(&[change]).await;
        tracing::info!(token.id = token.id, account.id = session.account.0, "a token was regenerated");
        let token = Some(self.shown(token, Some(&value), now));
        Ok(RegenerateTokenResponse { token, confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
