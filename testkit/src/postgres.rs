use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::{free_port, process_alive, process_children};

/// How long the server's processes may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A private PostgreSQL server with its own folder and its own port. It ends when this is dropped, or with the test process.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// Holds the pipe whose end, however it comes, stops the server and removes its folder.
    guard: Child,
    output: BufReader<ChildStdout>,
}

/// Makes a folder with a server, says `ready` and where, and removes both when standard input ends. What keeps the server
/// from starting is told instead. (Who reads it can be gone by then, and that must not end the guard.) A line on standard
/// input starts it again.
const GUARD: &str = r#"
trap '' PIPE
programs=$1 port=$2 name=portcullis-postgres-XXXXXX
folder=$(mktemp -d "${TMPDIR:-/tmp}/$name" 2>/dev/null || mktemp -d "/tmp/$name") || exit
settings="-k '$folder' -p $port -c listen_addresses=127.0.0.1 -c max_connections=200"
if {
    "$programs/initdb" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync -D "$folder/data" &&
    "$programs/pg_ctl" start --wait -D "$folder/data" -l "$folder/log" -o "$settings"
} </dev/null >"$folder/start" 2>&1; then
    echo "ready $folder"
    while read -r _; do
        "$programs/pg_ctl" start --wait -D "$folder/data" -l "$folder/log" -o "$settings" </dev/null >"$folder/start" 2>&1
        echo "started $?"
    done
    "$programs/pg_ctl" stop --mode=immediate -D "$folder/data" </dev/null >/dev/null 2>&1
else
    cat "$folder/start" "$folder/log"
fi
rm -rf "$folder"
"#;

/// Another process can take the port before the server does.
const ATTEMPTS: usize = 5;

impl Postgres {
    /// The server of this test process, started when it is first needed.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server of the caller's own.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let programs = programs().expect(
            "no `initdb` and `postgres` on PATH or under /usr/lib/postgresql/*/bin: install Debian's package `postgresql` \
             (`cargo xtask test` does it, where it may)",
        );
        let owner = unprivileged_owner();
        let mut reasons = String::new();
        for _ in 0..ATTEMPTS {
            match Self::attempt(&programs, owner) {
                Ok(server) => return server,
                Err(reason) => reasons.push_str(&reason),
            }
        }
        panic!("PostgreSQL does not start:\n{reasons}");
    }

    fn attempt(programs: &Path, owner: Option<(u32, u32)>) -> Result<Self, String> {
        let port = free_port();
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "postgres-guard"]).arg(programs).arg(port.to_string()).current_dir("/");
        // Nobody else's PGDATA or PGPORT.
        guard.env_clear().envs(["PATH", "TMPDIR"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // A group of its own: Ctrl-C ends the tests, and their end ends the server.
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        if let Some((uid, gid)) = owner {
            guard.uid(uid).gid(gid);
        }
        let mut guard = guard.spawn().expect("the shell starts");
        let mut output = BufReader::new(guard.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the pipe is readable");
        if let Some(folder) = line.strip_prefix("ready ") {
            let (programs, folder) = (programs.to_owned(), PathBuf::from(folder.trim_end()));
            return Ok(Self { programs, folder, port, databases: AtomicU32::new(0), guard, output });
        }
        output.read_to_string(&mut line).expect("the pipe is readable");
        guard.wait().expect("it is our child");
        Err(line)
    }

    /// Where its programs are.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the whole server (SIGKILL), the first process and all that it has started, and waits for their end.
    ///
    /// # Panics
    /// Where it does not run or does not end.
    pub fn kill(&self) {
        let pid_file = self.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(&pid_file).expect("the server runs");
        let first = text.lines().next().and_then(|line| line.parse().ok()).expect("a process number");
        // Frozen, it starts no other while they are counted.
        signal(first, Signal::STOP);
        let mut processes = process_children(first);
        processes.push(first);
        for process in &processes {
            signal(*process, Signal::KILL);
        }
        let deadline = Instant::now() + PATIENCE;
        while processes.iter().any(|process| process_alive(*process)) {
            assert!(Instant::now() < deadline, "PostgreSQL does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        // A server takes its predecessor for alive until somebody has asked how that ended, which can take the machine long.
        std::fs::remove_file(pid_file).expect("our own file");
        std::fs::remove_file(self.folder.join(format!(".s.PGSQL.{}.lock", self.port))).expect("our own file");
    }

    /// Starts the server again, on the same port and with what it has kept, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        let stdin = self.guard.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"start\n").expect("the guard reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the pipe is readable");
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert_eq!(line, "started 0\n", "PostgreSQL does not start again:\n{}", log());
    }

    /// A new, empty database, by its address.
    ///
    /// # Panics
    /// Where the server refuses.
    #[must_use]
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut createdb = Command::new(self.programs.join("createdb"));
        createdb.env_clear().args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), &name]);
        let created = createdb.output().expect("createdb starts");
        assert!(created.status.success(), "createdb failed: {}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// How many deadlocks there were in a database. Its connections are cut for that: a server process tells what it has seen
    /// when it ends, at the latest.
    ///
    /// # Panics
    /// Where the server refuses.
    #[must_use]
    pub fn deadlocks(&self, database: &str) -> u64 {
        let cut = "select count(pg_terminate_backend(pid, 30000)) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        let seen = "select deadlocks from pg_stat_database where datname = current_database()";
        let mut psql = Command::new(self.programs.join("psql"));
        psql.env_clear().args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", cut, "-c", seen]);
        let told = psql.output().expect("psql starts");
        assert!(told.status.success(), "psql failed: {}", String::from_utf8_lossy(&told.stderr));
        let told = String::from_utf8_lossy(&told.stdout);
        told.lines().last().and_then(|seen| seen.parse().ok()).expect("a number")
    }
}

impl Drop for Postgres {
    /// Waits for the end, so that nothing is left when the test has ended.
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.guard.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn signal(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a pid is a positive number");
    // It may have ended since; then there is nothing to do.
    let _ = kill_process(pid, signal);
}

/// Where PostgreSQL's programs are: the newest that is installed.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// PostgreSQL refuses to run as root: then it runs as the user that Debian's package makes, or as nobody.
fn unprivileged_owner() -> Option<(u32, u32)> {
    if !getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("every machine has users");
    let find = |name: &str| {
        let mut fields = users.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?.split(':');
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).or(Some((65534, 65534)))
}
