//! `portcullis up` and the commands, as people run them.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod accounts;
mod audit;
mod backup;
mod certs;
mod config;
mod doctor;
mod environments;
mod first_start;
mod health;
mod holders;
mod home;
mod keys;
mod progress;
mod proxies;
mod tokens;
mod two_factor;
mod up;
