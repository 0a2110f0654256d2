use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::CloneEnv;
use proto::environment::v1::{CloneEnvRequest, CloneEnvResponse, EnvironmentInfo};

use crate::domain::{EnvName, EnvironmentSpec, Operation};
use crate::grpc::Control;
use crate::grpc::answer;
use crate::grpc::control::{create_failure, not_found_as, storage_failure};

impl Handle<CloneEnv> for Control {
    async fn handle(&self, permit: &AccountPermit, request: CloneEnvRequest) -> Result<CloneEnvResponse, Failure> {
        let name = |text: &str, parameter| -> Result<EnvName, Failure> {
            text.parse().map_err(|problem| Failure::invalid(parameter, problem))
        };
        let source = name(&request.src_env_name, "srcEnvName")?;
        let copy = name(&request.dst_env_name, "dstEnvName")?;
        let found = self.look(permit, &source).await.map_err(storage_failure)?;
        let (original, _) = found.ok_or_else(|| not_found_as(&source, "srcEnvName"))?;
        let spec = EnvironmentSpec::copy_of(&original, copy.clone());
        let spec = spec.map_err(|problem| Failure::invalid("srcEnvName", problem))?;
        let driver = self.driver_for(&spec)?;
        let made = self.operations.create(permit.account(), spec, driver, Operation::Clone).await;
        made.map_err(|error| create_failure(&copy, "dstEnvName", error))?;
        let found = self.look(permit, &copy).await.map_err(storage_failure)?;
        let (environment, seen) = found.ok_or_else(|| not_found_as(&copy, "dstEnvName"))?;
        let EnvironmentInfo { env, nodes, node_groups, env_groups, right } = answer::info(&environment, &seen);
        Ok(CloneEnvResponse { env, nodes, node_groups, env_groups, right })
    }
}
