use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::GetAuditLog;
use proto::token::v1::{AuditEntry, GetAuditLogRequest, GetAuditLogResponse};

use crate::grpc::Authority;
use crate::grpc::answer::page_limit;
use crate::grpc::authority::storage_failure;
use crate::store::AuditRow;

impl Handle<GetAuditLog> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: GetAuditLogRequest,
    ) -> Result<GetAuditLogResponse, Failure> {
        let limit = page_limit(request.limit)?;
        let before = request.before.unwrap_or(i64::MAX);
        if before < 1 {
            return Err(Failure::invalid("before", "must be the number of an entry"));
        }
        let session = self.session(permit).await?;
        // One more than asked for tells whether there is another page.
        let rows = self.store.audit_of(session.account, before, i64::from(limit) + 1).await.map_err(storage_failure)?;
        let mut entries: Vec<AuditEntry> = rows.into_iter().map(entry).collect::<Result<_, _>>()?;
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        let next = entries.last().filter(|_| more).map(|last| last.id);
        Ok(GetAuditLogResponse { entries, next })
    }
}

fn entry(row: AuditRow) -> Result<AuditEntry, Failure> {
    let at = jiff::Timestamp::from_microsecond(row.at).map_err(Failure::internal)?;
    Ok(AuditEntry {
        id: row.number,
        at: Some(proto::time::to_wire(at)),
        actor: row.actor,
        action: row.action,
        object: row.object,
        outcome: row.outcome,
        address: row.address,
        user_agent: row.user_agent,
        request_id: row.request_id,
        changes: row.changes,
    })
}
