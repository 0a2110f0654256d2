//! Three processes, their databases, and everything that their users do with them.

mod bad_input;
mod direct;
mod faults;
mod matrix;
mod secrets;
mod story;
