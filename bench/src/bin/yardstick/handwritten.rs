//! What somebody would write who needs one method over REST and no rights: the floor for a gateway.

use std::net::SocketAddr;

use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use proto::environment::v1::StopEnvRequest;
use proto::environment::v1::control_client::ControlClient;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    env_name: String,
}

#[derive(Serialize)]
struct Answer {
    result: i32,
}

pub(crate) async fn serve(listen: SocketAddr, upstream: String) -> anyhow::Result<()> {
    let client = ControlClient::new(Endpoint::from_shared(upstream)?.tcp_nodelay(true).connect_lazy());
    let app = Router::new().route("/1.0/environment/control/rest/stopenv", get(stop_env)).with_state(client);
    let listener = TcpListener::bind(listen).await?.tap_io(|stream| {
        // As the gateway does: an answer is one small packet.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}

async fn stop_env(
    State(mut client): State<ControlClient<Channel>>,
    Query(Parameters { env_name }): Query<Parameters>,
) -> Result<impl IntoResponse, StatusCode> {
    client.stop_env(StopEnvRequest { env_name }).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let headers = [
        (CONTENT_TYPE, "application/json; charset=utf-8".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (HeaderName::from_static("x-request-id"), Uuid::now_v7().to_string()),
    ];
    Ok((headers, Json(Answer { result: 0 })))
}
