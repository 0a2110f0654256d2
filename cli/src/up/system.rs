use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use access::{AccountId, CredentialHash};
use anyhow::Context;
use lifecycle::Lifecycle;
use proto::catalog::ServiceRole;
use token_service::{Login, NewAccount, NewPassword, ServiceKeyConfig};
use tokio::task::JoinHandle;

use super::data::DataFolder;
use crate::arguments::Up;

/// The three services, listening, and not serving yet.
pub(super) struct System {
    token_config: token_service::Config,
    token: (token_service::Service, Lifecycle),
    environment: (environment_service::Service, Lifecycle),
    gateway: (api_gateway::Gateway, Lifecycle),
    lifecycle: Lifecycle,
}

/// The three services, serving.
pub(super) struct Running {
    /// In the order in which they end: no service goes before those that call it.
    services: [(JoinHandle<anyhow::Result<()>>, Lifecycle); 3],
    lifecycle: Lifecycle,
}

/// Where services listen for each other: on the loopback, wherever there is room.
fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl System {
    pub(super) async fn bind(options: &Up, data: &DataFolder, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let (gateway_key, gateway_hash) = data.service_key("api-gateway")?;
        let (environment_key, environment_hash) = data.service_key("environment-service")?;

        let mut token_config = token_service::Config::new(data.database("token.db"), data.signing_key()?);
        token_config.listen = anywhere();
        token_config.second_factor_key_file = Some(data.second_factor_key()?);
        let entry = |name: &str, role, hash: CredentialHash| ServiceKeyConfig {
            name: name.to_owned(),
            role,
            sha256: hash.to_string(),
        };
        token_config.service_keys = vec![
            entry("api-gateway", ServiceRole::Gateway, gateway_hash),
            entry("environment-service", ServiceRole::Executor, environment_hash),
        ];
        token_service::migrate(&token_config).await.context("token-service")?;
        let stages = [Lifecycle::new(), Lifecycle::new(), Lifecycle::new()];
        let [token_stage, environment_stage, gateway_stage] = stages;
        let token = token_service::Service::bind(token_config.clone(), token_stage.clone()).await;
        let token = token.context("token-service")?;
        let authority = format!("http://{}", token.local_addr());

        let mut environment_config = environment_service::Config::new(
            data.database("environment.db"),
            authority.clone(),
            environment_key,
            data.nodes(),
        );
        environment_config.listen = anywhere();
        let templates = data.templates()?;
        environment_config.exec_commands = templates.exec_commands;
        environment_config.node_limits = templates.node_limits;
        environment_config.templates = templates.template;
        if options.stop_environments {
            environment_config.on_shutdown = environment_service::OnShutdown::Stop;
        }
        environment_service::migrate(&environment_config).await.context("environment-service")?;
        let environment = environment_service::Service::bind(environment_config, environment_stage.clone()).await;
        let environment = environment.context("environment-service")?;

        let upstreams = [
            ("token-service".to_owned(), authority),
            ("environment-service".to_owned(), format!("http://{}", environment.local_addr())),
        ];
        let mut gateway_config = api_gateway::Config::new(gateway_key, upstreams.into());
        gateway_config.listen = options.listen;
        gateway_config.allow_plaintext = options.allow_plaintext;
        let gateway = api_gateway::Gateway::bind(gateway_config, gateway_stage.clone()).await.context("api-gateway")?;
        Ok(Self {
            token_config,
            token: (token, token_stage),
            environment: (environment, environment_stage),
            gateway: (gateway, gateway_stage),
            lifecycle: lifecycle.clone(),
        })
    }

    /// Where the API is served.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.gateway.0.local_addr())
    }

    /// Whether there is an account already.
    pub(super) async fn has_accounts(&self) -> anyhow::Result<bool> {
        token_service::has_accounts(&self.token_config).await.context("token-service")
    }

    pub(super) async fn create_account(&self, account: NewAccount) -> anyhow::Result<AccountId> {
        token_service::create_account(&self.token_config, account).await.context("token-service")
    }

    pub(super) async fn set_password(&self, login: &Login, password: NewPassword) -> anyhow::Result<()> {
        token_service::set_password(&self.token_config, login, password).await.context("token-service")
    }

    /// Begins to serve.
    pub(super) fn start(self) -> Running {
        let Self { token, environment, gateway, lifecycle, .. } = self;
        let services = [
            (serve("api-gateway", gateway.0.serve(), &lifecycle), gateway.1),
            (serve("environment-service", environment.0.serve(), &lifecycle), environment.1),
            (serve("token-service", token.0.serve(), &lifecycle), token.1),
        ];
        Running { services, lifecycle }
    }
}

/// Runs a service. One that ends by itself takes the others along.
fn serve<E: Into<anyhow::Error>>(
    name: &'static str,
    service: impl Future<Output = Result<(), E>> + Send + 'static,
    lifecycle: &Lifecycle,
) -> JoinHandle<anyhow::Result<()>> {
    let whole = lifecycle.clone();
    lifecycle.spawn(name, async move {
        let ended = service.await.map_err(Into::into).context(name);
        whole.begin_drain();
        ended
    })
}

impl Running {
    /// Waits for the drain, and then drains one service after the other.
    pub(super) async fn ended(self, grace: Duration) -> anyhow::Result<()> {
        self.lifecycle.draining().await;
        let mut result = Ok(());
        for (service, stage) in self.services {
            stage.begin_drain();
            let ended = tokio::select! {
                ended = service => ended.context("a service panicked").and_then(|ended| ended),
                () = self.lifecycle.aborted() => Err(anyhow::anyhow!("stopped before everything had ended")),
                () = tokio::time::sleep(grace) => Err(anyhow::anyhow!("a service did not end in time")),
            };
            let drained = stage.drained(grace).await.context("a service did not drain");
            result = result.and(ended).and(drained);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that ends when it is told to.
    fn obedient(lifecycle: &Lifecycle) -> (JoinHandle<anyhow::Result<()>>, Lifecycle) {
        let stage = Lifecycle::new();
        let draining = stage.draining();
        let service = async move {
            draining.await;
            anyhow::Ok(())
        };
        (serve("obedient", service, lifecycle), stage)
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_end_holds_nothing_up_for_ever() {
        let lifecycle = Lifecycle::new();
        let endless = serve("endless", std::future::pending::<anyhow::Result<()>>(), &lifecycle);
        let services = [obedient(&lifecycle), (endless, Lifecycle::new()), obedient(&lifecycle)];
        lifecycle.begin_drain();
        let started = tokio::time::Instant::now();
        let ended = Running { services, lifecycle }.ended(Duration::from_secs(60)).await;
        assert_eq!(ended.unwrap_err().to_string(), "a service did not end in time");
        assert_eq!(started.elapsed(), Duration::from_secs(60), "the others took no time");
    }
}
