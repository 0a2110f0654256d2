//! The whole system in one process: the same three services that run apart, over sockets on the loopback.

mod data;
mod first_start;
mod system;

use std::time::Duration;

use anyhow::Context;
use lifecycle::Lifecycle;
use telemetry::TelemetryConfig;

use crate::arguments::Up;
use data::DataFolder;
use system::System;

/// How long calls that were taken may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(60);

pub(crate) async fn run(options: Up) -> anyhow::Result<()> {
    let telemetry = TelemetryConfig { filter: options.log.clone(), ..TelemetryConfig::default() };
    let _telemetry = telemetry::init("portcullis", &telemetry)?;
    let lifecycle = Lifecycle::new();
    lifecycle.install_signals().context("signals")?;

    let data = DataFolder::open(&options.data_dir)?;
    let system = System::bind(&options, &data, &lifecycle).await?;
    let url = system.url();
    let account = first_start::account(&options, &system, &data).await?;
    let running = system.start();

    // Ctrl-C ends the wait as well: the services drain, and there is nothing more to prepare.
    tokio::select! {
        prepared = first_start::prepare(&url, account, &data) => prepared?,
        () = lifecycle.draining() => {}
    }
    running.ended(GRACE).await
}
