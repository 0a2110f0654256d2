//! The authority through its gRPC surface, each test on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod accounts;
mod administration;
mod audit;
mod deadlocks;
mod departures;
mod drain;
mod grants;
mod leases;
mod notices;
mod password_race;
mod possession;
mod replicas;
mod roles;
mod second_factor;
mod sessions;
mod signing_keys;
mod stage;
mod storage;
mod throttle;
mod tokens;
mod upgrade;
mod uses;
