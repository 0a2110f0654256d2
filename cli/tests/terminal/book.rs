//! The commands of the book, run as they stand there: what follows a `$` in a block of `console`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::home::{Home, PASSWORD, PORTCULLIS};

/// What is printed after each command, so that its output has an end.
const END: &str = "--- the command has ended: ";

/// A command, and the lines that it is said to print.
#[derive(Debug)]
struct Step {
    command: String,
    printed: Vec<String>,
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// The commands of a chapter.
fn steps(chapter: &str) -> Vec<Step> {
    let text = fs::read_to_string(docs().join(chapter)).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), printed: Vec::new() }),
                None => steps.last_mut().expect("a command comes first").printed.push(line.to_owned()),
            },
        }
    }
    steps
}

/// Whether a line is as it is said to be; `…` stands for anything.
fn fits(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty()
}

/// A shell that keeps its variables from one command to the next.
struct Shell {
    input: ChildStdin,
    output: tokio::io::Lines<BufReader<ChildStdout>>,
    _child: tokio::process::Child,
}

impl Shell {
    fn start(home: &Home) -> Self {
        let program = Path::new(PORTCULLIS).parent().unwrap().display().to_string();
        let path = format!("{program}:{}", std::env::var("PATH").unwrap());
        let mut child = Command::new("/bin/bash")
            .env("PATH", path)
            .env("PORTCULLIS_URL", &home.url)
            .env("PORTCULLIS_DATA_DIR", home.data())
            .env("PORTCULLIS_CREDENTIALS", home.folder.path().join("credentials.toml"))
            .env("PASSWORD", PASSWORD)
            .current_dir(home.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take().unwrap(), output, _child: child }
    }

    /// The lines that a command prints. It has to succeed.
    async fn run(&mut self, command: &str) -> Vec<String> {
        let text = format!("{command}\necho; echo '{END}'$?\n");
        self.input.write_all(text.as_bytes()).await.unwrap();
        let mut printed = Vec::new();
        loop {
            let line = self.output.next_line().await.unwrap().expect("the shell goes on");
            if let Some(code) = line.strip_prefix(END) {
                assert_eq!(code, "0", "{command}: {printed:#?}");
                break;
            }
            printed.push(line);
        }
        while printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        printed
    }
}

async fn run(chapter: &str) {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    let mut shell = Shell::start(&home);
    let steps = steps(chapter);
    assert!(!steps.is_empty(), "{chapter} has commands");
    for Step { command, printed } in steps {
        let lines = shell.run(&command.replace("http://127.0.0.1:8080", &home.url)).await;
        let mut rest = lines.iter();
        for said in &printed {
            assert!(rest.any(|line| fits(said, line)), "{chapter}: {command}\nsaid: {said}\nprinted: {lines:#?}");
        }
        assert_eq!(printed.is_empty(), lines.is_empty(), "{chapter}: {command} printed {lines:#?}");
    }
    let (code, log) = system.terminate().await;
    assert_eq!(code, 0, "{log}");
}

#[tokio::test]
async fn the_first_chapter() {
    run("start.md").await;
}

#[tokio::test]
async fn backups() {
    run("operate.md").await;
}

#[test]
fn what_stands_for_anything_stands_for_nothing_else() {
    assert!(fits("a…c", "abc") && fits("…", "anything") && fits("a…b…c", "a1b2c") && fits("same", "same"));
    assert!(!fits("a…c", "abd") && !fits("same", "other") && !fits("a…b…c", "acb"));
}

/// Every chapter is in the list of chapters, and every chapter of the list is there.
#[test]
fn the_summary_names_each_chapter() {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let mut chapters = Vec::new();
    for folder in ["", "adr"] {
        for entry in fs::read_dir(docs().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                chapters.push(Path::new(folder).join(name).display().to_string());
            }
        }
    }
    for chapter in &chapters {
        assert!(summary.contains(&format!("]({chapter})")), "{chapter} is not in the summary");
    }
    let links = summary.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    for link in links {
        assert!(docs().join(link).is_file(), "{link} is not there");
    }
}
