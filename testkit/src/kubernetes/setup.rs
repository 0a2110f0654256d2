use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::certificates::Certificates;
use super::{ADMIN, KubernetesApi};
use crate::free_port;
use crate::workplace::{Mounts, Workplace};

/// A Kubernetes that is still to be started.
#[derive(Default)]
pub struct KubernetesSetup {
    controllers: bool,
    /// Names and groups.
    users: Vec<(String, Vec<String>)>,
}

const SERVER: &str = "kube-apiserver";
const CONTROLLERS: &str = "kube-controller-manager";

impl KubernetesSetup {
    /// The controllers too: those of deployments, stateful sets, jobs, namespaces, service accounts, and the others that need no
    /// nodes.
    #[must_use]
    pub fn controllers(mut self) -> Self {
        self.controllers = true;
        self
    }

    /// A user with a token, see [`KubernetesApi::token`], who may do what roles allow the name or a group.
    #[must_use]
    pub fn user(mut self, name: &str, groups: &[&str]) -> Self {
        self.users.push((name.to_owned(), groups.iter().map(ToString::to_string).collect()));
        self
    }

    /// Starts it, and waits until it answers and, where there are controllers, takes pods.
    ///
    /// # Panics
    /// Where Kubernetes is not installed or does not start.
    pub async fn start(mut self) -> KubernetesApi {
        let programs = programs().expect(
            "no `kube-apiserver` and `kube-controller-manager` in PORTCULLIS_KUBERNETES_BIN or the cache folder: \
             `cargo xtask test --kubernetes` builds them, where it may",
        );
        self.users.push((ADMIN.to_owned(), vec!["system:masters".to_owned()]));
        let users: Vec<_> = self.users.iter().map(|(name, _)| (name.clone(), new_token())).collect();
        let mut workplace = Workplace::new("portcullis-kubernetes", Mounts::Shared);
        let port = free_port();
        let etcd = free_port();
        write_secrets(&workplace);
        workplace.write("tokens.csv", self.token_file(&users));
        workplace.write("etcd.sh", etcd_script(etcd, free_port()));
        workplace.write("server.sh", self.server_script(&programs, port, etcd));
        workplace.write("controllers.sh", controllers_script(&programs, self.users.len() - 1));
        workplace.start("etcd");
        let pid = workplace.start("server");
        let mut api = KubernetesApi { workplace, port, users, pid };
        if self.controllers {
            // The file is theirs.
            let _ = api.kubeconfig(api.admin_token());
            api.workplace.start("controllers");
        }
        api.ready().await;
        if self.controllers {
            api.controllers_ready().await;
        }
        api
    }

    /// A line for each user: token, name, number, groups.
    fn token_file(&self, tokens: &[(String, String)]) -> String {
        let mut text = String::new();
        for (number, ((name, groups), (_, token))) in self.users.iter().zip(tokens).enumerate() {
            let _ = writeln!(text, "{token},{name},{number},\"{}\"", groups.join(","));
        }
        text
    }

    fn server_script(&self, programs: &Path, port: u16, etcd: u16) -> String {
        // Nobody makes the accounts that it would ask for.
        let accounts = if self.controllers { "" } else { "--disable-admission-plugins=ServiceAccount" };
        format!(
            r#"exec '{}/{SERVER}' --bind-address=127.0.0.1 --secure-port={port} \
    --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --etcd-servers=http://127.0.0.1:{etcd} \
    --tls-cert-file="$folder/server.crt" --tls-private-key-file="$folder/server.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$folder/accounts.pub" \
    --service-account-signing-key-file="$folder/accounts.key" --token-auth-file="$folder/tokens.csv" \
    --authorization-mode=RBAC --anonymous-auth=false --service-cluster-ip-range=198.19.240.0/20 \
    --allow-privileged=true {accounts}
"#,
            programs.display()
        )
    }
}

fn etcd_script(port: u16, peers: u16) -> String {
    format!(
        r#"exec etcd --data-dir "$folder/etcd" --unsafe-no-fsync --name test --initial-cluster test=http://127.0.0.1:{peers} \
    --listen-client-urls http://127.0.0.1:{port} --advertise-client-urls http://127.0.0.1:{port} \
    --listen-peer-urls http://127.0.0.1:{peers} --initial-advertise-peer-urls http://127.0.0.1:{peers}
"#
    )
}

/// Without leases: there is one of them, and it need not wait for its turn.
fn controllers_script(programs: &Path, admin: usize) -> String {
    format!(
        r#"exec '{}/{CONTROLLERS}' --kubeconfig="$folder/user-{admin}.kubeconfig" --leader-elect=false --port=0 --secure-port=0 \
    --root-ca-file="$folder/ca.crt" --service-account-private-key-file="$folder/accounts.key"
"#,
        programs.display()
    )
}

fn write_secrets(workplace: &Workplace) {
    let certificates = Certificates::new().expect("plain names");
    for (name, content) in [
        ("ca.crt", certificates.authority),
        ("server.crt", certificates.server),
        ("server.key", certificates.server_key),
        ("accounts.key", certificates.accounts_key),
        ("accounts.pub", certificates.accounts_public_key),
    ] {
        workplace.write(name, content);
    }
}

fn new_token() -> String {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes)).expect("this is Linux");
    bytes.iter().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// Where Kubernetes' programs are: where the environment says, or else the newest that `cargo xtask` has built.
fn programs() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| folder.join(SERVER).exists() && folder.join(CONTROLLERS).exists();
    if let Some(folder) = std::env::var_os("PORTCULLIS_KUBERNETES_BIN") {
        return Some(PathBuf::from(folder)).filter(complete);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let folders = std::fs::read_dir(cache.join("portcullis")).ok()?.flatten();
    let named =
        |folder: &PathBuf| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubernetes-"));
    folders.map(|folder| folder.path()).filter(named).filter(complete).max()
}
