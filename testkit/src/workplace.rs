use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the programs may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with programs that work in it. Programs and folder go when this is dropped, or with the test process.
pub(crate) struct Workplace {
    folder: PathBuf,
    /// Holds the pipe whose end, however it comes, stops the programs and removes the folder.
    guard: Child,
    output: BufReader<ChildStdout>,
}

/// Whether the programs see the mounts of the machine as they are, or have mounts of their own that go with them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounts {
    Shared,
    Own,
}

/// Makes a folder and says where. Then it does what standard input says, a line each, about the scripts in that folder:
///
/// - `run NAME` runs `NAME.sh` and says what it ended with,
/// - `start NAME` leaves it running and says its pid,
/// - `stop NAME` kills it, by `NAME.stop` where there is one, and says `stopped` when it has ended.
///
/// When standard input ends, it stops all that runs, runs `end.sh`, and removes the folder. What they write is in `NAME.log`.
/// Should the guard itself be killed, so are they.
const GUARD: &str = r#"
trap '' PIPE
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
folder=$(mktemp -d "${TMPDIR:-/tmp}/$1-XXXXXX" 2>/dev/null || mktemp -d "/tmp/$1-XXXXXX") || exit
export PATH folder
cd "$folder"
log() { exec setpriv --pdeathsig KILL sh "$folder/$1.sh" </dev/null >>"$folder/$1.log" 2>&1; }
stop() {
    [ -e "$folder/$1.pid" ] || return
    pid=$(cat "$folder/$1.pid")
    if [ -e "$folder/$1.stop" ]; then pid=$pid sh "$folder/$1.stop"; else kill -KILL "$pid"; fi </dev/null >/dev/null 2>&1
    wait "$pid"
    rm -f "$folder/$1.pid"
}
echo "$folder"
while read -r verb name; do
    case $verb in
    run) (log "$name"); echo "$?" ;;
    start) (log "$name") & echo "$!" >"$folder/$name.pid"; echo "$!" ;;
    stop) stop "$name"; echo stopped ;;
    esac
done
for file in "$folder"/*.pid; do
    name=${file##*/}
    stop "${name%.pid}"
done
if [ -e "$folder/end.sh" ]; then (log end); fi
cd /
rm -rf "$folder"
"#;

impl Workplace {
    /// A folder whose name begins with the given one.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub(crate) fn new(name: &str, mounts: Mounts) -> Self {
        let mut guard = Command::new(if mounts == Mounts::Own { "unshare" } else { "/bin/sh" });
        if mounts == Mounts::Own {
            guard.args(["--mount", "--propagation", "private", "/bin/sh"]);
        }
        guard.args(["-c", GUARD, "guard", name]).current_dir("/");
        guard.env_clear().envs(["PATH", "TMPDIR"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // A group of its own: Ctrl-C ends the tests, and their end ends the programs.
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut guard = guard.spawn().expect("the shell starts");
        let output = BufReader::new(guard.stdout.take().expect("it is piped"));
        let mut workplace = Self { folder: PathBuf::new(), guard, output };
        workplace.folder = workplace.answer().into();
        assert!(workplace.folder.is_absolute(), "no folder can be made for temporary files");
        workplace
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file, and says where it is.
    ///
    /// # Panics
    /// Where that fails.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Runs the script `NAME.sh` of the folder to its end.
    ///
    /// # Errors
    /// What it has written, where it fails.
    pub(crate) fn run(&mut self, name: &str) -> Result<(), String> {
        if self.ask("run", name) == "0" { Ok(()) } else { Err(self.log(name)) }
    }

    /// Starts the script `NAME.sh` of the folder, and says its pid.
    ///
    /// # Panics
    /// Where the guard is gone.
    pub(crate) fn start(&mut self, name: &str) -> u32 {
        self.ask("start", name).parse().expect("the guard says a pid")
    }

    /// Kills what was started, and waits for its end.
    ///
    /// # Panics
    /// Where the guard is gone.
    pub(crate) fn stop(&mut self, name: &str) {
        assert_eq!(self.ask("stop", name), "stopped", "the guard is gone");
    }

    /// All that a script has written.
    pub(crate) fn log(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ask(&mut self, verb: &str, name: &str) -> String {
        let stdin = self.guard.stdin.as_mut().expect("it is piped");
        stdin.write_all(format!("{verb} {name}\n").as_bytes()).expect("the guard reads");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the pipe is readable");
        line.trim_end().to_owned()
    }
}

impl Drop for Workplace {
    /// Waits for the end, so that nothing is left when the test has ended.
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.guard.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
