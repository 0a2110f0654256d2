//! REST in, gRPC out. Routes, decoding and answers follow from the API catalog: the gateway knows no method by name, and no
//! account but through the authority's answers.

mod addresses;
mod answer;
mod authority;
mod bodies;
mod call;
mod call_metrics;
mod client_address;
mod config;
mod credential_use;
mod dashboard;
mod doctor;
mod http_request;
mod introspection;
mod known;
mod load;
mod openapi;
mod page;
mod parameters;
mod rates;
mod readiness;
mod refusals;
mod request_log;
pub mod rest;
mod server;
mod service_url;
mod standards;
mod stream;
mod upstream;

pub use config::{Config, ConfigError, RateLimit, RateLimits};
pub use doctor::doctor;
pub use openapi::document as openapi;
pub use server::{Gateway, RunError};
