//! The authority: accounts, sessions, tokens, introspection.
