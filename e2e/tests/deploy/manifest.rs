use std::process::Command;

use serde_json::Value;

use crate::path;

/// An object of `deploy/kubernetes`, as Kustomize tells it.
pub(crate) struct Manifest {
    pub(crate) text: String,
    pub(crate) object: Value,
}

/// All of them.
pub(crate) fn manifests() -> Vec<Manifest> {
    let told = Command::new("kubectl").arg("kustomize").arg(path("deploy/kubernetes")).output();
    let told = told.expect(
        "Debian's package `kubernetes-client` is installed (`cargo xtask test --kubernetes` does it, where it may)",
    );
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).unwrap();
    text.split("\n---\n").map(Manifest::read).collect()
}

impl Manifest {
    fn read(text: &str) -> Self {
        let object = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        Self { text: text.to_owned(), object }
    }

    pub(crate) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap()
    }

    /// Where the API server has it.
    pub(crate) fn url(&self) -> String {
        let version = self.object["apiVersion"].as_str().unwrap();
        let root = if version.contains('/') { "apis" } else { "api" };
        let plural = match self.kind() {
            "NetworkPolicy" => "networkpolicies".to_owned(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        let namespace = self.object["metadata"]["namespace"].as_str();
        let place = namespace.map_or_else(String::new, |namespace| format!("namespaces/{namespace}/"));
        format!("/{root}/{version}/{place}{plural}/{}", self.name())
    }

    /// The pods that it makes, where it makes any.
    pub(crate) fn pods(&self) -> Option<&Value> {
        matches!(self.kind(), "Deployment" | "Job").then(|| &self.object["spec"]["template"])
    }

    /// Whether a selector by labels, of `matchLabels` or plain, fits its pods.
    pub(crate) fn is_selected(&self, selector: &Value) -> bool {
        let Some(pods) = self.pods() else { return false };
        let labels = &pods["metadata"]["labels"];
        let plain = selector.get("matchLabels").unwrap_or(selector);
        let fits = |(name, value): (&String, &Value)| name == "matchExpressions" || labels[name] == *value;
        let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
        let listed = |expression: &Value| {
            let label = &labels[expression["key"].as_str().unwrap()];
            expression["operator"] == "In" && expression["values"].as_array().unwrap().contains(label)
        };
        plain.as_object().unwrap().iter().all(fits) && expressions.into_iter().all(listed)
    }
}
