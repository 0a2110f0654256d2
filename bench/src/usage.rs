//! What a process takes of the machine.

use std::time::Duration;

use anyhow::Context;
use procfs::process::Process;

/// What it has had of the cores so far.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = Process::new(i32::try_from(pid)?)?.stat()?;
    Ok(Duration::from_secs(stat.utime + stat.stime) / u32::try_from(procfs::ticks_per_second())?)
}

/// What it has of the memory right now.
#[expect(clippy::cast_precision_loss, reason = "memory is less than 2^53 bytes")]
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let maps = Process::new(i32::try_from(pid)?)?.smaps_rollup()?.memory_map_rollup;
    let bytes = maps.into_iter().next().and_then(|map| map.extension.map.get("Rss").copied());
    Ok(bytes.context("the kernel does not tell how much memory is resident")? as f64)
}
