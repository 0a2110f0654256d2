use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::GetEnvs;
use proto::environment::v1::{GetEnvsRequest, GetEnvsResponse};

use crate::grpc::Control;
use crate::grpc::answer;
use crate::grpc::control::storage_failure;

impl Handle<GetEnvs> for Control {
    async fn handle(&self, permit: &AccountPermit, _: GetEnvsRequest) -> Result<GetEnvsResponse, Failure> {
        let environments = self.operations.store.list(permit.account()).await.map_err(storage_failure)?;
        let mut infos = Vec::new();
        let reach = permit.confinement();
        for environment in environments.into_iter().filter(|environment| reach.reaches(environment.name.as_str())) {
            let seen = self.operations.observe(&environment).await;
            infos.push(answer::info(&environment, &seen));
        }
        Ok(GetEnvsResponse { infos })
    }
}
