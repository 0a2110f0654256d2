//! A SQLite or PostgreSQL database behind one SQL text.
