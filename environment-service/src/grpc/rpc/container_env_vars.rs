use std::collections::HashMap;

use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::{
    AddContainerEnvVars, GetContainerEnvVars, GetContainerEnvVarsByGroup, RemoveContainerEnvVars, SetContainerEnvVars,
    SetContainerEnvVarsByGroup,
};
use proto::environment::v1::{
    AddContainerEnvVarsRequest, AddContainerEnvVarsResponse, GetContainerEnvVarsByGroupRequest,
    GetContainerEnvVarsByGroupResponse, GetContainerEnvVarsRequest, GetContainerEnvVarsResponse,
    RemoveContainerEnvVarsRequest, RemoveContainerEnvVarsResponse, SetContainerEnvVarsByGroupRequest,
    SetContainerEnvVarsByGroupResponse, SetContainerEnvVarsRequest, SetContainerEnvVarsResponse,
};

use crate::domain::{NodeId, Selection, Variables};
use crate::grpc::Control;
use crate::grpc::control::{env_name, selection_failure, update_failure};
use crate::grpc::parameter::{node_group, selection, variables};
use crate::operation::VariablesChange;

impl Handle<AddContainerEnvVars> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: AddContainerEnvVarsRequest,
    ) -> Result<AddContainerEnvVarsResponse, Failure> {
        let nodes = given(selection(request.node_id, request.node_group.as_deref())?)?;
        let added = VariablesChange::Add(variables(request.vars, "vars")?);
        change(self, permit, &request.env_name, nodes, added, "vars").await?;
        Ok(AddContainerEnvVarsResponse {})
    }
}

impl Handle<RemoveContainerEnvVars> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: RemoveContainerEnvVarsRequest,
    ) -> Result<RemoveContainerEnvVarsResponse, Failure> {
        let nodes = given(selection(request.node_id, request.node_group.as_deref())?)?;
        Variables::check_names(&request.vars).map_err(|problem| Failure::invalid("vars", problem))?;
        change(self, permit, &request.env_name, nodes, VariablesChange::Remove(request.vars), "vars").await?;
        Ok(RemoveContainerEnvVarsResponse {})
    }
}

impl Handle<SetContainerEnvVars> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: SetContainerEnvVarsRequest,
    ) -> Result<SetContainerEnvVarsResponse, Failure> {
        let node = Selection::Node(NodeId(request.node_id));
        let set = VariablesChange::Set(variables(request.vars, "vars")?);
        change(self, permit, &request.env_name, node, set, "vars").await?;
        Ok(SetContainerEnvVarsResponse {})
    }
}

impl Handle<SetContainerEnvVarsByGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: SetContainerEnvVarsByGroupRequest,
    ) -> Result<SetContainerEnvVarsByGroupResponse, Failure> {
        let group = Selection::Group(node_group(&request.node_group)?);
        let set = VariablesChange::Set(variables(request.data, "data")?);
        change(self, permit, &request.env_name, group, set, "data").await?;
        Ok(SetContainerEnvVarsByGroupResponse {})
    }
}

impl Handle<GetContainerEnvVars> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: GetContainerEnvVarsRequest,
    ) -> Result<GetContainerEnvVarsResponse, Failure> {
        let node = Selection::Node(NodeId(request.node_id));
        Ok(GetContainerEnvVarsResponse { object: read(self, permit, &request.env_name, node).await? })
    }
}

impl Handle<GetContainerEnvVarsByGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: GetContainerEnvVarsByGroupRequest,
    ) -> Result<GetContainerEnvVarsByGroupResponse, Failure> {
        let group = Selection::Group(node_group(&request.node_group)?);
        Ok(GetContainerEnvVarsByGroupResponse { object: read(self, permit, &request.env_name, group).await? })
    }
}

fn given(selection: Option<Selection>) -> Result<Selection, Failure> {
    selection.ok_or_else(|| Failure::invalid("nodeGroup", "or `nodeId` must be given"))
}

async fn change(
    control: &Control,
    permit: &AccountPermit,
    name: &str,
    nodes: Selection,
    change: VariablesChange,
    parameter: &str,
) -> Result<(), Failure> {
    let name = env_name(name)?;
    let changed = control.operations.change_variables(permit.account(), name.clone(), nodes, change).await;
    changed.map_err(|error| update_failure(&name, parameter, error))
}

async fn read(
    control: &Control,
    permit: &AccountPermit,
    name: &str,
    nodes: Selection,
) -> Result<HashMap<String, String>, Failure> {
    let environment = control.environment(permit, &env_name(name)?).await?;
    let node = nodes.of(&environment).map_err(selection_failure)?.remove(0);
    Ok(node.workload.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
