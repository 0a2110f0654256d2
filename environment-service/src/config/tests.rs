use access::CredentialKind;

use super::*;

const COMPLETE: &str = r#"
database_url = "sqlite:///var/lib/portcullis/environment.db"
authority_url = "http://127.0.0.1:9001"
service_key_file = "/etc/portcullis/environment.key"
data_dir = "/var/lib/portcullis/environments"
"#;

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("environment-service.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).map_err(|error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    })
}

#[test]
fn what_is_not_given_has_a_default() {
    let config = load(COMPLETE).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9002");
    assert_eq!(config.stop_grace(), Duration::from_secs(10));
    assert_eq!(config.start_settle(), Duration::from_millis(200));
    assert_eq!(config.on_shutdown, OnShutdown::Keep);
    assert_eq!(config.node_limits, NodeLimits { enforce: Enforce::Auto, cgroup: None, max_processes: 512 });
    assert!(config.templates.is_empty() && config.docker.is_none());
    let docker = load(&format!("{COMPLETE}[docker]")).unwrap().docker.unwrap();
    assert_eq!(docker.socket, "unix:///var/run/docker.sock");
    assert!(docker.images.is_empty() && docker.compose.is_empty());
}

#[test]
fn everything_can_be_given() {
    let text = format!(
        r#"
listen = "127.0.0.1:0"
stop_grace = "1m 30s"
start_settle = "1s"
on_shutdown = "stop"
{COMPLETE}
[[template]]
name = "web"
command = ["/usr/bin/python3", "-m", "http.server"]
environment = {{ COLOUR = "blue" }}
working_directory = "/srv"
port = true

[docker]
socket = "unix:///run/docker.sock"
images = ["nginx", "team/*"]

[[docker.template]]
name = "cache"
image = "redis:7"
command = ["redis-server", "--save", ""]
environment = {{ COLOUR = "blue" }}
port = 6379

[[docker.compose]]
project = "shop"
account = 1

[[docker.compose]]
project = "*"
account = 2

[node_limits]
enforce = "required"
cgroup = "/portcullis"
max_processes = 64

[telemetry]
filter = "debug"
"#
    );
    let config = load(&text).unwrap();
    assert_eq!(config.stop_grace(), Duration::from_secs(90));
    assert_eq!(config.on_shutdown, OnShutdown::Stop);
    assert_eq!(config.templates[0].environment["COLOUR"], "blue");
    let limits = NodeLimits { enforce: Enforce::Required, cgroup: Some("/portcullis".into()), max_processes: 64 };
    assert_eq!(config.node_limits, limits);
    assert!(config.templates[0].port);
    let docker = config.docker.unwrap();
    assert_eq!((docker.images.len(), docker.templates[0].port, docker.compose[1].account), (2, Some(6379), 2));
}

