use std::future::Future;
use std::net::TcpListener;
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A port of the loopback that nobody listens on, and that no other program with this function is given as long as this one runs. It
/// is below those that the system gives out by itself, so no connection takes it meanwhile.
///
/// # Panics
/// Where the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    let offset = u64::from(std::process::id()) * 97 + NEXT.fetch_add(1, Ordering::Relaxed);
    let tried = (0..u64::from(PORTS.end - PORTS.start)).map(|step| {
        let place = (offset + step) % u64::from(PORTS.end - PORTS.start);
        PORTS.start + u16::try_from(place).expect("there are fewer ports")
    });
    tried.into_iter().find(|port| reserve(*port)).expect("a free port")
}

/// What the system gives out by itself begins at 32,768.
const PORTS: Range<u16> = 12_000..32_000;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Takes a name that one program at a time can have, and that goes with the program.
fn reserve(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("portcullis-test-port-{port}")).expect("a short name");
    let Ok(reservation) = UnixListener::bind_addr(&name) else { return false };
    let free = TcpListener::bind(("127.0.0.1", port)).is_ok();
    if free {
        // Held until the program ends.
        std::mem::forget(reservation);
    }
    free
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_port_is_free_and_given_once() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        for port in ports {
            assert!(TcpListener::bind(("127.0.0.1", port)).is_ok() && !reserve(port), "{port}");
        }
        let taken = free_port();
        let name = SocketAddr::from_abstract_name(format!("portcullis-test-port-{}", taken + 1)).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", taken + 1));
        assert!(!reserve(taken + 1), "somebody listens on it: {listener:?}");
        assert!(UnixListener::bind_addr(&name).is_ok(), "what cannot be given is not kept");
    }
}
