//! Leases, and the log of changes that their holders follow.

use std::time::Duration;

use access::lease::{Change, HolderId, Live, Log};
use access::{AccountId, CredentialId, GrantedKind, Revision};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use storage::{Notifications, StorageError};
use uuid::Uuid;

use super::{Store, row};

/// On which replicas hint to each other that there is a change or an acknowledgement.
pub(super) const CHANNEL: &str = "portcullis_lease";

/// How many changes are read at once.
const PAGE: i64 = 1000;

/// How long a lease that has run out is kept for operators to see: none of them is waited for.
const KEPT_MICROS: i64 = 60 * 60 * 1_000_000;

/// A lease to be written down.
#[derive(Clone, Debug)]
pub(crate) struct NewLease<'a> {
    pub(crate) holder: HolderId,
    pub(crate) name: &'a str,
    pub(crate) place: &'a str,
    pub(crate) replica: &'a str,
    pub(crate) duration: Duration,
    pub(crate) acknowledged: Revision,
}

/// A holder as operators see it.
#[derive(Clone, Debug)]
pub(crate) struct HolderRow {
    pub(crate) holder: String,
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) replica: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) left: Duration,
    pub(crate) acknowledged: Revision,
}

impl Store {
    /// Writes a lease down, from this moment on. One that lasts longer already goes on.
    pub(crate) async fn renew_lease(&self, lease: &NewLease<'_>) -> Result<(), StorageError> {
        let mut tx = self.database.begin("lease.renew").await?;
        let clock = self.database.clock();
        sqlx::query(AssertSqlSafe(format!(
            "insert into lease (holder, name, place, replica, expires_at, acknowledged) \
             values ($1, $2, $3, $4, {clock} + $5, $6) \
             on conflict (holder) do update set replica = excluded.replica, \
             acknowledged = case when lease.acknowledged > excluded.acknowledged then lease.acknowledged \
             else excluded.acknowledged end, expires_at = case when lease.expires_at > excluded.expires_at then lease.expires_at \
             else excluded.expires_at end"
        )))
        .bind(lease.holder.to_string())
        .bind(lease.name)
        .bind(lease.place)
        .bind(lease.replica)
        .bind(micros(lease.duration))
        .bind(lease.acknowledged.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Forgets a lease that was given back.
    pub(crate) async fn release_lease(&self, holder: HolderId) -> Result<(), StorageError> {
        let mut tx = self.database.begin("lease.release").await?;
        sqlx::query("delete from lease where holder = $1").bind(holder.to_string()).execute(&mut *tx).await?;
        tx.notify(CHANNEL).await?;
        tx.commit().await
    }

    /// The leases that have not run out by the database's clock.
    pub(crate) async fn live_leases(&self) -> Result<Vec<Live>, StorageError> {
        let clock = self.database.clock();
        let rows = sqlx::query(AssertSqlSafe(format!(
            "select holder, acknowledged, expires_at - {clock} as remaining from lease where expires_at > {clock}"
        )))
        .fetch_all(self.database.reader())
        .await?;
        rows.iter().map(|row| Ok(live(row)?)).collect()
    }

    /// What is noted of each holder that has not given its lease back, whether it has run out or not.
    pub(crate) async fn noted_acknowledgements(&self) -> Result<Vec<(HolderId, Revision)>, StorageError> {
        let rows = sqlx::query("select holder, acknowledged from lease").fetch_all(self.database.reader()).await?;
        let noted = rows.iter().map(|row| Ok((holder(row)?, Revision(row.try_get("acknowledged")?))));
        noted.collect::<Result<_, sqlx::Error>>().map_err(StorageError::from)
    }

    /// The same, for operators.
    pub(crate) async fn holders(&self) -> Result<Vec<HolderRow>, StorageError> {
        let clock = self.database.clock();
        let rows = sqlx::query(AssertSqlSafe(format!(
            "select holder, name, place, replica, expires_at, acknowledged, expires_at - {clock} as remaining \
             from lease where expires_at > {clock} order by name, place, holder"
        )))
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read_holder).collect::<Result<_, _>>()?)
    }

