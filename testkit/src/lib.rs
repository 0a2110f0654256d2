//! Real parts for tests: PostgreSQL, SQLite, service processes.
