//! The manifests of `deploy/kubernetes`, on a real API server.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;
use testkit::{KubernetesApi, eventually};

use crate::manifest::{Manifest, manifests};

const LONG: Duration = Duration::from_secs(60);

/// Says what the server makes of a manifest. It refuses a field that it does not know, which it would drop from a manifest that it were to create.
async fn apply(client: &Client, manifest: &Manifest, query: &str) -> Value {
    // Servers before 1.21 have it as a beta of the same form.
    let url = manifest.url().replace("/policy/v1/", "/policy/v1beta1/");
    let text = manifest.text.replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n");
    let request = http::Request::patch(format!("{url}?fieldManager=test{query}"));
    let request = request.header("content-type", "application/apply-patch+yaml").body(text.into_bytes()).unwrap();
    let answer = client.request(request).await;
    answer.unwrap_or_else(|error| panic!("{error}:\n{}", manifest.text))
}

#[tokio::test]
async fn a_cluster_takes_the_manifests_and_makes_the_pods() {
    let server = KubernetesApi::with_controllers().await;
    let client = server.client(server.admin_token()).await;
    let manifests = manifests();
    let (namespaces, others): (Vec<_>, Vec<_>) = manifests.iter().partition(|manifest| manifest.kind() == "Namespace");
    // Nothing is taken for a namespace that is not there, on trial neither.
    for manifest in namespaces {
        apply(&client, manifest, "").await;
    }
    for manifest in &others {
        let tried = apply(&client, manifest, "&dryRun=All").await;
        assert_eq!(tried["metadata"]["name"], manifest.object["metadata"]["name"]);
        assert_is_kept(&manifest.object["spec"], &tried["spec"], manifest.name());
    }
    let pods = Api::<Pod>::namespaced(client.clone(), "portcullis");
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 0, "it was a trial");

    for manifest in &others {
        apply(&client, manifest, "").await;
    }
    let expected: BTreeMap<String, usize> = [
        ("api-gateway", 3),
        ("environment-service", 1),
        ("environment-service-migration", 1),
        ("token-service", 2),
        ("token-service-migration", 1),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into();
    eventually("all pods are made", LONG, async || {
        let mut counted = BTreeMap::new();
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let name = pod.metadata.labels.unwrap_or_default().remove("app.kubernetes.io/name").unwrap();
            *counted.entry(name).or_insert(0) += 1;
        }
        (counted == expected).then_some(())
    })
    .await;
}

/// The first block of commands after a line of the chapter.
fn commands(after: &str) -> String {
    let chapter = crate::read("docs/kubernetes.md");
    let (_, rest) = chapter.split_once(after).unwrap_or_else(|| panic!("the chapter has no `{after}`"));
    let (_, rest) = rest.split_once("```sh\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn the_commands_of_the_book_make_the_secrets() {
    let server = KubernetesApi::start().await;
    let folder = tempfile::tempdir().unwrap();
    // A checkout of the sources, and beside it the overlay, in which the commands are run.
    let (checkout, overlay) = (folder.path().join("portcullis"), folder.path().join("cluster"));
    std::fs::create_dir(&checkout).unwrap();
    std::fs::create_dir(&overlay).unwrap();
    std::os::unix::fs::symlink(crate::path("deploy"), checkout.join("deploy")).unwrap();
    let programs = testkit::binary("portcullis");
    let search = format!("{}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |commands: String| {
        let mut shell = std::process::Command::new("/bin/bash");
        shell.args(["-e", "-c", &commands]).current_dir(&overlay).env_clear().env("PATH", &search);
        let done = shell.env("HOME", folder.path()).env("KUBECONFIG", server.kubeconfig(server.admin_token())).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{commands}\n{}", String::from_utf8_lossy(&done.stderr));
    };
    run(commands("## First start"));
    let client = server.client(server.admin_token()).await;
    let secrets = Api::<Secret>::namespaced(client, "portcullis");
    for (part, key) in
        [("token-service", "signing-key.pem"), ("environment-service", "database-url"), ("api-gateway", "service.key")]
    {
        let kept = secrets.get(part).await.unwrap().data.unwrap_or_default();
        let file = std::fs::read(overlay.join("secrets").join(part).join(key)).unwrap();
        assert_eq!(kept[key].0, file, "{part}");
    }
    let address = std::fs::read_to_string(overlay.join("secrets/token-service/database-url")).unwrap();
    assert!(address.ends_with("@db.example.org/token?sslmode=verify-full\n"), "another address");
    // What is not there need not be deleted.
    let upgrade = commands("## Upgrades");
    run(upgrade.lines().next().unwrap().to_owned());
}

/// Whether all that was written is there: what a server of this version does not know would be missing.
fn assert_is_kept(written: &Value, kept: &Value, place: &str) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (name, value) in written {
                let place = format!("{place}.{name}");
                let kept = kept.get(name).unwrap_or_else(|| panic!("{place} is dropped"));
                assert_is_kept(value, kept, &place);
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            assert_eq!(written.len(), kept.len(), "{place}");
            written.iter().zip(kept).for_each(|(written, kept)| assert_is_kept(written, kept, place));
        }
        _ => assert_eq!(written, kept, "{place}"),
    }
}

