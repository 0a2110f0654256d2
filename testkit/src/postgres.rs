use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::getuid;

use crate::free_port;

/// A private PostgreSQL server: its own folder, its own port, one for each test process.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// Holds the pipe whose end, however it comes, stops the server and removes its folder.
    _guard: Child,
}

/// Makes a folder with a server, says `ready` and where, and removes both when standard input ends. What keeps the server
/// from starting is told instead. (Who reads it can be gone by then, and that must not end the guard.)
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
    cat >/dev/null
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

    fn start() -> Self {
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
            return Ok(Self { programs, folder, port, databases: AtomicU32::new(0), _guard: guard });
        }
        output.read_to_string(&mut line).expect("the pipe is readable");
        guard.wait().expect("it is our child");
        Err(line)
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
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
