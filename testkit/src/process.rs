use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a service may take to get ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program; kills it when standard input ends. First line: its pid. Last line: its exit code.
const GUARD: &str = r#"
exec 3<&0
log="$1"; shift
"$@" </dev/null >"$log" 2>&1 3<&- &
pid=$!
echo "$pid"
( cat <&3; kill -KILL "$pid" ) >/dev/null 2>&1 &
watcher=$!
wait "$pid"
code=$?
kill "$watcher"
trap '' PIPE
echo "$code"
cat <&3 >/dev/null
rm -f "$log"
"#;

/// A program of the workspace as a process of its own. It does not outlive the test, however the test ends.
pub struct ServiceProcess {
    name: String,
    pid: u32,
    log: NamedTempFile,
    output: Lines<BufReader<ChildStdout>>,
    guard: Child,
}

/// What a process ended with; 128 and the number for a signal.
pub type ExitCode = i32;

impl ServiceProcess {
    /// Starts a program with nothing in its environment but `PATH` and what is given.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub async fn start(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let log = NamedTempFile::new().expect("a temporary file");
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "guard"]).arg(log.path()).arg(program).args(arguments);
        guard.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(environment.iter().copied());
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut guard = guard.spawn().expect("the shell starts");
        let mut output = BufReader::new(guard.stdout.take().expect("it is piped")).lines();
        let pid = output.next_line().await.expect("the pipe is readable").and_then(|line| line.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("{name} was not started"));
        Self { name, pid, log, output, guard }
    }

    /// Starts a program that is to run on one core of the machine alone, by its number.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub async fn start_on(core: usize, program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let core = core.to_string();
        let path = program.to_str().expect("programs are built into folders with printable names");
        // It becomes the program, so that the number of the process is the program's.
        let arguments = [&["--cpu-list", &core, path], arguments].concat();
        let mut process = Self::start(Path::new("taskset"), &arguments, environment).await;
        process.name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        process
    }

    /// Waits until the process answers.
    ///
    /// # Panics
    /// Where it ends or does not answer in time; the text holds its log.
    pub async fn ready<F: Future<Output = bool>>(&self, mut probe: impl FnMut() -> F) {
        let deadline = Instant::now() + PATIENCE;
        while !probe().await {
            assert!(crate::process_alive(self.pid), "{} ended:\n{}", self.name, self.log());
            assert!(Instant::now() < deadline, "{} does not get ready:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All that it has written.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log.path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The file that it writes to: for logs that are too large to be read at once. It is gone when this is dropped.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        self.log.path()
    }

    /// Ends it without asking (SIGKILL), and waits for its end.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Asks it to end (SIGTERM), and waits for its end.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub async fn terminate(mut self) -> (ExitCode, String) {
        self.signal(Signal::TERM);
        let code = self.ended().await;
        (code, self.log())
    }

    /// Waits for its own end.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub async fn ended(&mut self) -> ExitCode {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{} does not end:\n{}", self.name, self.log()));
        line.expect("the pipe is readable").and_then(|line| line.parse().ok()).expect("the guard says the exit code")
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a pid is a positive number");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {error}; its log:\n{}", self.name, self.log()));
    }
}

impl Drop for ServiceProcess {
    /// Waits for the end, so that the folders it works in can be removed.
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.guard.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A program of the workspace, built by `cargo build --workspace --bins` into the folder that this one is in.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program has a path");
    let folder = own.parent().expect("a program is in a folder");
    // Tests are in a folder of their own below.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    assert!(path.exists(), "{name} is not built: run `cargo build --workspace --bins`, or `cargo xtask test`");
    path
}
