use access::{CredentialId, GrantedKind, Handle, ServicePermit};
use jiff::Timestamp;
use proto::Failure;
use proto::token::v1::rpc::ReportUses;
use proto::token::v1::{CredentialUse as WireUse, ReportUsesRequest, ReportUsesResponse};

use crate::domain::CredentialUse;
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;

/// How many uses a report holds at most: they are counted in one transaction.
const LONGEST: usize = 500;

/// How long an address or a method's name can be, in bytes.
const LONGEST_TEXT: usize = 255;

/// How often a credential can have been used at most: more calls than a gateway takes between two reports.
const MOST: i64 = 1_000_000;

impl Handle<ReportUses> for Authority {
    async fn handle(&self, _: &ServicePermit, request: ReportUsesRequest) -> Result<ReportUsesResponse, Failure> {
        if request.reporter.parse::<uuid::Uuid>().is_err() {
            return Err(Failure::invalid("reporter", "must be a UUID"));
        }
        if request.uses.len() > LONGEST {
            return Err(Failure::invalid("uses", format!("must hold at most {LONGEST} values")));
        }
        let now = self.clock.now();
        let uses = request.uses.into_iter().map(|wire| parse(wire, now)).collect::<Result<Vec<_>, _>>()?;
        let counted = self.store.count_uses(&request.reporter, request.sequence, &uses, now).await;
        counted.map_err(storage_failure)?;
        Ok(ReportUsesResponse {})
    }
}

/// A use that is still to come was now, by a clock that is ahead: no later use would be told else, and a session that is said to
/// be used next year would not end before.
fn parse(wire: WireUse, now: Timestamp) -> Result<CredentialUse, Failure> {
    let invalid = |what: &str| Failure::invalid("uses", format!("holds a use without a proper {what}"));
    let kind = GrantedKind::from_wire(wire.kind()).ok_or_else(|| invalid("kind"))?;
    let last_used_at = wire.last_used_at.ok_or_else(|| invalid("moment"))?;
    let last_used_at = proto::time::from_wire(&last_used_at).map_err(|_| invalid("moment"))?;
    if !(1..=MOST).contains(&wire.count) {
        return Err(invalid("count"));
    }
    if wire.address.len() > LONGEST_TEXT || wire.method.len() > LONGEST_TEXT {
        return Err(invalid("address and method"));
    }
    Ok(CredentialUse {
        credential: CredentialId { kind, number: wire.credential_id },
        last_used_at: last_used_at.min(now),
        address: wire.address,
        method: wire.method,
        count: wire.count,
    })
}