#[test]
fn what_is_named_is_there() {
    let manifests = manifests();
    let named = |kind: &str, name: &Value| {
        manifests.iter().any(|manifest| manifest.kind() == kind && manifest.name() == name.as_str().unwrap())
    };
    for manifest in &manifests {
        let spec = &manifest.object["spec"];
        let selectors: Vec<&Value> = match manifest.kind() {
            "Deployment" | "PodDisruptionBudget" | "Service" => vec![&spec["selector"]],
            "NetworkPolicy" => peers(spec),
            _ => Vec::new(),
        };
        for selector in selectors {
            let found = manifests.iter().any(|other| other.is_selected(selector));
            assert!(found, "{} of {} selects nothing: {selector}", manifest.kind(), manifest.name());
        }
        let Some(pods) = manifest.pods() else { continue };
        for volume in pods["spec"]["volumes"].as_array().unwrap() {
            let config = &volume["configMap"]["name"];
            assert!(config.is_null() || named("ConfigMap", config), "{}: {volume}", manifest.name());
        }
        let account = &pods["spec"]["serviceAccountName"];
        let none = account.is_null() && pods["spec"]["automountServiceAccountToken"] == false;
        assert!(none || named("ServiceAccount", account), "{}: {account}", manifest.name());
    }
}

/// What a policy selects: its own pods, and those in its rules that are in the same namespace.
fn peers(spec: &Value) -> Vec<&Value> {
    let rules = ["ingress", "egress"].into_iter().flat_map(|way| spec[way].as_array().into_iter().flatten());
    let peers = rules.flat_map(|rule| rule["from"].as_array().or(rule["to"].as_array()).into_iter().flatten());
    let own = peers.filter(|peer| peer.get("namespaceSelector").is_none()).map(|peer| &peer["podSelector"]);
    std::iter::once(&spec["podSelector"]).chain(own).collect()
}

/// The pod security standard `restricted`, which the namespace enforces, and what it does not ask for besides.
#[test]
fn pods_have_the_least_privileges() {
    for manifest in manifests() {
        let Some(pods) = manifest.pods() else { continue };
        let (name, spec) = (manifest.name(), &pods["spec"]);
        let security = &spec["securityContext"];
        assert_eq!(security["runAsNonRoot"], true, "{name}");
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(spec[key].is_null(), "{name}: {key}");
        }
        for container in spec["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["capabilities"], serde_json::json!({ "drop": ["ALL"] }), "{name}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
            assert_eq!(container["image"], "registry.example.org/portcullis:0.1.0", "{name}");
        }
        for volume in spec["volumes"].as_array().unwrap() {
            assert!(volume.get("hostPath").is_none(), "{name}: {volume}");
        }
    }
}
