use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use e2e::PASSWORD;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use testkit::{Postgres, binary, free_port};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What is printed after each command, so that its output has an end.
const END: &str = "--- the command has ended: ";

/// What the commands of a terminal ask a person for is given to them. What is said to be ready is waited for; the first start of
/// `portcullis up` is over when it prints the line to try.
const PRELUDE: &str = r#"
portcullis() {
    case "$*" in
        *--password-stdin*) command portcullis "$@" ;;
        "signin "* | "token create "* | "token copy "* | "token edit "* | "token regenerate "* | "token delete "*)
            command portcullis "$@" --password-stdin <<<"$PASSWORD" ;;
        *) command portcullis "$@" ;;
    esac
}
started() {
    for _ in {1..600}; do
        grep -qs '^try ' up.log background.log && return
        sleep 0.05
    done
    return 1
}
ready() {
    for _ in {1..600}; do
        portcullis health "$@" 2>/dev/null && return
        sleep 0.05
    done
    portcullis health "$@"
}
"#;

/// A shell that keeps its variables from one command to the next, in a folder that is the machine's for it. It, and what it began, end
/// with this.
pub(crate) struct Shell {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    child: Child,
    group: Pid,
    folder: TempDir,
    /// What the book says, and what it is here.
    places: Vec<(&'static str, String)>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        // Nodes outlive the system by design, and must not outlive the test.
        testkit::kill_processes_of(self.folder.path());
    }
}

impl Shell {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        let address = || format!("127.0.0.1:{}", free_port());
        let database = || Postgres::shared().new_database();
        let places = vec![
            ("https://api.example.org", "http://127.0.0.1:8080".to_owned()),
            ("127.0.0.1:8080", address()),
            ("127.0.0.1:9001", address()),
            ("127.0.0.1:9002", address()),
            ("postgres://token@127.0.0.1/token", database()),
            ("postgres://environment@127.0.0.1/environment", database()),
            ("/etc/portcullis", format!("{here}/etc")),
            ("/var/lib/portcullis", format!("{here}/lib")),
            ("/secure", format!("{here}/secure")),
            ("/backups", format!("{here}/backups")),
        ];
        for name in ["etc", "lib", "secure", "backups"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let programs = binary("portcullis").parent().unwrap().display().to_string();
        let postgres = Postgres::shared().programs().display().to_string();
        let path = format!("{programs}:{postgres}:{}", std::env::var("PATH").unwrap());
        let mut command = std::process::Command::new("/bin/bash");
        command.process_group(0);
        let mut command = Command::from(command);
        let listen = &places[1].1;
        command.env_clear().envs([("PATH", path.as_str()), ("HOME", &here), ("PASSWORD", PASSWORD)]);
        command.env("PORTCULLIS_URL", format!("http://{listen}")).env("PORTCULLIS_LISTEN", listen);
        command.env("PORTCULLIS_PASSWORD", PASSWORD).current_dir(folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let group = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut input = child.stdin.take().unwrap();
        input.write_all(PRELUDE.as_bytes()).await.unwrap();
        Self { input, output, child, group, folder, places }
    }

    /// A text of the book, with the places that it names as they are here.
    pub(crate) fn here(&self, text: &str) -> String {
        let replace = |text: String, (said, here): &(&str, String)| text.replace(said, here);
        self.places.iter().fold(text.to_owned(), replace)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, self.here(text)).unwrap();
    }

    /// The lines that a command prints. It has to succeed.
    pub(crate) async fn run(&mut self, command: &str) -> Vec<String> {
        let command = self.here(command);
        let text = format!("{command}\n{{ code=$?; echo; echo '{END}'$code; }} 2>/dev/null\n");
        self.input.write_all(text.as_bytes()).await.unwrap();
        let mut printed = Vec::new();
        loop {
            let line = self.output.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("{command}: the shell has ended: {printed:#?}"));
            if let Some(code) = line.strip_prefix(END) {
                assert_eq!(code, "0", "{command}: {printed:#?}\n{}", self.logs());
                break;
            }
            printed.push(line);
        }
        while printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        printed
    }

    /// Begins a command that goes on. What it prints is in a file.
    pub(crate) async fn begin(&mut self, command: &str) {
        let command = match command.split_once(" # ") {
            Some((command, _)) => command.trim_end(),
            None => command,
        };
        self.run(&format!("{command} </dev/null >>background.log 2>&1 &")).await;
    }

    /// What the commands that go on have printed, for the text of a failure.
    pub(crate) fn logs(&self) -> String {
        fs::read_to_string(self.folder.path().join("background.log")).unwrap_or_default()
    }

    /// Ends what was begun, as an operator does.
    pub(crate) async fn end(mut self) {
        self.run("kill $(jobs -p) 2>/dev/null; wait").await;
        drop(self.child.kill().await);
    }
}
