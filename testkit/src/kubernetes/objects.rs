use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

use super::KubernetesApi;

/// Long enough for any test.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

impl KubernetesApi {
    /// Makes a namespace.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn namespace(&self, name: &str) {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let api = Api::<Namespace>::all(self.client(self.admin_token()).await);
        api.create(&PostParams::default(), &namespace).await.expect("the server takes a namespace");
    }

    /// Makes the service accounts, roles and bindings of a manifest, as `kubectl create -f` does. The server itself reads the
    /// YAML.
    ///
    /// # Panics
    /// Where the server refuses one, or there are other objects in it.
    pub async fn create_roles(&self, manifest: &str) {
        let client = self.client(self.admin_token()).await;
        for document in manifest.split("\n---\n") {
            let field = |name: &str| {
                let line = document.lines().find_map(|line| line.trim_start().strip_prefix(name));
                line.unwrap_or_else(|| panic!("no `{name}` in:\n{document}")).trim()
            };
            let (group, resource) = match field("kind:") {
                "ServiceAccount" => ("api/v1", "serviceaccounts"),
                "Role" => ("apis/rbac.authorization.k8s.io/v1", "roles"),
                "RoleBinding" => ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
                other => panic!("a {other} is no role"),
            };
            let url = format!("/{group}/namespaces/{}/{resource}", field("namespace:"));
            let request = http::Request::post(url).header("content-type", "application/yaml");
            let request = request.body(document.as_bytes().to_vec()).expect("a plain request");
            client.request_text(request).await.unwrap_or_else(|error| panic!("{error}:\n{document}"));
        }
    }

    /// A token of a service account.
    ///
    /// # Panics
    /// Where there is no such account.
    pub async fn account_token(&self, namespace: &str, account: &str) -> String {
        let api = Api::<ServiceAccount>::namespaced(self.client(self.admin_token()).await, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: i64::try_from(TOKEN_LIFETIME.as_secs()).ok(),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let made: Result<TokenRequest, _> =
            api.create_subresource("token", account, &PostParams::default(), &request).await;
        made.expect("the server makes a token").status.expect("it was made").token
    }
}
