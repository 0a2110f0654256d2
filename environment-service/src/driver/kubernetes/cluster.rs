//! The API server: every request has its time, and what it answers is told apart by what there is to be done about it.

use std::error::Error;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{ListParams, ObjectList};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::driver::{ClearError, EndError, LaunchError, NodeError, ScanError};

/// What it is called in errors.
const NAME: &str = "Kubernetes";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

type Cause = Box<dyn Error + Send + Sync>;

/// Why the cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// The file is none.
    #[error("the kubeconfig {0} cannot be used")]
    Kubeconfig(PathBuf, #[source] KubeconfigError),
    /// Without a file, the service has to be in the cluster.
    #[error("there is no kubeconfig, and the service does not run in a cluster")]
    InCluster(#[source] InClusterError),
    /// There is no client for what is configured.
    #[error("there is no client for the cluster")]
    Client(#[source] kube::Error),
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The API server does not answer.
    #[error("Kubernetes does not answer")]
    Unreachable(#[source] Cause),
    /// There is no such object.
    #[error("it is not there any more")]
    NotFound,
    /// Somebody changed the object meanwhile, or made it.
    #[error("it was changed by others again and again")]
    Conflict,
    /// The API server refuses; the text is for the caller.
    #[error("{0}")]
    Refused(String, #[source] Cause),
}

/// A refusal of our own.
#[derive(Debug, thiserror::Error)]
#[error("the driver refused it")]
struct Own;

impl Fault {
    pub(super) fn refused(text: String) -> Self {
        Self::Refused(text, Box::new(Own))
    }
}

/// Makes a client. Nothing is asked yet.
pub(super) async fn client(kubeconfig: Option<&PathBuf>) -> Result<Client, KubernetesError> {
    let mut config = match kubeconfig {
        Some(file) => {
            let wrong = |error| KubernetesError::Kubeconfig(file.clone(), error);
            let content = Kubeconfig::read_from(file).map_err(wrong)?;
            Config::from_custom_kubeconfig(content, &KubeConfigOptions::default()).await.map_err(wrong)?
        }
        None => Config::incluster().map_err(KubernetesError::InCluster)?,
    };
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(KubernetesError::Client)
}

/// Waits for an answer, but not for ever.
pub(super) async fn ask<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(elapsed) => Err(Fault::Unreachable(elapsed.into())),
    }
}

/// Lists objects of a namespace by their labels, and by one name where it is given.
pub(super) async fn list<K>(
    client: &Client,
    namespace: &str,
    labels: &str,
    name: Option<&str>,
) -> Result<ObjectList<K>, Fault>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let params = params(labels, name);
    ask(Api::<K>::namespaced(client.clone(), namespace).list(&params)).await
}

/// What is asked for in a list.
pub(super) fn params(labels: &str, name: Option<&str>) -> ListParams {
    let params = ListParams::default().labels(labels);
    name.map_or(params.clone(), |name| params.fields(&format!("metadata.name={name}")))
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else { return Self::Unreachable(error.into()) };
        let text = match status.code {
            404 => return Self::NotFound,
            409 => return Self::Conflict,
            429 | 500.. => return Self::Unreachable(error.into()),
            401 => "Kubernetes does not take the credentials of the service".to_owned(),
            // Who the service is there is for the log.
            403 if !status.message.contains("exceeded quota") => {
                "Kubernetes does not allow it to the service".to_owned()
            }
            _ => status.message.clone(),
        };
        Self::Refused(text, error.into())
    }
}

impl From<Fault> for LaunchError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreachable(cause) => Self::Unreachable(NAME, cause),
            other => Self::Failed(other.to_string(), other.into()),
        }
    }
}

impl From<Fault> for EndError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreachable(cause) => Self::Unreachable(NAME, cause),
            other => Self::Failed(other.to_string(), other.into()),
        }
    }
}

impl From<Fault> for ClearError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreachable(cause) => Self::Unreachable(NAME, cause),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<Fault> for NodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreachable(cause) => Self::Unreachable(NAME, cause),
            Fault::NotFound => Self::NotRunning,
            Fault::Refused(text, cause) => {
                tracing::warn!(
                    text,
                    cause = &*cause as &(dyn Error + 'static),
                    "the cluster refused something about a node"
                );
                Self::Refused(text)
            }
            Fault::Conflict => Self::Failed(fault.into()),
        }
    }
}

impl From<Fault> for ScanError {
    /// What may not be seen is not seen either.
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreachable(cause) => Self::Unreachable(NAME, cause),
            other => Self::Unreachable(NAME, other.into()),
        }
    }
}
