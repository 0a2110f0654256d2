use std::collections::BTreeSet;

use access::{AccountPermit, Handle};
use proto::environment::v1::rpc::{CreateGroup, EditGroup, GetGroups, RemoveGroup};
use proto::environment::v1::{
    CreateGroupRequest, CreateGroupResponse, EditGroupRequest, EditGroupResponse, EnvGroup as WireGroup,
    GetGroupsRequest, GetGroupsResponse, RemoveGroupRequest, RemoveGroupResponse,
};
use proto::{ErrorKind, Failure};

use crate::domain::EnvGroup;
use crate::grpc::Control;
use crate::grpc::control::{env_name, group_failure, storage_failure};
use crate::grpc::parameter::given;
use crate::store::GroupChange;

impl Handle<GetGroups> for Control {
    async fn handle(&self, permit: &AccountPermit, request: GetGroupsRequest) -> Result<GetGroupsResponse, Failure> {
        let array = match given(request.env_name.as_deref()) {
            Some(name) => wire(self.environment(permit, &env_name(name)?).await?.groups),
            None => all(self, permit).await?,
        };
        Ok(GetGroupsResponse { array })
    }
}

impl Handle<CreateGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: CreateGroupRequest,
    ) -> Result<CreateGroupResponse, Failure> {
        unconfined(permit)?;
        let group = named(&request.env_group, "envGroup")?;
        let made = self.operations.store.make_env_group(permit.account(), &group).await.map_err(group_failure)?;
        became(made, (&group, "envGroup"), (&group, "envGroup"))?;
        Ok(CreateGroupResponse { array: all(self, permit).await? })
    }
}

impl Handle<EditGroup> for Control {
    async fn handle(&self, permit: &AccountPermit, request: EditGroupRequest) -> Result<EditGroupResponse, Failure> {
        unconfined(permit)?;
        let from = named(&request.src_group_name, "srcGroupName")?;
        let store = &self.operations.store;
        let Some(to) = given(request.dst_group_name.as_deref()) else {
            let there = store.env_groups(permit.account()).await.map_err(storage_failure)?;
            let there = if there.contains(&from) { GroupChange::Done } else { GroupChange::NotFound };
            became(there, (&from, "srcGroupName"), (&from, "srcGroupName"))?;
            return Ok(EditGroupResponse { array: all(self, permit).await? });
        };
        let to = named(to, "dstGroupName")?;
        let renamed = store.rename_env_group(permit.account(), &from, &to).await.map_err(storage_failure)?;
        became(renamed, (&from, "srcGroupName"), (&to, "dstGroupName"))?;
        Ok(EditGroupResponse { array: all(self, permit).await? })
    }
}

impl Handle<RemoveGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: RemoveGroupRequest,
    ) -> Result<RemoveGroupResponse, Failure> {
        unconfined(permit)?;
        let group = named(&request.env_group, "envGroup")?;
        let removed =
            self.operations.store.remove_env_group(permit.account(), &group).await.map_err(storage_failure)?;
        became(removed, (&group, "envGroup"), (&group, "envGroup"))?;
        Ok(RemoveGroupResponse {})
    }
}

impl Control {
    /// Refuses to make groups under a credential that does not reach all of an account's environments: it puts those in its reach
    /// into groups that one of them is in already.
    pub(crate) async fn allow_groups(
        &self,
        permit: &AccountPermit,
        groups: &[EnvGroup],
        parameter: &'static str,
    ) -> Result<(), Failure> {
        if permit.confinement().environments.is_empty() || groups.is_empty() {
            return Ok(());
        }
        let known = groups_in_reach(self, permit).await?;
        let Some(group) = groups.iter().find(|group| !known.contains(group)) else { return Ok(()) };
        let text = format!(
            "a token that is confined to environments makes no groups, and none of its environments is in `{group}`"
        );
        let refused = Failure::new(ErrorKind::PermissionDenied, text);
        Err(refused.with("confinement", "environments").with("parameter", parameter))
    }
}

/// Refuses to change an account's groups under a credential that does not reach all of its environments.
fn unconfined(permit: &AccountPermit) -> Result<(), Failure> {
    if permit.confinement().environments.is_empty() {
        return Ok(());
    }
    let text = "a token that is confined to environments does not change the account's groups";
    Err(Failure::new(ErrorKind::PermissionDenied, text).with("confinement", "environments"))
}

fn named(text: &str, parameter: &str) -> Result<EnvGroup, Failure> {
    text.parse().map_err(|problem| Failure::invalid(parameter, problem))
}

fn became(
    change: GroupChange,
    (sought, sought_as): (&EnvGroup, &'static str),
    (wanted, wanted_as): (&EnvGroup, &'static str),
) -> Result<(), Failure> {
    match change {
        GroupChange::Done => Ok(()),
        GroupChange::NotFound => {
            let text = format!("there is no environment group `{sought}`");
            Err(Failure::new(ErrorKind::ObjectNotFound, text).with("parameter", sought_as))
        }
        GroupChange::Taken => {
            let text = format!("there is an environment group `{wanted}` already");
            Err(Failure::new(ErrorKind::AlreadyExists, text).with("parameter", wanted_as))
        }
    }
}

/// The account's groups, by name; under a credential that is confined to environments, those that one in its reach is in.
async fn all(control: &Control, permit: &AccountPermit) -> Result<Vec<WireGroup>, Failure> {
    if permit.confinement().environments.is_empty() {
        return control.operations.store.env_groups(permit.account()).await.map(wire).map_err(storage_failure);
    }
    Ok(wire(groups_in_reach(control, permit).await?.into_iter().collect()))
}

async fn groups_in_reach(control: &Control, permit: &AccountPermit) -> Result<BTreeSet<EnvGroup>, Failure> {
    let environments = control.operations.store.list(permit.account()).await.map_err(storage_failure)?;
    let reached = environments.into_iter().filter(|found| permit.confinement().reaches(found.name.as_str()));
    Ok(reached.flat_map(|environment| environment.groups).collect())
}

fn wire(groups: Vec<EnvGroup>) -> Vec<WireGroup> {
    groups.into_iter().map(|group| WireGroup { name: group.to_string(), ..WireGroup::default() }).collect()
}
