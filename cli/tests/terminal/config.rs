//! What `portcullis config check` says of the configurations of services.

use std::fs;

use crate::home::Home;

#[tokio::test]
async fn a_configuration_is_checked_with_the_files_that_it_names() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let signing_key = file("signing-key.pem", &Home::succeeded(home.run(&["signing-key"], "", None).await));
    let made = home.json(&["service-key"]).await;
    let (key, hash) = (made["key"].as_str().unwrap(), made["sha256"].as_str().unwrap());
    let service_key = file("service.key", key);
    let token = format!(
        "database_url = \"sqlite:///var/lib/token.db\"\nsigning_key_file = {signing_key:?}\n[[service_keys]]\nname = \"api-gateway\"\nrole = \"gateway\"\nsha256 = \"{hash}\"\n"
    );
    let environment = format!(
        "database_url = \"sqlite:///var/lib/environment.db\"\nauthority_url = \"http://127.0.0.1:9001\"\nservice_key_file = {service_key:?}\ndata_dir = \"/var/lib/nodes\"\n"
    );
    let gateway = format!(
        "service_key_file = {service_key:?}\n[upstreams]\n\"token-service\" = \"http://127.0.0.1:9001\"\n\"environment-service\" = \"http://127.0.0.1:9002\"\n"
    );
    let missing = "[tls]\ncertificate_file = \"/no/c.pem\"\nkey_file = \"/no/c.key\"\nca_file = \"/no/ca.pem\"\n";
    let sampled = "[telemetry.otlp]\nendpoint = \"http://127.0.0.1:4317\"\nsampled = 2.0\n";
    for (service, good, bad, told) in [
        ("token-service", &token, token.replace("signing-key.pem", "nowhere.pem"), "nowhere.pem"),
        ("token-service", &token, format!("{token}{sampled}"), "telemetry.otlp.sampled must be 0 to 1"),
        ("token-service", &token, format!("listen = \"0.0.0.0:9001\"\n{token}"), "listen: 0.0.0.0:9001"),
        ("token-service", &token, format!("{token}{missing}"), "certificate_file: /no/c.pem"),
        ("environment-service", &environment, environment.replace("127.0.0.1", "10.0.0.1"), "authority_url: 10.0.0.1"),
        ("environment-service", &environment, format!("{environment}{missing}"), "certificate_file: /no/c.pem"),
        ("api-gateway", &gateway, format!("listen = \"[::]:8080\"\n{gateway}"), "listen: [::]:8080"),
        ("environment-service", &environment, format!("{environment}typo = 1\n"), "typo"),
        ("environment-service", &environment, environment.replace("service.key", "no.key"), "no.key"),
        ("api-gateway", &gateway, format!("max_calls = 0\n{gateway}"), "max_calls"),
        ("api-gateway", &gateway, format!("{gateway}{sampled}"), "telemetry.otlp.sampled must be 0 to 1"),
    ] {
        let good = file("good.toml", good);
        let said = Home::succeeded(home.run(&["config", "check", service, &good], "", None).await);
        assert!(said.ends_with("can be used"), "{service}: {said}");
        let tells_limits = said.contains("rate_limits.token = 1000 calls per 1s, 5000 at once");
        assert_eq!(tells_limits, service == "api-gateway", "{service}: {said}");
        let refused = home.run(&["config", "check", service, &file("bad.toml", &bad)], "", None).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), said.contains(told)), (Some(1), true), "{service}: {said}");
        assert!(!said.contains(key), "no key is told");
    }
}

#[tokio::test]
async fn the_reference_in_the_book_is_what_the_program_tells() {
    let home = Home::new();
    let mut text = String::from(
        "# Configuration\n\nEvery key of every service, made from the types that read it by `portcullis config reference`. What each is for, and how they go together: [the services by themselves](services.md).\n",
    );
    for service in ["token-service", "environment-service", "api-gateway"] {
        let told = Home::succeeded(home.run(&["config", "reference", service], "", None).await);
        text += &format!("\n{told}\n");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, &text).unwrap();
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert!(kept == text, "docs/configuration.md is not what the program tells: run this test with UPDATE_DOCS=1");
}
