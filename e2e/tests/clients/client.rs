use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// A client in the version that is installed for the tests.
pub(crate) struct Client {
    name: &'static str,
    version: &'static str,
}

pub(crate) const JELAPI: Client = Client { name: "jelapi", version: "0.1.1" };
pub(crate) const JELASTIC_CLIENT: Client = Client { name: "jelastic-client", version: "8.1.1.1" };
/// Whatever reads OpenAPI.
pub(crate) const OPENAPI_SPEC_VALIDATOR: Client = Client { name: "openapi-spec-validator", version: "0.9.0" };

impl Client {
    /// Its interpreter, in the folder that `cargo xtask` installs it into.
    fn python(&self) -> PathBuf {
        let Self { name, version } = self;
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache"))).unwrap();
        let folder = cache.join("portcullis/clients").join(format!("{name}-{version}"));
        assert!(
            folder.join("complete").exists(),
            "{name} {version} is missing: `cargo xtask test --clients` installs it"
        );
        folder.join("bin/python")
    }

    /// Runs a story's script to its end and answers what it tells.
    pub(crate) async fn tells(&self, script: &str, url: &str, credential: &str) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        let mut command = Command::new(self.python());
        // Isolated: nothing of the machine's settings, other modules or proxies among them.
        command.arg("-I").arg(path).args([url, credential]).env_clear();
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
        let told = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{script}: {error}: {told}"))
    }
}