    /// Notes for the other replicas what holders have acknowledged.
    pub(crate) async fn note_acknowledged(&self, holders: &[(HolderId, Revision)]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("lease.acknowledge").await?;
        for (holder, revision) in holders {
            sqlx::query("update lease set acknowledged = $1 where holder = $2 and acknowledged < $1")
                .bind(revision.0)
                .bind(holder.to_string())
                .execute(&mut *tx)
                .await?;
        }
        tx.notify(CHANNEL).await?;
        tx.commit().await
    }

    /// Forgets leases that ran out long ago.
    pub(crate) async fn forget_leases(&self) -> Result<(), StorageError> {
        let mut tx = self.database.begin("lease.forget").await?;
        let clock = self.database.clock();
        sqlx::query(AssertSqlSafe(format!("delete from lease where expires_at < {clock} - $1")))
            .bind(KEPT_MICROS)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Hints that there is a change or an acknowledgement of another replica.
    pub(crate) async fn lease_notifications(&self) -> Result<Notifications, StorageError> {
        Notifications::listen(self.database.url(), CHANNEL).await
    }
}

impl Store {
    /// The changes that follow a revision, in their order: a page of them.
    pub(crate) async fn changes_after(&self, revision: Revision) -> Result<Vec<Change>, StorageError> {
        let rows = sqlx::query(
            "select revision, account_id, credential_kind, credential_id from change \
             where revision > $1 order by revision limit $2",
        )
        .bind(revision.0)
        .bind(PAGE)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read_change).collect::<Result<_, _>>()?)
    }

    /// What the log holds, and where the changes of the last while begin in it.
    pub(crate) async fn change_log(&self, recent: Timestamp) -> Result<Log, StorageError> {
        // In one statement, so that nothing comes between.
        let row = sqlx::query(
            "select (select value from counter where name = 'revision') as newest, \
             (select min(revision) from change) as oldest, \
             (select min(revision) from change where changed_at >= $1) as recent",
        )
        .bind(recent.as_microsecond())
        .fetch_one(self.database.reader())
        .await?;
        let newest = Revision(row.try_get("newest")?);
        let before = |column| -> Result<Revision, sqlx::Error> {
            let first: Option<i64> = row.try_get(column)?;
            Ok(first.map_or(newest, |first| Revision(first - 1)))
        };
        Ok(Log { after: before("oldest")?, recent_after: before("recent")?, newest })
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn remaining(row: &AnyRow) -> Result<Duration, sqlx::Error> {
    let micros: i64 = row.try_get("remaining")?;
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

fn holder(row: &AnyRow) -> Result<HolderId, sqlx::Error> {
    let holder: &str = row.try_get("holder")?;
    Uuid::try_parse(holder).map(HolderId).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn live(row: &AnyRow) -> Result<Live, sqlx::Error> {
    let acknowledged = Revision(row.try_get("acknowledged")?);
    Ok(Live { holder: holder(row)?, left: remaining(row)?, acknowledged })
}

fn read_holder(row: &AnyRow) -> Result<HolderRow, sqlx::Error> {
    Ok(HolderRow {
        holder: row.try_get("holder")?,
        name: row.try_get("name")?,
        place: row.try_get("place")?,
        replica: row.try_get("replica")?,
        expires_at: row::moment(row, "expires_at")?,
        left: remaining(row)?,
        acknowledged: Revision(row.try_get("acknowledged")?),
    })
}

fn read_change(row: &AnyRow) -> Result<Change, sqlx::Error> {
    let kind = match row.try_get("credential_kind")? {
        "session" => Some(GrantedKind::Session),
        "token" => Some(GrantedKind::Token),
        _ => None,
    };
    let number = row.try_get("credential_id")?;
    Ok(Change {
        revision: Revision(row.try_get("revision")?),
        account: AccountId(row.try_get("account_id")?),
        credential: kind.map(|kind| CredentialId { kind, number }),
    })
}
