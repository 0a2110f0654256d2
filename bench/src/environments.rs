//! The environment-service by itself: what it adds to what runs nodes, and what many environments cost it.

mod many;
mod overhead;
mod stage;

use crate::report::{Goal, Measured};

pub(crate) async fn measure() -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    let parts = [
        (["process_start_overhead", "process_start_overhead_unsettled"], overhead::of_processes().await?),
        (["docker_start_overhead", "docker_start_overhead_unsettled"], overhead::of_containers().await?),
    ];
    for (key, value) in parts.into_iter().flat_map(|(keys, ratios)| keys.into_iter().zip(ratios)) {
        measured.push(Measured { key, value, goal: Goal::AtMost(1.2) });
    }
    let many = many::measure().await?;
    measured.push(Measured { key: "getenvs_1000_ms", value: Some(many.list_ms), goal: Goal::AtMost(50.0) });
    measured.push(Measured { key: "idle_cpu_percent_1000", value: Some(many.idle_percent), goal: Goal::Below(2.0) });
    Ok(measured)
}
