use std::path::PathBuf;

use access::AccountId;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigError;
use crate::domain::{EnvName, ImagePattern, ImagePatterns};
use crate::driver::{Adoptable, KubernetesSettings};

/// The most characters of a namespace's name.
const MAX_NAMESPACE: usize = 63;
/// The most characters of a selector.
const MAX_SELECTOR: usize = 1000;

/// How environments run in a Kubernetes cluster: the section `[kubernetes]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The file that says where the cluster is and by which credentials. Default: the service runs in the cluster itself, and uses
    /// its own account.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace for environments that are created here. Default: none can be created.
    pub namespace: Option<String>,
    /// The images that may be run, without versions; `*` stands for any characters but a slash. Default: none.
    #[serde(default)]
    pub images: Vec<String>,
    /// The port that nodes of created environments are told to listen on. Default: 8080.
    #[serde(default = "default_port")]
    pub port: u16,
    /// How long a workload may take to be ready after its launch: 1 s to 1 h. Default: 5 min.
    #[serde(default = "default_ready_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub ready_timeout: SignedDuration,
    /// The environments that are there already.
    #[serde(default, rename = "environment")]
    pub environments: Vec<KubernetesEnvironment>,
}

/// An environment that is there already: the Deployments, StatefulSets and CronJobs of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesEnvironment {
    /// Its name.
    pub name: String,
    /// The number of the account that controls it.
    pub account: i64,
    /// The namespace.
    pub namespace: String,
    /// Which of the namespace's objects belong to it, by their labels: `app=shop,tier!=test`. Default: all.
    pub selector: Option<String>,
}

fn default_port() -> u16 {
    8080
}

fn default_ready_timeout() -> SignedDuration {
    SignedDuration::from_mins(5)
}

fn item(key: String, problem: impl Into<String>) -> ConfigError {
    ConfigError::Item { key, problem: problem.into() }
}

fn namespace(key: String, name: &str) -> Result<(), ConfigError> {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let fits = name.len() <= MAX_NAMESPACE
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let problem = "must be a namespace: 1 to 63 lower-case letters, digits and dashes, no dash at either end";
    if fits { Ok(()) } else { Err(item(key, problem)) }
}

fn is_selector(text: &str) -> bool {
    (1..=MAX_SELECTOR).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '!')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=!,() ".contains(&byte))
}

