use super::*;

const COMPLETE: &str = r#"
database_url = "sqlite:///var/lib/portcullis/token.db"
signing_key_file = "/etc/portcullis/signing-key.pem"
"#;

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token-service.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    })
}

#[test]
fn what_is_not_given_has_a_default() {
    let config = load(COMPLETE).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9001");
    assert_eq!(config.grant_lifetime, SignedDuration::from_secs(60));
    assert_eq!(config.tokens_per_account, 100);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(config.passwords_at_once, (cores / 2).clamp(1, 4), "a core is left to others");
}

fn entry(role: &str) -> String {
    format!("[[service_keys]]\nname = \"x\"\nsha256 = \"{}\"\n{role}\n", "00".repeat(32))
}

#[test]
fn a_service_without_a_role_is_a_client() {
    let role = |text: &str| load(&format!("{COMPLETE}{}", entry(text))).unwrap().service_keys[0].role;
    assert_eq!(role(""), ServiceRole::Client);
    for known in ServiceRole::ALL {
        assert_eq!(role(&format!("role = \"{known}\"")), known);
    }
}

#[test]
fn durations_can_be_days() {
    let config = load(&format!("expiry_notice = \"14d\"\n{COMPLETE}[throttle]\naccount_longest = \"1min\"")).unwrap();
    assert_eq!(config.expiry_notice, SignedDuration::from_hours(14 * 24));
    let error = load(&format!("expiry_notice = 7\n{COMPLETE}")).unwrap_err();
    assert!(error.contains("\"7d\"") && error.contains("expiry_notice"), "{error}");
}

#[test]
fn each_flaw_names_its_key() {
    let with = |text: &str| load(&format!("{text}\n{COMPLETE}")).unwrap_err();
    for (error, key) in [
        (load("").unwrap_err(), "database_url"),
        (load(&COMPLETE.replace("sqlite:", "mysql:")).unwrap_err(), "database_url"),
        (with("grant_lifetyme = \"1s\""), "grant_lifetyme"),
        (with("grant_lifetime = \"0s\""), "grant_lifetime"),
        (with("grant_lifetime = \"1h\""), "grant_lifetime"),
        (with("session_lifetime = \"1s\""), "session_lifetime"),
        (with("session_lifetime = \"soon\""), "session_lifetime"),
        (with("tokens_per_account = 0"), "tokens_per_account"),
        (with("password_shortest = 7"), "password_shortest"),
        (with("passwords_at_once = 65"), "passwords_at_once"),
        (with("listen = \"nowhere\""), "listen"),
        (load(&format!("{COMPLETE}[throttle]\naccount_free = 101")).unwrap_err(), "throttle.account_free"),
        (load(&format!("{COMPLETE}[throttle]\naccount_longest = \"0s\"")).unwrap_err(), "throttle.account_longest"),
        (load(&format!("{COMPLETE}[throttle]\naddress_free = 100001")).unwrap_err(), "throttle.address_free"),
        (load(&format!("{COMPLETE}[throttle]\naddress_longest = \"25h\"")).unwrap_err(), "throttle.address_longest"),
        (load(&format!("{COMPLETE}[throttle]\ncode_longest = \"0s\"")).unwrap_err(), "throttle.code_longest"),
        (with("second_factor_issuer = \"a:b\""), "second_factor_issuer"),
        (load(&format!("{COMPLETE}[throttle]\nfree = 1")).unwrap_err(), "free"),
        (load(&format!("{COMPLETE}[[service_keys]]\nname = \"x\"\nsha256 = \"00\"")).unwrap_err(), "sha256"),
        (load(&format!("{COMPLETE}{}", entry("role = \"root\""))).unwrap_err(), "`gateway`, `executor` or `client`"),
        (load(&format!("{COMPLETE}{}", entry("role = \"root\""))).unwrap_err(), "service_keys.0.role"),
        (load(&format!("{COMPLETE}{}", entry("role = 1"))).unwrap_err(), "service_keys.0.role"),
        (load(&format!("{COMPLETE}{0}{0}", entry("role = \"gateway\""))).unwrap_err(), "same sha256"),
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }
    assert!(Config::load(Path::new("/nowhere/at-all.toml")).unwrap_err().to_string().contains("at-all.toml"));
}

#[test]
fn text_is_plain_on_the_loopback_only_unless_that_is_said() {
    let with = |text: &str| load(&format!("{text}\n{COMPLETE}")).map(drop);
    let said = with("listen = \"0.0.0.0:9001\"").unwrap_err();
    assert!(said.starts_with("listen: 0.0.0.0:9001") && said.contains("allow_plaintext"), "{said}");
    with("listen = \"[::1]:9001\"").unwrap();
    with("listen = \"0.0.0.0:9001\"\nallow_plaintext = true").unwrap();
    let tls = "[tls]\ncertificate_file = \"c.pem\"\nkey_file = \"c.key\"\nca_file = \"ca.pem\"\n";
    load(&format!("listen = \"0.0.0.0:9001\"\n{COMPLETE}{tls}")).unwrap();
}
