use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::{RestartNodeById, RestartNodes};
use proto::environment::v1::{
    RestartNodeByIdRequest, RestartNodeByIdResponse, RestartNodesRequest, RestartNodesResponse,
};

use crate::domain::{EnvName, NodeId, Selection};
use crate::grpc::Control;
use crate::grpc::control::{RESTARTED, begin_failure, env_name, not_running, selection_failure, up_failure};
use crate::grpc::parameter::selection;
use crate::operation::RestartError;

impl Handle<RestartNodes> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: RestartNodesRequest,
    ) -> Result<RestartNodesResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let nodes = selection(request.node_id, request.node_group.as_deref())?.unwrap_or(Selection::All);
        let restarted = self.operations.restart(permit.account(), name.clone(), nodes).await;
        restarted.map_err(|error| failure(&name, error))?;
        Ok(RestartNodesResponse {})
    }
}

impl Handle<RestartNodeById> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: RestartNodeByIdRequest,
    ) -> Result<RestartNodeByIdResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let node = Selection::Node(NodeId(request.node_id));
        let restarted = self.operations.restart(permit.account(), name.clone(), node).await;
        restarted.map_err(|error| failure(&name, error))?;
        Ok(RestartNodeByIdResponse {})
    }
}

fn failure(name: &EnvName, error: RestartError) -> Failure {
    match error {
        RestartError::Begin(error) => begin_failure(name, RESTARTED, error),
        RestartError::Selection(error) => selection_failure(error),
        RestartError::NotRunning(desired) => not_running(name, RESTARTED, desired),
        RestartError::Up(error) => up_failure(name, error),
        error @ RestartError::Torn(_) => Failure::internal(error),
    }
}
