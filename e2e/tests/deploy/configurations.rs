//! The configurations for Docker Compose and for Kubernetes, with the secrets that `deploy/secrets` makes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testkit::binary;

use crate::{path, read};

/// Where services find their secrets.
const PLACE: &str = "/run/secrets/portcullis";

/// Makes the secrets that are not there.
fn make(folder: &Path) {
    make_with(folder, &[]);
}

fn make_with(folder: &Path, variables: &[(&str, &str)]) {
    let programs = binary("portcullis");
    let search = format!("{}:/usr/bin:/bin", programs.parent().unwrap().display());
    let mut script = Command::new(path("deploy/secrets"));
    script.arg(folder).arg("db.example.org:5433").env_clear().env("PATH", search).envs(variables.iter().copied());
    let made = script.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn secrets(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for part in fs::read_dir(folder).unwrap().flatten() {
        for file in fs::read_dir(part.path()).unwrap().flatten() {
            let name = format!("{}/{}", part.file_name().display(), file.file_name().display());
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            let expected = match name.as_str() {
                // PostgreSQL's image reads it as another user.
                name if name.starts_with("postgres/") => 0o444,
                "certificates/ca.key" | "certificates/ca.pem" => 0o600,
                _ => 0o440,
            };
            assert_eq!(mode, expected, "{name}");
            found.insert(name, fs::read_to_string(file.path()).unwrap());
        }
    }
    found
}

#[test]
fn secrets_are_made_once_and_each_for_its_service() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let first = secrets(folder.path());
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    let expected = [
        "api-gateway/api-gateway.key",
        "api-gateway/api-gateway.pem",
        "api-gateway/ca.pem",
        "api-gateway/service.key",
        "certificates/ca.key",
        "certificates/ca.pem",
        "environment-service/ca.pem",
        "environment-service/database-url",
        "environment-service/environment-service.key",
        "environment-service/environment-service.pem",
        "environment-service/service.key",
        "postgres/environment.password",
        "postgres/password",
        "postgres/token.password",
        "token-service/api-gateway.sha256",
        "token-service/ca.pem",
        "token-service/database-url",
        "token-service/environment-service.sha256",
        "token-service/second-factor.key",
        "token-service/signing-key.pem",
        "token-service/token-service.key",
        "token-service/token-service.pem",
    ];
    assert_eq!(names, expected);
    let url = format!("postgres://token:{}@db.example.org:5433/token\n", first["postgres/token.password"]);
    assert_eq!(first["token-service/database-url"], url);
    assert_eq!(first["postgres/token.password"].len(), 64);
    make(folder.path());
    assert_eq!(secrets(folder.path()), first);

    // What is lost is made again, and what belongs to it.
    fs::remove_file(folder.path().join("api-gateway/service.key")).unwrap();
    make(folder.path());
    let changed = secrets(folder.path());
    let others = changed.iter().filter(|(name, secret)| first[*name] != **secret).map(|(name, _)| name.as_str());
    assert_eq!(others.collect::<Vec<_>>(), ["api-gateway/service.key", "token-service/api-gateway.sha256"]);

    // Nobody believes certificates of an authority that is gone.
    fs::remove_file(folder.path().join("certificates/ca.key")).unwrap();
    make(folder.path());
    let renewed = secrets(folder.path());
    let others = renewed.iter().filter(|(name, secret)| changed[*name] != **secret).map(|(name, _)| name.as_str());
    let expected = expected.into_iter().filter(|name| {
        let part = name.split('/').next().unwrap();
        ["certificates/ca.key", &format!("{part}/ca.pem"), &format!("{part}/{part}.pem"), &format!("{part}/{part}.key")]
            .contains(name)
    });
    assert_eq!(others.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn the_addresses_of_databases_have_the_parameters_that_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = "sslmode=verify-full&sslrootcert=/run/secrets/portcullis/database-ca.pem";
    make_with(folder.path(), &[("PORTCULLIS_DATABASE_PARAMETERS", parameters)]);
    let made = secrets(folder.path());
    for (service, role) in [("token-service", "token"), ("environment-service", "environment")] {
        let password = &made[&format!("postgres/{role}.password")];
        let url = format!("postgres://{role}:{password}@db.example.org:5433/{role}?{parameters}\n");
        assert_eq!(made[&format!("{service}/database-url")], url);
    }
}

/// What is left out of the image's build is named by no crate that is in it.
#[test]
fn the_image_is_built_from_every_crate() {
    let (manifest, ignored) = (read("Cargo.toml"), read(".dockerignore"));
    let (_, rest) = manifest.split_once("members = [\n").unwrap();
    let (members, _) = rest.split_once(']').unwrap();
    let members: Vec<&str> = members.lines().map(|line| line.trim().trim_matches(['"', ','])).collect();
    assert!(members.contains(&"token-service"), "{members:?}");
    for member in members {
        assert!(ignored.lines().any(|line| line.strip_prefix('!') == Some(member)), "{member} is not in .dockerignore");
    }
}

#[test]
fn services_take_the_configurations() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    for place in ["deploy/compose", "deploy/kubernetes/config"] {
        for service in ["token-service", "environment-service", "api-gateway"] {
            for telemetry in ["deploy/compose/telemetry/off.env", "deploy/compose/telemetry/on.env"] {
                check(&folder, &format!("{place}/{service}.toml"), service, telemetry);
            }
        }
    }
}

fn check(folder: &TempDir, name: &str, service: &str, telemetry: &str) {
    let text = read(name);
    assert!(text.contains(PLACE), "{name}");
    let file = folder.path().join("configuration.toml");
    let own = folder.path().join(service);
    fs::write(&file, text.replace(PLACE, own.to_str().unwrap())).unwrap();
    let variables = read(telemetry);
    let variables = variables.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let checked = Command::new(binary("portcullis"))
        .args(["config", "check", service])
        .arg(&file)
        .env_clear()
        .envs(variables)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_compose_file_is_one_with_all_profiles_and_names_versions() {
    // Nobody's own `.env`.
    let variables = tempfile::NamedTempFile::new().unwrap();
    let mut compose = Command::new("docker-compose");
    compose.arg("--env-file").arg(variables.path()).args(["--profile", "telemetry", "config"]).current_dir(path("."));
    let told =
        compose.env("DOCKER_GID", "1").env("TELEMETRY", "on").output().expect("Debian's package `docker-compose`");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let file: serde_json::Value = serde_saphyr::from_str(&String::from_utf8(told.stdout).unwrap()).unwrap();
    for (name, service) in file["services"].as_object().unwrap() {
        let (_, version) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(version.starts_with(|first: char| first.is_ascii_digit() || first == 'v'), "{name}: {version}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert!(service["user"].is_string(), "{name}");
    }
    let endpoint = "PORTCULLIS_API_GATEWAY__TELEMETRY__OTLP__ENDPOINT";
    assert_eq!(file["services"]["api-gateway-1"]["environment"][endpoint], "http://collector:4317");
}
