use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::SleepEnv;
use proto::environment::v1::{SleepEnvRequest, SleepEnvResponse};

use crate::grpc::Control;
use crate::grpc::control::{env_name, stop_failure};

impl Handle<SleepEnv> for Control {
    async fn handle(&self, permit: &AccountPermit, request: SleepEnvRequest) -> Result<SleepEnvResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let asleep = self.operations.sleep(permit.account(), name.clone()).await;
        asleep.map_err(|error| stop_failure(&name, "put to sleep", error))?;
        Ok(SleepEnvResponse {})
    }
}
