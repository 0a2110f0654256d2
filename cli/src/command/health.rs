use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Certificate, Url};
use tls::{Certificates, Connector};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::arguments::Identity;

/// How long the process may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether a process says that it serves.
pub(super) async fn ask(address: &Url, identity: &Identity) -> anyhow::Result<()> {
    let asked = async {
        if address.path() == "/" { by_grpc(address, identity).await } else { by_http(address, identity).await }
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| anyhow::bail!("no answer within {PATIENCE:?}")).with_context(|| address.to_string())
}

async fn by_grpc(address: &Url, identity: &Identity) -> anyhow::Result<()> {
    let certificates = identity.mutual().as_ref().map(Certificates::mutual).transpose()?;
    let endpoint = Endpoint::from_shared(address.to_string())?;
    let channel = endpoint.connect_with_connector(Connector::new(certificates)).await?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    let status = answer.into_inner().status();
    ensure!(status == ServingStatus::Serving, "it answers {}", status.as_str_name());
    Ok(())
}

async fn by_http(address: &Url, identity: &Identity) -> anyhow::Result<()> {
    // What a proxy says is no answer of the process.
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(file) = &identity.ca_file {
        let read = std::fs::read(file).with_context(|| file.display().to_string())?;
        client = client.tls_certs_only(Certificate::from_pem_bundle(&read)?);
    }
    let answer = client.build()?.get(address.clone()).send().await?;
    ensure!(answer.status() == 200, "it answers {}", answer.status());
    Ok(())
}
