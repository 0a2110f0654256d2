use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;
use testkit::{ServiceProcess, free_port};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub(crate) const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What the first start's example runs.
const EXAMPLE: &str = r#"
[[template]]
name = "web"
command = ["/bin/sh", "-c", "sleep 600 & wait"]

[[template]]
name = "worker"
command = ["/bin/sh", "-c", "sleep 600 & wait"]
"#;

/// A data folder, a port, and a home for the session that `signin` keeps.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    listen: String,
}

impl Drop for Home {
    /// Nodes outlive the system by design, and must not outlive the test.
    fn drop(&mut self) {
        testkit::kill_processes_of(self.folder.path());
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        // The first test to come here installs it for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listen = format!("127.0.0.1:{}", free_port());
        Self { folder: tempfile::tempdir().unwrap(), url: format!("http://{listen}"), listen }
    }

    pub(crate) fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// One that offers more to run than the example does.
    pub(crate) fn offering(templates: &str) -> Self {
        let home = Self::new();
        std::fs::create_dir(home.data()).unwrap();
        std::fs::write(Path::new(&home.data()).join("templates.toml"), format!("{templates}{EXAMPLE}")).unwrap();
        home
    }

    pub(crate) async fn up(&self, more: &[&str]) -> ServiceProcess {
        self.up_in(&[], more).await
    }

    /// Starts the system in an environment.
    pub(crate) async fn up_in(&self, environment: &[(&str, &str)], more: &[&str]) -> ServiceProcess {
        let system = self.begin(environment, more).await;
        // The last line that it prints is the one to try.
        system.ready(|| async { system.log().contains("\ntry ") }).await;
        assert_eq!(reqwest::get(format!("{}/readyz", self.url)).await.unwrap().status(), 200);
        system
    }

    /// Starts the system, and does not wait for it.
    pub(crate) async fn begin(&self, environment: &[(&str, &str)], more: &[&str]) -> ServiceProcess {
        let data = self.data();
        let mut arguments = vec!["up", "--data-dir", &data, "--listen", &self.listen];
        arguments.extend(more);
        ServiceProcess::start(Path::new(PORTCULLIS), &arguments, environment).await
    }

    /// Runs a command with a line on its standard input.
    pub(crate) async fn run(&self, arguments: &[&str], line: &str, token: Option<&str>) -> Output {
        let token: Vec<(&str, &str)> = token.map(|token| ("PORTCULLIS_TOKEN", token)).into_iter().collect();
        self.run_in(&token, arguments, line).await
    }

    /// The same in an environment.
    pub(crate) async fn run_in(&self, environment: &[(&str, &str)], arguments: &[&str], line: &str) -> Output {
        let mut command = Command::new(PORTCULLIS);
        command.args(arguments).env_clear().env("PORTCULLIS_URL", &self.url);
        command.env("PORTCULLIS_CREDENTIALS", self.folder.path().join("credentials.toml"));
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let written = stdin.write_all(format!("{line}\n").as_bytes()).await;
        drop((stdin, written));
        child.wait_with_output().await.unwrap()
    }

    /// The standard output of a command that has to succeed.
    #[track_caller]
    pub(crate) fn succeeded(output: Output) -> String {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) async fn signin(&self) {
        let output = self.run(&["signin", "--login", "admin", "--password-stdin"], PASSWORD, None).await;
        assert_eq!(Self::succeeded(output), "signed in as admin");
    }

    pub(crate) async fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let arguments = [&["--output", "json"], arguments].concat();
        serde_json::from_str(&Self::succeeded(self.run(&arguments, PASSWORD, None).await)).unwrap()
    }

    pub(crate) async fn nodes(&self) -> Vec<u32> {
        let info = self.json(&["env", "info", "my-project"]).await;
        let nodes = info["nodes"].as_array().unwrap();
        nodes.iter().map(|node| u32::try_from(node["ctid"].as_u64().unwrap()).unwrap()).collect()
    }
}
