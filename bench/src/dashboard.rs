//! The dashboard in a real browser: what its first load weighs, when it can be used, and whether it ever stands still.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::report::{Goal, Measured};

/// What the script has measured.
#[derive(Deserialize)]
struct Numbers {
    first_load_kib: f64,
    interactive_ms: f64,
    /// The yardstick: what a page takes here that has nothing in it.
    bare_page_ms: f64,
    longest_task_ms: f64,
}

pub(crate) async fn measure() -> anyhow::Result<Vec<Measured>> {
    let numbers = match run().await {
        Ok(numbers) => Some(numbers),
        Err(error) => {
            eprintln!("warning: the dashboard is not measured: {error:#}");
            None
        }
    };
    let of = |value: fn(&Numbers) -> f64| numbers.as_ref().map(value);
    Ok(vec![
        Measured { key: "first_load_kib", value: of(|numbers| numbers.first_load_kib), goal: Goal::AtMost(250.0) },
        Measured { key: "interactive_ms", value: of(|numbers| numbers.interactive_ms), goal: Goal::AtMost(1000.0) },
        Measured { key: "bare_page_ms", value: of(|numbers| numbers.bare_page_ms), goal: Goal::AtMost(1000.0) },
        Measured { key: "longest_task_ms", value: of(|numbers| numbers.longest_task_ms), goal: Goal::AtMost(100.0) },
    ])
}

async fn run() -> anyhow::Result<Numbers> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard");
    let own = std::env::current_exe().context("this program has no path")?;
    let program = own.with_file_name("portcullis");
    let mut node = Command::new("node");
    node.arg("bench/measure.mjs").arg(program).current_dir(folder).kill_on_drop(true);
    let output = node.output().await.context("node cannot be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("the script has printed no numbers")
}
