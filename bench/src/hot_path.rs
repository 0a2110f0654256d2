//! What every call goes through: the gateway, the introspection, the revocation that has to reach all of them, and what they keep
//! in memory. All processes that serve are on one core, and what calls them on another.

mod cores;
mod envoy;
mod gateway;
mod introspect;
mod light;
mod memory;
mod revocation;
mod stage;
mod wrk;

use crate::report::Measured;
use stage::Stage;

pub(crate) use cores::Cores;
pub(crate) use stage::{GatewayConfig, Server, ready};

pub(crate) async fn measure() -> anyhow::Result<Vec<Measured>> {
    let cores = Cores::find()?;
    eprintln!("  servers on core {}, load on core {}", cores.servers, cores.load);
    let mut stage = Stage::start(cores).await?;
    let mut measured = Vec::new();
    measured.extend(gateway::measure(&mut stage).await?);
    // Before the authority has been asked of the same tokens: what it remembers from before a change is older than what a gateway
    // that comes later may remember.
    measured.push(memory::per_token(&mut stage).await?);
    measured.push(introspect::measure(&mut stage).await?);
    measured.push(revocation::measure(&mut stage).await?);
    drop(stage);
    measured.push(memory::idle().await?);
    Ok(measured)
}