#[test]
fn each_flaw_names_its_key() {
    let with = |text: &str| load(&format!("{COMPLETE}{text}")).unwrap_err();
    let template = |rest: &str| with(&format!("[[template]]\nname = \"web\"\n{rest}"));
    for (error, key) in [
        (load("").unwrap_err(), "database_url"),
        (load(&COMPLETE.replace("sqlite:", "mysql:")).unwrap_err(), "database_url"),
        (load(&COMPLETE.replace("http://", "ftp://")).unwrap_err(), "authority_url"),
        (with("stop_grase = \"1s\""), "stop_grase"),
        (with("stop_grace = \"-1s\""), "stop_grace"),
        (with("stop_grace = \"11m\""), "stop_grace"),
        (with("start_settle = \"2m\""), "start_settle"),
        (with("on_shutdown = \"restart\""), "on_shutdown"),
        (with("listen = \"here\""), "listen"),
        (template(""), "command"),
        (template("command = []"), "command"),
        (template("command = [\"true\"]\nshell = true"), "shell"),
        (template("command = [\"true\"]\nenvironment = { PORT = \"1\" }"), "environment.PORT"),
        (template("command = [\"true\"]\n[[template]]\nname = \"web\"\ncommand = [\"true\"]"), "web"),
        (with("[docker]\nsockets = \"x\""), "sockets"),
        (with("[docker]\nsocket = \"tcp://127.0.0.1:2375\""), "docker.socket"),
        (with("[docker]\nimages = [\"nginx:1\"]"), "images"),
        (with("[[docker.template]]\nname = \"web\"\nimage = \"nginx\""), "image"),
        (with("[[docker.template]]\nname = \"docker\"\nimage = \"nginx:1\""), "name"),
        (template("command = [\"true\"]\n[[docker.template]]\nname = \"web\"\nimage = \"nginx:1\""), "web"),
        (with("[[docker.compose]]\nproject = \"\"\naccount = 1"), "docker.compose.project"),
        (with("[[docker.compose]]\nproject = \"a\"\naccount = 0"), "docker.compose.account"),
        (
            with("[[docker.compose]]\nproject = \"a\"\naccount = 1\n[[docker.compose]]\nproject = \"a\"\naccount = 2"),
            "docker.compose.project",
        ),
        (with("[node_limits]\nenforce = \"maybe\""), "enforce"),
        (with("[node_limits]\ncgroup = \"portcullis\""), "node_limits.cgroup"),
        (with("[node_limits]\nmax_processes = 15"), "node_limits.max_processes"),
        (with("[telemetry]\nlevel = \"debug\""), "level"),
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }
    assert!(matches!(Config::load(Path::new("/no/such/file")), Err(ConfigError::Load(LoadError::Missing(_)))));
}

#[test]
fn a_service_key_is_one() {
    use rand::SeedableRng;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let config = || Config::new("sqlite:x.db".parse().unwrap(), "http://a".into(), file.clone(), "data".into());
    assert!(matches!(config().service_key(), Err(ConfigError::ServiceKey(ServiceKeyFileError::Unreadable { .. }))));
    std::fs::write(&file, "secret").unwrap();
    let error = config().service_key().unwrap_err();
    assert!(
        matches!(error, ConfigError::ServiceKey(ServiceKeyFileError::Malformed { .. }))
            && !format!("{error:?}").contains("secret")
    );
    let generate = |kind| Credential::generate(kind, &mut rand::rngs::StdRng::seed_from_u64(1));
    std::fs::write(&file, generate(CredentialKind::Session).expose()).unwrap();
    assert!(matches!(config().service_key(), Err(ConfigError::ServiceKey(ServiceKeyFileError::OtherKind(_)))));
    let key = generate(CredentialKind::Service);
    std::fs::write(&file, format!("{}\n", key.expose())).unwrap();
    assert_eq!(config().service_key().unwrap().hash(), key.hash());
}

#[test]
fn text_is_plain_on_the_loopback_only_unless_that_is_said() {
    let with = |text: &str| load(&format!("{text}\n{COMPLETE}")).map(drop);
    let said = with("listen = \"0.0.0.0:9002\"").unwrap_err();
    assert!(said.starts_with("listen: 0.0.0.0:9002") && said.contains("allow_plaintext"), "{said}");
    with("listen = \"[::1]:9002\"").unwrap();
    with("listen = \"0.0.0.0:9002\"\nallow_plaintext = true").unwrap();
    for (url, key) in
        [("http://token-service:9001", "allow_plaintext"), ("https://token-service:9001", "https needs [tls]")]
    {
        let said = load(&COMPLETE.replace("http://127.0.0.1:9001", url)).unwrap_err();
        assert!(said.starts_with("authority_url: ") && said.contains(key), "{said}");
    }
    load(&format!("allow_plaintext = true\n{}", COMPLETE.replace("127.0.0.1:9001", "token-service:9001"))).unwrap();
    let tls = "[tls]\ncertificate_file = \"c.pem\"\nkey_file = \"c.key\"\nca_file = \"ca.pem\"\n";
    load(&format!("listen = \"0.0.0.0:9002\"\n{COMPLETE}{tls}")).unwrap();
}
