use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Url;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long the process may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether a process says that it serves.
pub(super) async fn ask(address: &Url) -> anyhow::Result<()> {
    let asked = async { if address.path() == "/" { by_grpc(address).await } else { by_http(address).await } };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| anyhow::bail!("no answer within {PATIENCE:?}")).with_context(|| address.to_string())
}

async fn by_grpc(address: &Url) -> anyhow::Result<()> {
    let channel = Endpoint::from_shared(address.to_string())?.connect().await?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    let status = answer.into_inner().status();
    ensure!(status == ServingStatus::Serving, "it answers {}", status.as_str_name());
    Ok(())
}

async fn by_http(address: &Url) -> anyhow::Result<()> {
    // What a proxy says is no answer of the process.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(address.clone()).send().await?;
    ensure!(answer.status() == 200, "it answers {}", answer.status());
    Ok(())
}
