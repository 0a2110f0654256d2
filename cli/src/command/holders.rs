use super::Caller;
use crate::output::{self, cell, objects, table};

/// The processes that hold a lease.
pub(super) async fn list(caller: &Caller) -> anyhow::Result<()> {
    let answer = caller.api.call("system.lease.GetHolders", Vec::new()).await?;
    output::answer(caller.output, &answer, |answer| {
        let newest = cell(answer, "revision");
        let rows = objects(answer, "holders").into_iter().map(|holder| {
            let left = format!("{} ms", cell(holder, "leaseLeftMillis"));
            let acknowledged = format!("{} of {newest}", cell(holder, "acknowledged"));
            [
                cell(holder, "name"),
                cell(holder, "place"),
                cell(holder, "replica"),
                left,
                acknowledged,
                cell(holder, "id"),
            ]
        });
        table(["name", "place", "replica", "lease left", "acknowledged", "id"], rows)
    })
}
