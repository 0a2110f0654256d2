//! The commands of the book, run as they stand there.
//!
//! In a chapter, what follows a `$` in a block of `console` is run in one shell, from the top to the end, and has to succeed; the lines
//! below it are looked for in what it prints, `…` stands for anything. What is said in comments of the text is not shown to readers:
//!
//! - `<!-- $ COMMAND -->` is run as well: what the chapter takes for granted;
//! - `<!-- background -->` before a block: its commands go on until the chapter has ended;
//! - `<!-- file NAME -->` before a block: it is written to a file of that name; or the comment itself has the file's lines;
//! - `<!-- first CHAPTER -->`: that chapter is run before, in the same shell.
//!
//! Blocks of `sh` are for other places: an engine, a cluster, a checkout of the sources. They are looked at where those are.

mod chapter;
mod shell;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chapter::{Step, blocks, steps};
use shell::Shell;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(chapter: &str) -> String {
    fs::read_to_string(top().join(chapter)).unwrap_or_else(|error| panic!("{chapter}: {error}"))
}

async fn follow(shell: &mut Shell, chapter: &str) {
    for step in steps(&read(chapter)) {
        match step {
            Step::First { chapter } => Box::pin(follow(shell, &format!("docs/{chapter}"))).await,
            Step::File { name, text } => shell.write(&name, &text),
            Step::Background { command } => shell.begin(&command).await,
            Step::Run { command, printed } => {
                let lines = shell.run(&command).await;
                let mut rest = lines.iter();
                for said in &printed {
                    let said = shell.here(said);
                    let found = rest.any(|line| chapter::fits(&said, line));
                    assert!(found, "{chapter}: {command}\nsaid: {said}\nprinted: {lines:#?}\n{}", shell.logs());
                }
            }
        }
    }
}

async fn run(chapter: &str) {
    let mut shell = Shell::start().await;
    follow(&mut shell, chapter).await;
    shell.end().await;
}

/// A test for each chapter that has commands.
macro_rules! chapters {
    ($($name:ident $file:literal)*) => {
        const CHAPTERS: &[&str] = &[$($file),*];
        $(
            #[tokio::test]
            async fn $name() {
                run($file).await;
            }
        )*
    };
}

chapters! {
    readme "README.md"
    audit "docs/audit.md"
    compose "docs/compose.md"
    environments "docs/environments.md"
    leases "docs/leases.md"
    operate "docs/operate.md"
    services "docs/services.md"
    standards "docs/standards.md"
    start "docs/start.md"
    tls "docs/tls.md"
    tokens "docs/tokens.md"
    upgrade "docs/upgrade.md"
}

/// What is read by operators and users.
fn texts() -> BTreeSet<String> {
    let docs = fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let docs = docs.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    docs.chain(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned)).collect()
}

#[test]
fn each_chapter_with_commands_is_run() {
    let has_commands = |text: &String| blocks(&read(text)).any(|block| block.kind == "console");
    let found: BTreeSet<String> = texts().into_iter().filter(has_commands).collect();
    assert_eq!(found, CHAPTERS.iter().map(|&chapter| chapter.to_owned()).collect());
}

/// What the blocks of `sh` may have: the tests of `xtask`, of Compose and of the cluster look at these.
const ELSEWHERE: &[(&str, &str)] = &[
    ("docs/compose.md", "docker compose "),
    ("docs/compose.md", "echo \"DOCKER_GID="),
    ("docs/compose.md", "TELEMETRY=on docker compose "),
    ("README.md", "docker compose "),
    ("README.md", "echo \"DOCKER_GID="),
    ("docs/kubernetes.md", "kubectl "),
    ("docs/kubernetes.md", "mkdir secrets "),
    ("docs/kubernetes.md", "PORTCULLIS_DATABASE_PARAMETERS="),
    ("docs/kubernetes.md", "for part in "),
    ("docs/kubernetes.md", "    "),
    ("docs/kubernetes.md", "done"),
    // As `cargo xtask check` does it.
    ("docs/dashboard.md", "cd dashboard && npm run lint && npm run test:unit"),
    ("docs/model.md", "cargo test "),
    ("docs/model.md", "PORTCULLIS_MODEL=large cargo test "),
    // Of operators, on machines of theirs: no test runs these.
    ("docs/kubernetes.md", "mkdir renewed "),
    ("docs/kubernetes.md", "portcullis certs issue "),
    ("docs/services.md", "cargo build --release "),
    ("docs/services.md", "for name in "),
    ("docs/services.md", "sudo "),
    ("", "cargo xtask "),
    ("", "cargo build --bin portcullis"),
];

const PROGRAMS: &[&str] = &[
    "api-gateway",
    "cargo",
    "curl",
    "docker",
    "environment-service",
    "kubectl",
    "pg_dump",
    "portcullis",
    "token-service",
];

#[test]
fn no_command_is_run_nowhere() {
    for text in texts() {
        for block in blocks(&read(&text)) {
            for line in &block.lines {
                let first = line.trim_start().trim_start_matches("$ ").split(' ').next().unwrap_or_default();
                match block.kind.as_str() {
                    "console" => {}
                    "sh" => {
                        let known = ELSEWHERE.iter().any(|(of, begin)| text.starts_with(of) && line.starts_with(begin));
                        assert!(known, "{text}: no test looks at `{line}`");
                    }
                    _ => assert!(!PROGRAMS.contains(&first), "{text}: `{line}` is in a block that is not run"),
                }
            }
        }
    }
}

/// Every chapter is in the list of chapters, and every chapter of the list is there.
#[test]
fn the_summary_names_each_chapter() {
    let docs = top().join("docs");
    let summary = read("docs/SUMMARY.md");
    let mut chapters = Vec::new();
    for folder in ["", "adr"] {
        for entry in fs::read_dir(docs.join(folder)).unwrap() {
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
        assert!(docs.join(link).is_file(), "{link} is not there");
    }
}
