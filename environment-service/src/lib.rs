//! Environments, their lifecycle, and the drivers that really run them. It knows neither REST nor tokens: who may call what
//! it learns from grants alone.

pub mod domain;
pub mod driver;
