use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use e2e::{Authority, PASSWORD};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AnyConnection, Connection};
use testkit::{Postgres, TestDatabase};

use crate::check::{Fault, Report, Wrong, check, check_revisions};
use crate::history::Work;
use crate::observer;
use crate::writer::Writer;

/// How many clients change tokens at once, each of an account of its own.
const WRITERS: usize = 8;

/// When the kill comes after the writers have begun, in milliseconds: from the first commits to many of them.
const MOMENT: Range<u64> = 20..500;

/// How long a database may take to end what a killed client has left.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The authority's process, on SQLite.
    ServiceOnSqlite,
    /// The authority's process, on PostgreSQL.
    ServiceOnPostgres,
    /// PostgreSQL: all of its processes.
    Postgres,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServiceOnSqlite => "SQLite, service killed",
            Self::ServiceOnPostgres => "PostgreSQL, service killed",
            Self::Postgres => "PostgreSQL, database killed",
        })
    }
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What is killed.
    pub victim: Victim,
    /// How often.
    pub kills: u32,
    /// Decides what the writers do and when the kills come. What the machine makes of it differs each time.
    pub seed: u64,
}

/// Starts everything, kills as often as it is told, and checks after each kill. It ends early where something is wrong.
///
/// # Errors
/// Where the system does not work at all.
pub async fn run(run: &Run) -> anyhow::Result<Report> {
    sqlx::any::install_default_drivers();
    let mut rng = StdRng::seed_from_u64(run.seed);
    let mut stage = Stage::start(run.victim).await?;
    let mut writers = stage.writers(&mut rng).await?;
    let mut report = Report::default();
    for kill in 1..=run.kills {
        let moment = Duration::from_millis(rng.random_range(MOMENT));
        let works = stage.work_and_kill(&mut writers, moment).await?;
        let last = kill == run.kills;
        report.add(stage.look(&mut writers, &works, last).await?);
        if !report.faults.is_empty() {
            break;
        }
    }
    Ok(report)
}

/// A running authority on its database. Fields are dropped in their order: the service first.
struct Stage {
    victim: Victim,
    authority: Authority,
    url: String,
    postgres: Option<Postgres>,
    _file: Option<TestDatabase>,
}

impl Stage {
    async fn start(victim: Victim) -> anyhow::Result<Self> {
        let (url, postgres, file) = if victim == Victim::ServiceOnSqlite {
            let file = TestDatabase::sqlite();
            (file.url.clone(), None, Some(file))
        } else {
            let postgres = Postgres::start();
            (postgres.new_database(), Some(postgres), None)
        };
        let mut authority = Authority::prepare(&url).await;
        for writer in 0..WRITERS {
            authority.create_account(&login(writer)).await;
        }
        confirm_quickly(&url).await?;
        authority.start().await;
        Ok(Self { victim, authority, url, postgres, _file: file })
    }

    async fn writers(&self, rng: &mut StdRng) -> anyhow::Result<Vec<Writer>> {
        let mut writers = Vec::with_capacity(WRITERS);
        for writer in 0..WRITERS {
            let mut client = self.authority.client();
            let signed_in = client.signin(&login(writer)).await.context("a writer signs in")?;
            let rng = StdRng::seed_from_u64(rng.random());
            writers.push(Writer::new(signed_in.uid, signed_in.session, client, rng));
        }
        Ok(writers)
    }

    /// Lets the writers work, kills, and brings back what was killed.
    async fn work_and_kill(&mut self, writers: &mut [Writer], moment: Duration) -> anyhow::Result<Vec<Work>> {
        let enough = AtomicBool::new(false);
        let work = join_all(writers.iter_mut().map(|writer| writer.work(&enough)));
        let kill = async {
            tokio::time::sleep(moment).await;
            match &mut self.postgres {
                Some(postgres) if self.victim == Victim::Postgres => {
                    postgres.kill();
                    enough.store(true, Ordering::Relaxed);
                    postgres.restart();
                }
                _ => {
                    self.authority.kill().await;
                    enough.store(true, Ordering::Relaxed);
                }
            }
        };
        let (works, ()) = tokio::join!(work, kill);
        if self.victim != Victim::Postgres {
            if self.victim == Victim::ServiceOnPostgres {
                let mut database = AnyConnection::connect(&self.url).await?;
                let alone = tokio::time::timeout(PATIENCE, observer::alone(&mut database)).await;
                alone.context("connections of the killed service stay")??;
            }
            self.authority.start().await;
        }
        Ok(works)
    }

    /// Compares what is there with what was done. The last look asks for every value that was ever alive.
    async fn look(&self, writers: &mut [Writer], works: &[Work], last: bool) -> anyhow::Result<Report> {
        let mut report = Report::default();
        let mut database = AnyConnection::connect(&self.url).await?;
        for (writer, work) in writers.iter_mut().zip(works) {
            if !observer::session_is_alive(writer).await {
                report.lost += 1;
                report.faults.push(Fault { token: None, what: Wrong::Session });
                continue;
            }
            let before = writer.account.clone();
            let found = observer::observe(writer, &before, work, last, &mut database).await?;
            let (after, checked) = check(&before, work, &found);
            writer.account = after;
            report.add(checked);
        }
        if let Some(fault) = check_revisions(observer::revisions(&mut database).await?) {
            report.lost += 1;
            report.faults.push(fault);
        }
        database.close().await?;
        Ok(report)
    }
}

/// Gives every account a hash of its password that costs next to nothing, so that a kill falls into the commits and not into
/// the hashing.
async fn confirm_quickly(url: &str) -> anyhow::Result<()> {
    let params = Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(PASSWORD.as_bytes())?.to_string();
    let mut database = AnyConnection::connect(url).await?;
    sqlx::query("update account set password_hash = $1").bind(hash).execute(&mut database).await?;
    Ok(database.close().await?)
}

fn login(writer: usize) -> String {
    format!("writer-{writer}@example.org")
}
