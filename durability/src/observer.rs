use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use e2e::with_grant;
use proto::token::v1::{ApiToken, GetTokensRequest};
use sqlx::{AnyConnection, Row};
use testkit::eventually;

use crate::check::Revisions;
use crate::history::{Account, Fields, Found, TokenId, Value, Work};
use crate::writer::Writer;

/// How long a service may take to answer again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the service answers again, and says whether a writer's session, which was acknowledged too, is still there.
pub(crate) async fn session_is_alive(writer: &Writer) -> bool {
    eventually("an answer of the service", PATIENCE, async || {
        writer.client.clone().introspect(&writer.session).await.ok().map(|answer| answer.active)
    })
    .await
}

/// What is there of a writer's account. Of the values that must be dead, those are asked for that were alive at the last
/// look; at the last of all looks, every one.
pub(crate) async fn observe(
    writer: &mut Writer,
    before: &Account,
    work: &Work,
    last: bool,
    database: &mut AnyConnection,
) -> anyhow::Result<Found> {
    let after = before.after(work);
    let asked = |value: &&Value| last || !before.is_dead(value);
    let grant = writer.client.grant(&writer.session).await.context("a writer's session")?;
    let listed = writer.client.tokens.get_tokens(with_grant(&grant, GetTokensRequest::default())).await?;
    let tokens = listed.into_inner().api_tokens.into_iter().map(fields).collect::<anyhow::Result<_>>()?;
    let mut values = BTreeMap::new();
    for value in after.alive().chain(after.dead().filter(asked)) {
        let answer = writer.client.introspect(&value.0).await?;
        let alive_for = answer.claims.filter(|_| answer.active).map(|claims| claims.credential_id);
        values.insert(value.clone(), alive_for);
    }
    Ok(Found { tokens, values, log: log(writer.account_id, database).await? })
}

fn fields(token: ApiToken) -> anyhow::Result<(TokenId, Fields)> {
    let methods = token.api_list_items.into_iter().map(|item| item.method).collect();
    let expires_at = token.expires_at.as_ref().map(proto::time::from_wire).transpose()?;
    Ok((token.id, Fields { description: token.description, methods, expires_at }))
}

async fn log(account: i64, database: &mut AnyConnection) -> anyhow::Result<Vec<TokenId>> {
    let rows = sqlx::query(
        "select credential_id from change where account_id = $1 and credential_kind = 'token' order by revision",
    )
    .bind(account)
    .fetch_all(database)
    .await?;
    Ok(rows.iter().map(|row| row.try_get("credential_id")).collect::<Result<_, _>>()?)
}

/// The counter of revisions, and what the change log says about it.
pub(crate) async fn revisions(database: &mut AnyConnection) -> anyhow::Result<Revisions> {
    let row = sqlx::query(
        "select counter.value, (select count(*) from change) as rows_in_log, \
         (select coalesce(max(revision), 0) from change) as newest from counter where counter.name = 'revision'",
    )
    .fetch_one(database)
    .await?;
    Ok(Revisions { counter: row.try_get("value")?, rows: row.try_get("rows_in_log")?, newest: row.try_get("newest")? })
}

/// Waits until no other client of the database is at work: one that was killed can leave a commit behind it.
pub(crate) async fn alone(database: &mut AnyConnection) -> anyhow::Result<()> {
    const OTHERS: &str = "select count(*) as others from pg_stat_activity \
                          where datname = current_database() and pid <> pg_backend_pid() \
                          and backend_type = 'client backend'";
    loop {
        let others: i64 = sqlx::query(OTHERS).fetch_one(&mut *database).await?.try_get("others")?;
        if others == 0 {
            return Ok(());
        }
    }
}
