//! `docker-compose.yml` as an operator starts it, on a real engine: the file, the configurations and the runtime stage of the image are
//! those of the repository. Images of others are made from what the machine has, since tests reach no registry.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod images;
mod least;
mod operators;
mod project;

use std::time::Duration;

use e2e::{Client, PASSWORD};
use project::Project;
use testkit::eventually;

const LOGIN: &str = "admin";
const UP: &[&str] = &["up", "--detach"];
const CREATE_ACCOUNT: &[&str] =
    &["run", "--rm", "-T", "token-service-1", "create-account", "--login", LOGIN, "--administrator"];
const DOWN: &[&str] = &["down", "--volumes"];
const STOP: &str = "/1.0/environment/control/rest/stopenv";
const START: &str = "/1.0/environment/control/rest/startenv";
const UNAVAILABLE: i64 = 9105;
/// How long it may take until what was killed is not asked any more, and what was started is known.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_stack_stops_a_project_and_goes_on_when_a_part_of_it_dies() {
    let project = Project::prepare().await;
    // The image's own stages for building need a registry.
    let up = [UP, &["--no-build"]].concat();
    project.compose(&up).await;
    let [first, second] = project.gateways();
    ready(&first).await;
    ready(&second).await;
    least::assert_least_privileges(&project).await;

    project.compose_with(CREATE_ACCOUNT, PASSWORD).await;
    let session = signin(&first).await;
    let (id, token) = create_token(&first, &session).await;

    project.example(UP).await;
    eventually("the project is an environment", LONG, async || (call(&first, START, &token).await == 0).then_some(()))
        .await;
    assert_eq!(project.running_examples().await, 2);
    assert_eq!(call(&first, STOP, &token).await, 0);
    assert_eq!(project.running_examples().await, 0, "it has really stopped");

    // Without a chance to tell anybody.
    project.compose(&["kill", "api-gateway-1", "token-service-1"]).await;
    // Whoever was connected to it learns of it by its silence.
    eventually("calls go on", LONG, async || {
        let result = call(&second, START, &token).await;
        assert!(result == 0 || result == UNAVAILABLE, "{result}");
        (result == 0).then_some(())
    })
    .await;
    assert_eq!(project.running_examples().await, 2);
    let session = signin(&second).await;
    let delete = "/1.0/users/authentication/rest/deletetokens";
    second.post(delete, &[("session", &session), ("password", PASSWORD), ("ids", &id.to_string())]).await.success();
    assert_refused(&second, &token).await;

    project.compose(&up).await;
    ready(&first).await;
    assert_refused(&first, &token).await;
    assert_eq!(project.running_examples().await, 2);

    operators::renew_a_certificate(&project, &first).await;
    operators::back_up_and_restore(&project, &first).await;

    project.example(&["down"]).await;
    project.compose(DOWN).await;
    assert_eq!(project.left().await, Vec::<String>::new());
}

/// The commands of the book and of the README are those of the test above, but for those that need a registry and for one that is as good
/// as another. Those of two sections are run as they stand there.
#[test]
fn the_commands_of_the_book_are_these() {
    let run = [UP, CREATE_ACCOUNT, DOWN].map(|arguments| arguments.join(" "));
    let example = format!("--project-name example --file deploy/compose/example.yml {}", UP.join(" "));
    let not_run = ["build", "--profile telemetry up --detach", "down"];
    let known = run.iter().map(String::as_str).chain([example.as_str()]).chain(not_run);
    let known: Vec<&str> = known.collect();
    let of_operators = ["Secrets", "Backup and restore"].map(operators::blocks).concat().concat();
    for text in ["docs/compose.md", "README.md"] {
        let text = std::fs::read_to_string(project::top().join(text)).unwrap();
        let lines = text.split("```sh\n").skip(1).flat_map(|rest| rest.split("```").next().unwrap_or_default().lines());
        let commands = lines.flat_map(|line| line.split(" # ").next().unwrap_or_default().split("&&"));
        let compose: Vec<&str> =
            commands.filter_map(|command| command.split_once("docker compose ")).map(|(_, rest)| rest.trim()).collect();
        assert!(compose.contains(&run[0].as_str()) && compose.contains(&run[1].as_str()), "{compose:?}");
        for command in compose {
            let is_run = known.contains(&command) || of_operators.contains(command);
            assert!(is_run, "`docker compose {command}` is run by no test");
        }
    }
}

async fn ready(gateway: &Client) {
    eventually("the gateway is ready", LONG, async || {
        let asked = gateway.request(reqwest::Method::GET, "/readyz").send().await;
        asked.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
}

async fn signin(gateway: &Client) -> String {
    let path = "/1.0/users/authentication/rest/signin";
    let answer = gateway.post(path, &[("login", LOGIN), ("password", PASSWORD)]).await.success();
    answer["session"].as_str().unwrap().to_owned()
}

async fn create_token(gateway: &Client, session: &str) -> (i64, String) {
    let methods = "environment.control.StopEnv,environment.control.StartEnv";
    let form = [("session", session), ("password", PASSWORD), ("description", "test"), ("apiList", methods)];
    let answer = gateway.post("/1.0/users/authentication/rest/createtoken", &form).await.success();
    (answer["token"]["id"].as_i64().unwrap(), answer["token"]["key"].as_str().unwrap().to_owned())
}

/// The result of a call for the example, with the token as a script has it.
async fn call(gateway: &Client, path: &str, token: &str) -> i64 {
    gateway.get(&format!("{path}?envName=example&session={token}")).await.result()
}

async fn assert_refused(gateway: &Client, token: &str) {
    let answer = gateway.get(&format!("{STOP}?envName=example&session={token}")).await;
    assert_eq!(answer.json()["reason"], "NOT_AUTHENTICATED", "{answer:?}");
}
