use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{ServiceProcess, eventually};
use tokio::net::TcpStream;

/// A test process that is to be killed, with a folder of its own for what it leaves behind, which must be nothing.
pub(crate) struct Victim {
    process: ServiceProcess,
    folder: TempDir,
    /// Where its engine answers.
    pub(crate) address: String,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Victim {
    /// Runs a test of this program as the victim, up to where it says that it is ready.
    pub(crate) async fn start(test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = vec![("TESTKIT_VICTIM", "1"), ("TMPDIR", folder.path().to_str().unwrap())];
        let places = ["HOME", "XDG_CACHE_HOME", "PORTCULLIS_KUBERNETES_BIN"].map(|name| (name, std::env::var(name)));
        environment.extend(places.iter().filter_map(|(name, place)| Some((*name, place.as_deref().ok()?))));
        let program = std::env::current_exe().unwrap();
        let process = ServiceProcess::start(&program, &["--exact", test, "--nocapture"], &environment).await;
        process.ready(|| async { process.log().contains("ready ") && process.log().ends_with('\n') }).await;
        let address = process.log().split("ready ").nth(1).unwrap().trim().to_owned();
        assert!(TcpStream::connect(&address).await.is_ok());
        Self { process, folder, address }
    }

    /// The folder of its engine.
    pub(crate) fn engine(&self) -> PathBuf {
        left_in(self.folder.path()).pop().unwrap()
    }

    /// Kills it: its pipes end then, and with them everything must.
    pub(crate) async fn kill(self) {
        let folder = self.folder.path();
        assert!(!working_in(folder).is_empty() && left_in(folder).len() == 1);
        self.process.kill().await;
        eventually("the end of everything", PATIENCE, async || {
            let gone = working_in(folder).is_empty() && left_in(folder).is_empty();
            (gone && TcpStream::connect(&self.address).await.is_err()).then_some(())
        })
        .await;
    }
}

/// Says that the victim is ready, and waits for its end.
#[expect(clippy::print_stdout, reason = "the test reads what its victim writes")]
pub(crate) async fn wait_to_be_killed(address: &str) {
    println!("ready {address}");
    std::future::pending::<()>().await;
}

pub(crate) fn is_victim() -> bool {
    std::env::var_os("TESTKIT_VICTIM").is_some()
}

/// Processes that have a folder among their variables.
pub(crate) fn working_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let variables = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    let variables = variables.map(|variables| String::from_utf8_lossy(&variables).into_owned());
    variables.filter(|variables| variables.contains(&*folder.to_string_lossy())).collect()
}

fn left_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect()
}
