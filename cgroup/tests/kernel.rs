//! On the groups of this very machine. Where it lets this process have none, that is what is tested: it is told, with the reason.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cgroup::{Controller, Group, LimitError, Limits, Root};

const LIMITS: Limits = Limits { memory: 64 << 20, millicpus: 500, pids: 50 };
/// Longer than any test; what waits as long is a failure.
const LONG: Duration = Duration::from_secs(30);

/// A root of its own for a test, of which nothing is left behind it.
struct Place(Root);

impl Place {
    /// `None` where this machine lets this process have no groups at all.
    fn open() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = Root::open(&format!("portcullis-test-{}-{number}", std::process::id()), None).unwrap();
        let mut all: Vec<Controller> = root.missing().iter().map(|missing| missing.controller).collect();
        all.extend(root.enforced());
        all.sort_unstable();
        assert_eq!(all, Controller::ALL, "each is enforced or missing: {root:?}");
        assert!(root.missing().iter().all(|missing| !missing.reason.is_empty()));
        if root.is_usable() {
            return Some(Self(root));
        }
        eprintln!("no groups may be made here: {:?}", root.missing());
        assert_eq!(root.missing().len(), 3);
        None
    }

    fn enforces(&self, controller: Controller) -> bool {
        self.0.enforced().contains(&controller)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in self.0.names().unwrap_or_default() {
            empty(&self.0.group(&name));
        }
        self.0.remove();
    }
}

/// Kills all in a group, and removes it.
fn empty(group: &Group) {
    let deadline = Instant::now() + LONG;
    group.kill().unwrap();
    while group.remove().is_err() {
        assert!(Instant::now() < deadline, "{:?} are left", group.processes());
        for pid in group.processes().unwrap() {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
        std::thread::yield_now();
    }
}

fn shell(group: &Group, script: &str) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
    group.door().unwrap().enter(&mut command);
    command.spawn().unwrap()
}

fn told(mut child: Child) -> String {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn a_program_is_in_its_group_from_its_first_instruction() {
    let Some(place) = Place::open() else { return };
    let group = place.0.make("one", LIMITS).unwrap();
    let membership = told(shell(&group, "cat /proc/$$/cgroup; echo $$"));
    assert!(membership.lines().any(|line| line.ends_with("/one")), "{membership}");
    assert_eq!(place.0.names().unwrap().into_iter().collect::<Vec<_>>(), ["one"]);
    assert!(place.0.group("one").exists());
    group.remove().unwrap();
    assert!(!group.exists());
}

#[test]
fn what_has_left_its_session_and_its_variables_is_found_and_killed() {
    let Some(place) = Place::open() else { return };
    let group = place.0.make("one", LIMITS).unwrap();
    // Forks twice and leaves the session: nobody's child and without a variable.
    let script = "setsid sh -c 'env -i sleep 1000 >/dev/null & echo $!' & wait; exit 0";
    let daemon: i32 = told(shell(&group, script)).trim().parse().unwrap();
    assert!(group.processes().unwrap().contains(&daemon));
    assert!(group.remove().is_err(), "one that runs is in it");
    empty(&group);
    let state = fs::read_to_string(format!("/proc/{daemon}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z"), "{state}");
}

#[test]
fn memory_has_a_limit() {
    let Some(place) = Place::open().filter(|place| place.enforces(Controller::Memory)) else { return };
    let group = place.0.make("one", LIMITS).unwrap();
    let mut greedy = shell(&group, "x=$(head -c 300000000 /dev/zero | tr '\\0' x)");
    let status = greedy.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "{status:?}");
    assert!(group.killed_for_memory() > 0);
    let modest = place.0.make("two", LIMITS).unwrap();
    assert_eq!(told(shell(&modest, "head -c 1000000 /dev/zero | wc -c")).trim(), "1000000");
    assert_eq!(modest.killed_for_memory(), 0);
}

#[test]
fn what_is_in_use_is_not_taken_away() {
    let Some(place) = Place::open().filter(|place| place.enforces(Controller::Memory)) else { return };
    let group = place.0.make("one", LIMITS).unwrap();
    let script = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo ready; sleep 1000; echo ${#x}";
    let mut child = shell(&group, script);
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let refused = group.limit(Limits { memory: 4 << 20, ..LIMITS });
    assert!(matches!(refused, Err(LimitError::InUse)), "{refused:?}");
    group.limit(Limits { memory: 128 << 20, ..LIMITS }).unwrap();
    group.limit(LIMITS).unwrap();
    assert_eq!(child.try_wait().unwrap(), None, "it runs on");
    empty(&group);
    child.wait().unwrap();
}

#[test]
fn processes_have_a_limit() {
    let Some(place) = Place::open().filter(|place| place.enforces(Controller::Pids)) else { return };
    let group = place.0.make("one", Limits { pids: 5, ..LIMITS }).unwrap();
    let mut bomb = shell(&group, "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait");
    // The shell ends when it cannot fork.
    bomb.wait().unwrap();
    assert!((1..=5).contains(&group.processes().unwrap().len()), "{:?}", group.processes());
    empty(&group);
}

#[test]
fn processors_have_a_limit() {
    let Some(place) = Place::open().filter(|place| place.enforces(Controller::Cpu)) else { return };
    let group = place.0.make("one", Limits { millicpus: 100, ..LIMITS }).unwrap();
    // It is ended once it has had a second of a processor, which takes ten at a tenth of one.
    let begin = Instant::now();
    let mut busy = Command::new("/bin/sh");
    busy.args(["-c", "ulimit -t 1; while :; do :; done"]);
    group.door().unwrap().enter(&mut busy);
    let status = busy.status().unwrap();
    assert!(!status.success());
    assert!(begin.elapsed() > Duration::from_secs(5), "a second of a processor in {:?}", begin.elapsed());
}

#[test]
fn a_parent_that_is_not_there_is_told() {
    let root = Root::open("portcullis-test", Some(Path::new("/no-such-group-anywhere"))).unwrap();
    assert!(!root.is_usable() && root.enforced().is_empty());
    assert_eq!(root.missing().len(), 3);
    for missing in root.missing() {
        let text = missing.to_string();
        assert!(text.starts_with(missing.controller.name()), "{text}");
    }
}
