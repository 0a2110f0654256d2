//! Signals, drain, tracked tasks, health, clock.
