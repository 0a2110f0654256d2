//! The authority through its gRPC surface, each test on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod accounts;
mod grants;
mod possession;
mod stage;
mod storage;
mod tokens;
