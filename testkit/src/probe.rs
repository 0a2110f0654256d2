use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A port of this machine that nobody listens on at this moment.
///
/// # Panics
/// Where the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Asks again and again until the answer is there.
///
/// # Panics
/// Where it is not there in time; the text says what was waited for.
pub async fn eventually<T, F>(what: &str, patience: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs. One that has ended and was not waited for is dead.
#[must_use]
pub fn process_alive(pid: u32) -> bool {
    stat(Path::new(&format!("/proc/{pid}"))).is_some_and(Stat::runs)
}

/// The processes that run in a process group.
#[must_use]
pub fn processes_in_group(group: u32) -> Vec<u32> {
    running(|stat| stat.group == group)
}

/// The processes that run and were started by a process.
#[must_use]
pub fn process_children(parent: u32) -> Vec<u32> {
    running(|stat| stat.parent == parent)
}

fn running(wanted: impl Fn(&Stat) -> bool) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        stat(&entry.path()).filter(|stat| wanted(stat) && stat.runs()).map(|_| pid)
    });
    pids.collect()
}

/// From `/proc/<pid>/stat`.
#[derive(Clone, Copy)]
struct Stat {
    state: char,
    parent: u32,
    group: u32,
}

impl Stat {
    fn runs(self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

fn stat(process: &Path) -> Option<Stat> {
    let text = std::fs::read_to_string(process.join("stat")).ok()?;
    // The command, in parentheses, can hold anything, parentheses too.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some(Stat { state, parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

/// Kills every process that has a folder among its variables: what a service under test has started there, and left running
/// as it should.
pub fn kill_processes_of(folder: &Path) {
    let folder = folder.display().to_string();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let variables = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&variables).contains(&folder);
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| ours) {
            // It may have ended since; then there is nothing to kill.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
