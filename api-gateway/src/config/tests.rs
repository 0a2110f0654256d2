use access::CredentialKind;

use super::*;

const COMPLETE: &str = r#"
service_key_file = "/etc/portcullis/api-gateway.key"
[upstreams]
"token-service" = "http://127.0.0.1:9001"
"environment-service" = "http://127.0.0.1:9002"
"#;

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api-gateway.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    })
}

#[test]
fn what_is_not_given_has_a_default() {
    let config = load(COMPLETE).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.max_body_bytes, config.max_parameter_bytes), (4 << 20, 64 << 10));
}

#[test]
fn rates_are_written_as_they_are_said() {
    let rates = "rate_limits.token = \"off\"\nrate_limits.account = { calls = 60, per = \"1min\" }\n";
    let limits = load(&format!("{rates}{COMPLETE}")).unwrap().rate_limits;
    let account = RateLimit::Calls { calls: 60, per: SignedDuration::from_mins(1), burst: 300 };
    assert_eq!(limits, RateLimits { token: RateLimit::Off, account, address: RateLimits::default().address });
    let told = [limits.token, limits.account, limits.address].map(|limit| limit.to_string());
    assert_eq!(told, ["off", "60 calls per 1m, 300 at once", "2000 calls per 1s, 10000 at once"]);
}

#[test]
fn each_flaw_names_its_key() {
    let with = |text: &str| load(&format!("{text}\n{COMPLETE}")).unwrap_err();
    for (error, key) in [
        (load("").unwrap_err(), "service_key_file"),
        (load(&COMPLETE.replace("\"environment-service\"", "#")).unwrap_err(), "environment-service"),
        (load(&format!("{COMPLETE}\"mail-service\" = \"http://x\"")).unwrap_err(), "mail-service"),
        (load(&COMPLETE.replace("http://127.0.0.1:9001", "9001")).unwrap_err(), "token-service"),
        (with("max_bodi = 1"), "max_bodi"),
        (with("max_body_bytes = 1"), "max_body_bytes"),
        (with("max_parameter_bytes = 1"), "max_parameter_bytes"),
        (with("head_timeout = \"1ms\""), "head_timeout"),
        (with("body_timeout = \"1h\""), "body_timeout"),
        (with("max_calls = 0"), "max_calls"),
        (with("max_connections = 0"), "max_connections"),
        (with("max_waiting_calls = 0"), "max_waiting_calls"),
        (with("max_connections_per_address = 0"), "max_connections_per_address"),
        (with("max_calls_per_connection = 0"), "max_calls_per_connection"),
        (with("answer_timeout = \"1h\""), "answer_timeout"),
        (with("idle_timeout = \"1ms\""), "idle_timeout"),
        (with("call_timeout = \"25h\""), "call_timeout"),
        (with("rate_limits.token = \"on\""), "rate_limits.token"),
        (with("rate_limits.token = 5"), "rate_limits.token"),
        (with("rate_limits.account = { calls = 0 }"), "rate_limits.account"),
        (with("rate_limits.account = { burst = 7 }"), "calls"),
        (with("rate_limits.address = { calls = 7, per = \"2d\" }"), "rate_limits.address"),
        (with("rate_limits.address = { calls = 7, burst = 0 }"), "rate_limits.address"),
        (with("rate_limits.address = { calls = 7, bursts = 8 }"), "bursts"),
        (with("rate_limits.host = \"off\""), "host"),
        (with("introspection_timeout = \"1ms\""), "introspection_timeout"),
        (with("public_url = \"api.example.org\""), "public_url"),
        (with("public_url = \"ftp://api.example.org\""), "public_url"),
        (with("public_url = \"https://api.example.org/path\""), "public_url"),
        (with("public_url = \"https://api.example.org/?x\""), "public_url"),
        (with("public_url = \"https://me@api.example.org\""), "public_url"),
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }
}

#[test]
fn a_service_key_is_one_and_is_not_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = Config::new(file.path().to_owned(), BTreeMap::new());
    let token = Credential::generate(CredentialKind::Token, &mut rand::rng());
    let key = Credential::generate(CredentialKind::Service, &mut rand::rng());
    std::fs::write(file.path(), token.expose()).unwrap();
    assert!(matches!(config.service_key(), Err(ConfigError::ServiceKey(ServiceKeyFileError::OtherKind(_)))));
    std::fs::write(file.path(), &key.expose()[1..]).unwrap();
    let error = config.service_key().unwrap_err();
    assert!(
        matches!(error, ConfigError::ServiceKey(ServiceKeyFileError::Malformed { .. }))
            && !format!("{error:?}").contains(&key.expose()[9..])
    );
    std::fs::write(file.path(), format!("{}\n", key.expose())).unwrap();
    assert_eq!(config.service_key().unwrap().hash(), key.hash());
}

#[test]
fn text_is_plain_on_the_loopback_only_unless_that_is_said() {
    let with = |text: &str| load(&format!("{text}\n{COMPLETE}")).map(drop);
    let said = with("listen = \"0.0.0.0:8080\"").unwrap_err();
    assert!(said.starts_with("listen: 0.0.0.0:8080") && said.contains("allow_plaintext"), "{said}");
    with("listen = \"[::1]:8080\"").unwrap();
    with("listen = \"0.0.0.0:8080\"\nallow_plaintext = true").unwrap();
    for (url, key) in
        [("http://token-service:9001", "allow_plaintext"), ("https://token-service:9001", "[upstream_tls]")]
    {
        let said = load(&COMPLETE.replace("http://127.0.0.1:9001", url)).unwrap_err();
        assert!(said.starts_with("upstreams: \"token-service\"") && said.contains(key), "{said}");
    }
    load(&format!("allow_plaintext = true\n{}", COMPLETE.replace("127.0.0.1:9001", "token-service:9001"))).unwrap();
    let own = "[upstream_tls]\ncertificate_file = \"c.pem\"\nkey_file = \"c.key\"\nca_file = \"ca.pem\"\n";
    load(&format!("{}{own}", COMPLETE.replace("http://127.0.0.1:9001", "https://token-service:9001"))).unwrap();
    assert!(load(&format!("{COMPLETE}{own}clients = []")).unwrap_err().contains("upstream_tls.clients"));
    let tls = "[tls]\ncertificate_file = \"c.pem\"\nkey_file = \"c.key\"\n";
    load(&format!("listen = \"0.0.0.0:8080\"\n{COMPLETE}{tls}")).unwrap();
}
