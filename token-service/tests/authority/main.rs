//! The authority through its gRPC surface, each test on SQLite and on PostgreSQL.

mod accounts;
mod grants;
mod stage;
mod storage;
mod tokens;
