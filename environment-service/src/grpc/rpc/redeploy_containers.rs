use access::{AccountPermit, Handle};
use proto::environment::v1::rpc::{RedeployContainerById, RedeployContainersByGroup};
use proto::environment::v1::{
    NodeResponse, RedeployContainerByIdRequest, RedeployContainerByIdResponse, RedeployContainersByGroupRequest,
    RedeployContainersByGroupResponse,
};
use proto::{ErrorKind, Failure};

use crate::domain::{EnvName, NodeId, Selection};
use crate::driver::LaunchError;
use crate::grpc::Control;
use crate::grpc::control::{begin_failure, env_name, not_ours, selection_failure, storage_failure};
use crate::grpc::parameter::node_group;
use crate::operation::RedeployError;

impl Handle<RedeployContainerById> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: RedeployContainerByIdRequest,
    ) -> Result<RedeployContainerByIdResponse, Failure> {
        let node = Selection::Node(NodeId(request.node_id));
        let responses = redeploy(self, permit, &request.env_name, node, &request.tag).await?;
        Ok(RedeployContainerByIdResponse { responses })
    }
}

impl Handle<RedeployContainersByGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: RedeployContainersByGroupRequest,
    ) -> Result<RedeployContainersByGroupResponse, Failure> {
        let group = Selection::Group(node_group(&request.node_group)?);
        let responses = redeploy(self, permit, &request.env_name, group, &request.tag).await?;
        Ok(RedeployContainersByGroupResponse { responses })
    }
}

async fn redeploy(
    control: &Control,
    permit: &AccountPermit,
    name: &str,
    nodes: Selection,
    tag: &str,
) -> Result<Vec<NodeResponse>, Failure> {
    let name = env_name(name)?;
    let version = tag.parse().map_err(|problem| Failure::invalid("tag", problem))?;
    let done = control.operations.redeploy(permit.account(), name.clone(), nodes, version).await;
    let nodes = done.map_err(|error| failure(&name, error))?;
    let answer = |node: NodeId| NodeResponse { result: 0, out: format!("version {tag}"), nodeid: node.0 };
    Ok(nodes.into_iter().map(answer).collect())
}

fn failure(name: &EnvName, error: RedeployError) -> Failure {
    match error {
        RedeployError::Begin(error) => begin_failure(name, "redeployed", error),
        RedeployError::NotOurs(error) => not_ours(name, "redeployed", error),
        RedeployError::Selection(error) => selection_failure(error),
        RedeployError::Unfit(unfit) => Failure::invalid("tag", unfit),
        RedeployError::Prepare(LaunchError::Unreachable(what, error)) => Failure::unavailable(what, error),
        RedeployError::Storage(error) => storage_failure(error),
        error @ (RedeployError::Prepare(_) | RedeployError::RolledBack(_) | RedeployError::Lost(_)) => {
            let text = format!("environment `{name}` was not redeployed: {error}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(error)
        }
        error @ (RedeployError::Driver(_) | RedeployError::Torn(_)) => Failure::internal(error),
    }
}
