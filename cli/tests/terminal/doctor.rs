//! What `portcullis doctor` says of services that run by themselves.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{ServiceProcess, eventually, free_port};

use crate::home::Home;

/// The configurations of the services, in a folder of theirs.
struct Files {
    folder: TempDir,
    token: String,
    environment: String,
    gateway: String,
}

impl Files {
    async fn make(home: &Home) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let file = |name: &str, text: &str| {
            fs::write(path(name), text).unwrap();
            path(name)
        };
        let signing_key = file("signing-key.pem", &Home::succeeded(home.run(&["signing-key"], "", None).await));
        let (mut entries, mut keys) = (String::new(), Vec::new());
        for (name, role) in [("api-gateway", "gateway"), ("environment-service", "executor")] {
            let made = home.json(&["service-key"]).await;
            keys.push(file(&format!("{name}.key"), made["key"].as_str().unwrap()));
            let hash = made["sha256"].as_str().unwrap();
            writeln!(entries, "[[service_keys]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{hash}\"").unwrap();
        }
        let [authority, executor] = [free_port(), free_port()];
        let token = format!(
            "listen = \"127.0.0.1:{authority}\"\ndatabase_url = \"sqlite://{}\"\nsigning_key_file = {signing_key:?}\n{entries}",
            path("token.db")
        );
        let environment = format!(
            "listen = \"127.0.0.1:{executor}\"\ndatabase_url = \"sqlite://{}\"\n\
             authority_url = \"http://127.0.0.1:{authority}\"\nservice_key_file = {:?}\ndata_dir = {:?}\n\
             [node_limits]\nenforce = \"off\"\n[[template]]\nname = \"web\"\ncommand = [\"/bin/true\"]\n",
            path("environment.db"),
            keys[1],
            path("nodes"),
        );
        let gateway = format!(
            "service_key_file = {:?}\nmax_connections = 10\n[upstreams]\n\"token-service\" = \"http://127.0.0.1:{authority}\"\n\
             \"environment-service\" = \"http://127.0.0.1:{executor}\"\n",
            keys[0]
        );
        let token = file("token-service.toml", &token);
        let environment = file("environment-service.toml", &environment);
        let gateway = file("api-gateway.toml", &gateway);
        Self { folder, token, environment, gateway }
    }
}

/// The exit code, and what was told.
async fn doctor(home: &Home, service: &str, file: &str) -> (Option<i32>, String) {
    let output = home.run(&["doctor", service, file], "", None).await;
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn what_is_missing_is_told_and_nothing_is_made() {
    let home = Home::new();
    let files = Files::make(&home).await;
    let (code, told) = doctor(&home, "token-service", &files.token).await;
    assert!(code == Some(1) && told.contains("FAILED  database") && told.contains("`migrate` makes it"), "{told}");
    assert!(!files.folder.path().join("token.db").exists());
    let text = fs::read_to_string(&files.environment).unwrap();
    fs::write(&files.environment, text.replace("/bin/true", "/bin/nothing")).unwrap();
    let (code, told) = doctor(&home, "environment-service", &files.environment).await;
    let program = told.contains("\"/bin/nothing\" is not found");
    assert!(code == Some(1) && told.contains("FAILED  authority") && program, "{told}");
    let (code, told) = doctor(&home, "api-gateway", &files.gateway).await;
    assert!(code == Some(1) && told.contains("FAILED  services") && told.contains("ok      open files"), "{told}");
}

#[tokio::test]
async fn where_all_is_there_nothing_is_found() {
    let home = Home::new();
    let files = Files::make(&home).await;
    let services = [("token-service", &files.token), ("environment-service", &files.environment)];
    let mut running = Vec::new();
    for (service, file) in services {
        let migrated = Home::succeeded(home.run(&["migrate", service, file], "", None).await);
        assert_eq!(migrated, "the database is of this version");
        running.push(ServiceProcess::start(&testkit::binary(service), &["--config", file], &[]).await);
    }
    eventually("all is as it should be", Duration::from_mins(1), async || {
        for (service, file) in services.into_iter().chain([("api-gateway", &files.gateway)]) {
            let (code, told) = doctor(&home, service, file).await;
            if code != Some(0) || told.contains("FAILED") {
                return None;
            }
        }
        Some(())
    })
    .await;
}
