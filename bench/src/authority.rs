//! The authority by itself: what a call costs with the number of tokens, and what a flood of sign-ins does to the rest.

mod flood;
mod size;

use testkit::{Postgres, TestDatabase};

use crate::report::Measured;

pub(crate) async fn measure() -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    let (small, large) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    let [introspect, list] = size::measure(&small.url, &large.url).await?;
    measured.push(introspect.named("introspect_1m_vs_1k_sqlite"));
    let list_on_sqlite = list.named("list_1m_vs_1k_sqlite");
    drop((small, large));

    let postgres = Postgres::start();
    let [introspect, list] = size::measure(&postgres.new_database(), &postgres.new_database()).await?;
    measured.push(introspect.named("introspect_1m_vs_1k_postgres"));
    measured.extend([list_on_sqlite, list.named("list_1m_vs_1k_postgres")]);
    drop(postgres);

    measured.extend(flood::measure().await?);
    Ok(measured)
}
