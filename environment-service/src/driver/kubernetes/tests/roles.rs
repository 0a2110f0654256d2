//! What the account of the manifest may not do; all other tests show what it may.

use http::Method;
use serde_json::json;

use super::stage::{LONG, Stage, environment, of, order};
use super::*;

#[tokio::test]
async fn nothing_else_is_allowed() {
    let stage = Stage::new("roles").await;
    stage.make_shop(0).await;
    let core = |namespace: &str, resource: &str| format!("/api/v1/namespaces/{namespace}/{resource}");
    let apps = |namespace: &str, resource: &str| format!("/apis/apps/v1/namespaces/{namespace}/{resource}");
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let mut refused = vec![
        (Method::GET, "/api/v1/nodes".to_owned()),
        (Method::GET, "/api/v1/namespaces".to_owned()),
        (Method::GET, "/api/v1/secrets".to_owned()),
        (Method::GET, "/api/v1/pods".to_owned()),
        (Method::POST, "/api/v1/namespaces".to_owned()),
        (Method::GET, format!("{rbac}/clusterroles")),
        (Method::POST, format!("{rbac}/clusterrolebindings")),
        (Method::GET, core("default", "pods")),
        (Method::GET, core("kube-system", "secrets")),
        (Method::GET, apps("default", "deployments")),
        (Method::GET, apps("roles-service", "deployments")),
        (Method::POST, core("roles-service", "serviceaccounts/environment-service/token")),
        // What was there before is neither made nor removed.
        (Method::POST, apps("roles", "deployments")),
        (Method::PUT, apps("roles", "deployments/web")),
        (Method::DELETE, apps("roles", "deployments/web")),
        (Method::DELETE, apps("roles", "deployments")),
        (Method::DELETE, apps("roles", "statefulsets/db")),
        (Method::POST, core("roles", "services")),
        (Method::PATCH, apps("roles-nodes", "statefulsets/db")),
        (Method::DELETE, "/apis/batch/v1beta1/namespaces/roles/cronjobs/tick".to_owned()),
        (Method::POST, "/apis/batch/v1/namespaces/roles/jobs".to_owned()),
    ];
    for namespace in ["roles", "roles-nodes"] {
        for resource in ["secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims", "events", "endpoints"] {
            refused.push((Method::GET, core(namespace, resource)));
        }
        refused.push((Method::POST, core(namespace, "pods")));
        refused.push((Method::DELETE, core(namespace, "pods/a")));
        refused.push((Method::POST, core(namespace, "pods/a/eviction")));
        refused.push((Method::POST, core(namespace, "pods/a/attach")));
        refused.push((Method::POST, core(namespace, "pods/a/portforward")));
        refused.push((Method::POST, format!("{rbac}/namespaces/{namespace}/rolebindings")));
        refused.push((Method::GET, format!("{rbac}/namespaces/{namespace}/roles")));
    }
    for (method, url) in refused {
        let body = if method == Method::GET { Vec::new() } else { json!({}).to_string().into_bytes() };
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method.clone()).uri(&url).header("content-type", kind);
        let answer = stage.driver.client.request_text(request.body(body).unwrap()).await;
        assert!(matches!(&answer, Err(kube::Error::Api(status)) if status.code == 403), "{method} {url}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_told_without_names_of_the_cluster() {
    let mut stage = Stage::new("forbidden").await;
    stage.with(|settings| settings.namespace = Some("default".to_owned())).await;
    let error = Driver::launch(&stage.driver, &order(7, "1")).await.unwrap_err();
    assert!(
        matches!(&error, LaunchError::Failed(text, _) if text == "Kubernetes does not allow it to the service"),
        "{error:?}"
    );
    let instance = Some(Instance("own/default/deployment/my-shop-7".to_owned()));
    let launch = Launch { id: order(7, "1").launch, instance };
    assert_eq!(stage.seen(&launch).await, Observed::Unknown);
    assert!(matches!(stage.driver.end(&[launch]).await, Err(EndError::Failed(..))));
}

#[tokio::test]
async fn commands_and_logs_go_to_the_first_pod_that_is_ready() {
    let stage = Stage::new("inside").await;
    let order = of("deployment/web");
    let launch = Launch { id: order.launch, instance: Some(Instance("adopted/shop/deployment/web".to_owned())) };
    stage.make::<Deployment>(stage::workload("web", 1)).await;
    let environment = environment(&order, Some(launch));
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };
    let command = Command { program: "true".to_owned(), arguments: Vec::new(), time: LONG, most_output: 100 };
    assert!(matches!(Driver::exec(&stage.driver, node, &command).await, Err(NodeError::NotRunning)));
    assert!(matches!(Driver::logs(&stage.driver, node).await, Err(NodeError::NotRunning)));
    let kubelet = stage.kubelet();
    let logs = testkit::eventually("it is ready", LONG, async || Driver::logs(&stage.driver, node).await.ok()).await;
    assert_eq!(logs.iter().map(|log| log.path.as_str()).collect::<Vec<_>>(), ["proxy.log", "main.log"]);
    drop(kubelet);
    // The pod is on no machine, which the server tells.
    let window = Window { from: None, count: 100 };
    for path in ["other.log", "main", "", "../main.log"] {
        assert!(matches!(Driver::read_log(&stage.driver, node, path, window).await, Err(NodeError::NoFile)), "{path}");
    }
    let error = Driver::read_log(&stage.driver, node, "main.log", window).await;
    assert!(matches!(&error, Ok(log) if log.is_empty()), "{error:?}");
    let error = Driver::exec(&stage.driver, node, &command).await.unwrap_err();
    assert!(matches!(&error, NodeError::Refused(text) if text.contains("does not have a host")), "{error:?}");
    let error = Driver::read_file(&stage.driver, node, "/etc/hostname", 100).await.unwrap_err();
    assert!(matches!(&error, NodeError::Refused(_)), "{error:?}");
}