impl KubernetesConfig {
    /// Looks whether each value is what it may be.
    ///
    /// # Errors
    /// Names the first key whose value is not.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.images()?;
        let key = |key: &str| format!("kubernetes.{key}");
        if self.kubeconfig.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            return Err(item(key("kubeconfig"), "must be a file"));
        }
        if self.port == 0 {
            return Err(item(key("port"), "must be 1 to 65535"));
        }
        if !(SignedDuration::from_secs(1)..=SignedDuration::from_hours(1)).contains(&self.ready_timeout) {
            return Err(item(key("ready_timeout"), "must be 1 s to 1 h"));
        }
        self.namespace.as_ref().map_or(Ok(()), |name| namespace(key("namespace"), name))?;
        for (index, environment) in self.environments.iter().enumerate() {
            self.validate_environment(index, environment)?;
        }
        Ok(())
    }

    fn validate_environment(&self, index: usize, environment: &KubernetesEnvironment) -> Result<(), ConfigError> {
        let key = |field: &str| format!("kubernetes.environment[{index}].{field}");
        environment.name.parse::<EnvName>().map_err(|problem| item(key("name"), problem.to_string()))?;
        if environment.account <= 0 {
            return Err(item(key("account"), "must be an account's number"));
        }
        namespace(key("namespace"), &environment.namespace)?;
        if environment.selector.as_ref().is_some_and(|selector| !is_selector(selector)) {
            return Err(item(key("selector"), "must select by labels: `app=shop,tier!=test`"));
        }
        let before = &self.environments[..index];
        if before.iter().any(|other| other.name == environment.name) {
            return Err(item(key("name"), format!("must not be `{}` twice", environment.name)));
        }
        let overlaps = |other: &KubernetesEnvironment| {
            let all = other.selector.is_none() || environment.selector.is_none();
            other.namespace == environment.namespace && (all || other.selector == environment.selector)
        };
        if let Some(other) = before.iter().find(|other| overlaps(other)) {
            let problem = format!("must select other objects than `{}` does in the same namespace", other.name);
            return Err(item(key("selector"), problem));
        }
        Ok(())
    }

    fn images(&self) -> Result<ImagePatterns, ConfigError> {
        let pattern = |(index, text): (usize, &String)| {
            text.parse::<ImagePattern>()
                .map_err(|problem| item(format!("kubernetes.images[{index}]"), problem.to_string()))
        };
        self.images.iter().enumerate().map(pattern).collect()
    }

    /// The same, for the driver.
    ///
    /// # Errors
    /// As `validate`.
    pub(crate) fn settings(&self, stop_grace: std::time::Duration) -> Result<KubernetesSettings, ConfigError> {
        let adoptable = |environment: &KubernetesEnvironment| Adoptable {
            name: environment.name.clone(),
            account: AccountId(environment.account),
            namespace: environment.namespace.clone(),
            selector: environment.selector.clone(),
        };
        Ok(KubernetesSettings {
            kubeconfig: self.kubeconfig.clone(),
            images: self.images()?,
            namespace: self.namespace.clone(),
            port: self.port,
            ready_timeout: self.ready_timeout.unsigned_abs(),
            stop_grace,
            environments: self.environments.iter().map(adoptable).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KubernetesConfig, String> {
        let config: KubernetesConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    fn environment(rest: &str) -> String {
        format!("[[environment]]\nname = \"shop\"\naccount = 1\nnamespace = \"shop\"\n{rest}\n")
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let config = parse("").unwrap();
        let settings = config.settings(std::time::Duration::ZERO).unwrap();
        assert_eq!((settings.kubeconfig, settings.namespace), (None, None));
        assert_eq!((settings.port, settings.ready_timeout.as_secs(), settings.environments.len()), (8080, 300, 0));
        assert!(!settings.images.allows(&"nginx".parse().unwrap()));
    }

    #[test]
    fn everything_can_be_given() {
        let text = format!(
            "kubeconfig = \"a\"\nnamespace = \"own\"\nimages = [\"shop/*\"]\nport = 80\nready_timeout = \"1m\"\n{}{}",
            environment("selector = \"app in (a, b),!test\""),
            "[[environment]]\nname = \"other\"\naccount = 2\nnamespace = \"shop\"\nselector = \"app=c\"\n",
        );
        let settings = parse(&text).unwrap().settings(std::time::Duration::ZERO).unwrap();
        assert!(settings.images.allows(&"shop/web".parse().unwrap()));
        assert_eq!(settings.environments[0].selector.as_deref(), Some("app in (a, b),!test"));
        assert_eq!(settings.environments[1].account, AccountId(2));
    }

    #[test]
    fn each_flaw_names_its_key() {
        for (text, key) in [
            ("image = []", "image"),
            ("images = [\"a\", \"B\"]", "kubernetes.images[1] "),
            ("kubeconfig = \"\"", "kubernetes.kubeconfig "),
            ("namespace = \"a_b\"", "kubernetes.namespace "),
            ("namespace = \"\"", "kubernetes.namespace "),
            ("port = 0", "kubernetes.port "),
            ("ready_timeout = \"0s\"", "kubernetes.ready_timeout "),
            ("ready_timeout = \"2h\"", "kubernetes.ready_timeout "),
            ("[[environment]]\nname = \"shop\"", "account"),
            (&environment("").replace("\"shop\"\na", "\"A\"\na"), "kubernetes.environment[0].name "),
            (&environment("").replace("= 1", "= 0"), "kubernetes.environment[0].account "),
            (&environment("").replace("space = \"shop\"", "space = \"-\""), "kubernetes.environment[0].namespace "),
            (&environment("selector = \"\""), "kubernetes.environment[0].selector "),
            (&environment("selector = \"a&b\""), "kubernetes.environment[0].selector "),
            (&environment("labels = \"a\""), "labels"),
            (&format!("{}{}", environment(""), environment("")), "kubernetes.environment[1].name "),
            (
                &format!("{}{}", environment("selector = \"a=b\""), environment("").replacen("shop", "other", 1)),
                "kubernetes.environment[1].selector ",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(key), "{key}: {error}");
        }
    }
}
