//! The protocol of leases under a model checker: see `docs/model.md`.

mod authority;
mod call;
mod holder;
mod mutants;
mod protocol;
mod rules;
mod searches;
mod setting;
mod world;
