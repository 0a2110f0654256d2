//! What an operator does with a stack that runs: the commands of the chapter, as they stand there, in one shell.

use std::path::Path;

use e2e::Client;

use crate::project::{Project, top};
use crate::{LONG, STOP, create_token, ready, signin};

/// The folders that the chapter names are in one of the test's own, and Compose is the program that Debian has, with the test's variables.
const SHELL: &str = r#"set -eu
docker() {
    [ "$1" = compose ] && shift
    docker-compose --project-name portcullis --env-file "$VARIABLES" --file docker-compose.yml "$@"
}
"#;

/// The commands of a section, block by block.
pub(crate) fn blocks(section: &str) -> Vec<String> {
    let chapter = std::fs::read_to_string(top().join("docs/compose.md")).unwrap();
    let (_, rest) = chapter.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

async fn follow(project: &Project, block: &str) {
    let block = ["/secure/", "/backups/"].iter().fold(block.to_owned(), |block, folder| {
        block.replace(folder, &format!("{}{folder}", project.folder().display()))
    });
    project.run("sh", &["-c", &format!("{SHELL}{block}")], "").await;
}

/// The certificate that the authority shows.
async fn certificate(project: &Project) -> String {
    let file = "/run/secrets/portcullis/token-service.pem";
    project.compose(&["exec", "-T", "token-service-1", "cat", file]).await
}

pub(crate) async fn renew_a_certificate(project: &Project, gateway: &Client) {
    let before = certificate(project).await;
    let [renewal] = blocks("Secrets").try_into().expect("one block");
    follow(project, &renewal).await;
    assert_ne!(certificate(project).await, before);
    ready(gateway).await;
    signin(gateway).await;
}

/// What was made after the copy is gone, and what was there is there.
pub(crate) async fn back_up_and_restore(project: &Project, gateway: &Client) {
    for folder in ["secure", "backups"] {
        std::fs::create_dir(project.folder().join(folder)).unwrap();
    }
    let [backup, restoration, elsewhere] = blocks("Backup and restore").try_into().expect("three blocks");
    let (_, kept) = create_token(gateway, &signin(gateway).await).await;
    follow(project, &backup).await;
    for copy in ["secure/secrets.tar", "backups/environment.dump", "backups/token.dump"] {
        assert!(length(&project.folder().join(copy)) > 1000, "{copy}");
    }
    let (_, lost) = create_token(gateway, &signin(gateway).await).await;
    follow(project, &restoration).await;
    ready(gateway).await;
    assert_known(gateway, &kept, true).await;
    assert_known(gateway, &lost, false).await;
    follow(project, &elsewhere).await;
    ready(gateway).await;
    assert_known(gateway, &kept, true).await;
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

/// Whether a token is one. The environment need not be there.
async fn assert_known(gateway: &Client, token: &str, known: bool) {
    let found = async || {
        let answer = gateway.get(&format!("{STOP}?envName=nowhere&session={token}")).await.json();
        // Right after a start there can be an outage.
        let reason = answer["reason"].as_str().unwrap_or_default().to_owned();
        (reason != "UNAVAILABLE").then_some(reason)
    };
    let reason = testkit::eventually("the authority answers", LONG, found).await;
    assert_eq!(reason != "NOT_AUTHENTICATED", known, "{reason}");
}
