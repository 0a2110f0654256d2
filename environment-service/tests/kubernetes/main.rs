//! The environment-service through its gRPC surface, with a real authority and a real Kubernetes API server, under the account and
//! the roles of `deploy/kubernetes`.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

#[path = "../common/authority.rs"]
#[expect(dead_code, reason = "the other tests of the service need more of it")]
mod authority;
mod before;
mod cluster;
#[path = "../common/killing.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod killing;
mod kills;
mod made;
#[path = "../common/stage.rs"]
#[expect(dead_code, reason = "the other tests of the service need more of it")]
mod stage;
