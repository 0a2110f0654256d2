use access::{AccountPermit, Handle};
use proto::environment::v1::rpc::CreateEnvironment;
use proto::environment::v1::{self as wire, CreateEnvironmentRequest, CreateEnvironmentResponse};
use proto::{ErrorKind, Failure};

use crate::domain::{
    DisplayName, EnvName, EnvironmentSpec, NodeCount, NodeGroupName, NodeSpec, NodeType, Operation, Tag, Workload,
};
use crate::grpc::Control;
use crate::grpc::answer;
use crate::grpc::control::{create_failure, storage_failure};
use crate::grpc::parameter::{cloudlets, env_groups, given, variables};

/// The one region that there is.
const REGION: &str = "default";

impl Handle<CreateEnvironment> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: CreateEnvironmentRequest,
    ) -> Result<CreateEnvironmentResponse, Failure> {
        let spec = environment(request, self.node_types())?;
        self.allow_groups(permit, spec.groups(), "envGroups").await?;
        let driver = self.driver_for(permit.account(), &spec)?;
        let name = spec.name().clone();
        let created = self.operations.create(permit.account(), spec, driver, Operation::Create).await;
        created.map_err(|error| create_failure(&name, "env.shortdomain", error))?;
        let found = self.look(permit, &name).await.map_err(storage_failure)?;
        let (environment, seen) = found.ok_or_else(|| gone(&name))?;
        Ok(CreateEnvironmentResponse {
            env: Some(answer::env(&environment, &seen)),
            nodes: answer::nodes(&environment, &seen, &self.answered_types),
        })
    }
}

/// Somebody deleted it in the moment after it was made.
fn gone(name: &EnvName) -> Failure {
    Failure::new(ErrorKind::EnvironmentNotFound, format!("environment `{name}` was made and deleted again"))
}

fn environment(request: CreateEnvironmentRequest, node_types: &[NodeType]) -> Result<EnvironmentSpec, Failure> {
    let env = request.env.ok_or_else(|| Failure::invalid("env", "must be given"))?;
    let name = env.shortdomain.parse().map_err(|problem| Failure::invalid("env.shortdomain", problem))?;
    if given(env.region.as_deref()).is_some_and(|region| region != REGION) {
        return Err(Failure::invalid("env.region", format!("must be `{REGION}`")));
    }
    let display_name = display_name(env.display_name.as_deref(), "env.displayName")?;
    let nodes = request.nodes.iter().enumerate().map(|(index, node)| self::node(index, node, node_types));
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    let spec = EnvironmentSpec::new(name, nodes).map_err(|problem| Failure::invalid("nodes", problem))?;
    let groups = env_groups(&request.env_groups, "envGroups")?;
    Ok(spec.with_display_name(display_name).with_wishes(env.ishaenabled, env.sslstate).with_groups(groups))
}

fn node(index: usize, node: &wire::NodeSpec, node_types: &[NodeType]) -> Result<NodeSpec, Failure> {
    let key = |field: &str| format!("nodes[{index}].{field}");
    let workload = workload(node, key, node_types)?;
    let workload = match node.env.is_empty() {
        true => workload,
        false => Workload { variables: variables(node.env.clone(), &key("env"))?, ..workload },
    };
    let of_image = node.docker.as_ref().and_then(|docker| docker.node_group.as_deref());
    let (group, group_key) = match given(node.node_group.as_deref()) {
        Some(group) => (Some(group), key("nodeGroup")),
        None => (given(of_image), key("docker.nodeGroup")),
    };
    let group = group.map(str::parse).transpose().map_err(|problem| Failure::invalid(&group_key, problem))?;
    let count = NodeCount::new(node.count.unwrap_or(1)).map_err(|problem| Failure::invalid(&key("count"), problem))?;
    let cloudlets = cloudlets(node.fixed_cloudlets, node.flexible_cloudlets, key)?;
    Ok(NodeSpec {
        workload,
        group: group.unwrap_or_else(NodeGroupName::application),
        count,
        cloudlets,
        display_name: display_name(node.display_name.as_deref(), &key("displayName"))?,
    })
}

/// What a node is to run: an image where one is given, a template otherwise.
fn workload(node: &wire::NodeSpec, key: impl Fn(&str) -> String, node_types: &[NodeType]) -> Result<Workload, Failure> {
    let docker = node.docker.as_ref();
    if let Some(image) = docker.and_then(|docker| given(Some(&docker.image))) {
        let image_key = key("docker.image");
        let (name, version) = match image.rsplit_once(':') {
            // A port is followed by a path.
            Some((name, version)) if !version.contains('/') => (name, Some(version)),
            _ => (image, None),
        };
        let name = name.parse().map_err(|problem| Failure::invalid(&image_key, problem))?;
        let (version, version_key) = match version {
            Some(version) => (Some(version), image_key),
            None => (given(docker.and_then(|docker| docker.tag.as_deref())), key("docker.tag")),
        };
        let version = version.map(str::parse).transpose();
        let version = version.map_err(|problem| Failure::invalid(&version_key, problem))?;
        return Ok(Workload::image(name, version.unwrap_or_else(Tag::latest)));
    }
    if docker.is_some_and(|docker| given(docker.tag.as_deref()).is_some()) {
        return Err(Failure::invalid(&key("docker.image"), "must be given with a tag"));
    }
    let node_type = node_types.iter().find(|known| known.as_str() == node.node_type).ok_or_else(|| {
        let known: Vec<String> = node_types.iter().map(|known| format!("`{known}`")).collect();
        Failure::invalid(&key("nodeType"), format!("must be one of the templates: {}", known.join(", ")))
    })?;
    Ok(Workload::template(node_type.clone()))
}

fn display_name(text: Option<&str>, key: &str) -> Result<Option<DisplayName>, Failure> {
    given(text).map(str::parse).transpose().map_err(|problem| Failure::invalid(key, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CreateEnvironmentRequest {
        CreateEnvironmentRequest {
            env: Some(wire::EnvironmentSpec { shortdomain: "shop".to_owned(), ..Default::default() }),
            nodes: vec![wire::NodeSpec { node_type: "web".to_owned(), ..Default::default() }],
            env_groups: Vec::new(),
        }
    }

    fn parse(request: CreateEnvironmentRequest) -> Result<EnvironmentSpec, Failure> {
        environment(request, &["web".parse().unwrap(), "worker".parse().unwrap()])
    }

    fn refused(change: impl FnOnce(&mut CreateEnvironmentRequest)) -> (String, String) {
        let mut request = request();
        change(&mut request);
        let failure = parse(request).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::InvalidParameter);
        (failure.detail("parameter").unwrap().to_owned(), failure.message().to_owned())
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let mut request = request();
        request.nodes[0].node_group = Some(String::new());
        request.env.as_mut().unwrap().region = Some(String::new());
        let spec = parse(request).unwrap();
        assert_eq!((spec.name().as_str(), spec.display_name()), ("shop", "shop"));
        let node = &spec.nodes()[0];
        assert_eq!((node.group.as_str(), node.count.get()), ("cp", 1));
        assert_eq!((node.cloudlets.fixed(), node.cloudlets.flexible()), (0, 1));
    }

    #[test]
    fn each_flaw_names_its_parameter() {
        let parameter = |change: fn(&mut CreateEnvironmentRequest)| refused(change).0;
        assert_eq!(parameter(|request| request.env = None), "env");
        assert_eq!(parameter(|request| request.env.as_mut().unwrap().shortdomain.clear()), "env.shortdomain");
        assert_eq!(parameter(|request| request.env.as_mut().unwrap().region = Some("eu".into())), "env.region");
        assert_eq!(
            parameter(|request| request.env.as_mut().unwrap().display_name = Some("\n".into())),
            "env.displayName"
        );
        assert_eq!(parameter(|request| request.nodes.clear()), "nodes");
        assert_eq!(parameter(|request| request.nodes.push(request.nodes[0].clone())), "nodes");
        assert_eq!(parameter(|request| request.nodes[0].node_type = "db".into()), "nodes[0].nodeType");
        assert_eq!(parameter(|request| request.nodes[0].node_group = Some("CP".into())), "nodes[0].nodeGroup");
        assert_eq!(parameter(|request| request.nodes[0].count = Some(0)), "nodes[0].count");
        assert_eq!(parameter(|request| request.nodes[0].fixed_cloudlets = Some(-1)), "nodes[0].fixedCloudlets");
        assert_eq!(parameter(|request| request.nodes[0].flexible_cloudlets = Some(0)), "nodes[0].flexibleCloudlets");
        assert_eq!(parameter(|request| request.nodes[0].display_name = Some("\0".into())), "nodes[0].displayName");
    }

    #[test]
    fn an_image_is_a_name_and_perhaps_a_version() {
        let run = |image: &str, tag: Option<&str>| {
            let mut request = request();
            let docker = wire::DockerSpec { image: image.to_owned(), tag: tag.map(str::to_owned), node_group: None };
            request.nodes[0].docker = Some(docker);
            let spec = parse(request).unwrap();
            let Workload { image, tag, .. } = spec.nodes()[0].workload.clone();
            (image.unwrap().to_string(), tag.to_string())
        };
        let expected = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
        assert_eq!(run("nginx", None), expected("nginx", "latest"));
        assert_eq!(run("nginx", Some("1")), expected("nginx", "1"));
        assert_eq!(run("nginx:2", Some("1")), expected("nginx", "2"));
        assert_eq!(run("host:5000/a/b", None), expected("host:5000/a/b", "latest"));
        assert_eq!(run("host:5000/a/b:v1.2", None), expected("host:5000/a/b", "v1.2"));
        for wrong in ["Nginx", "a b", "a:", "a:ä", "a@sha256:0"] {
            let change = |request: &mut CreateEnvironmentRequest| {
                request.nodes[0].docker =
                    Some(wire::DockerSpec { image: wrong.to_owned(), tag: None, ..Default::default() });
            };
            assert_eq!(refused(change).0, "nodes[0].docker.image", "{wrong}");
        }
        for (image, tag, parameter) in [("nginx", "-1", "tag"), ("", "1", "image")] {
            let change = |request: &mut CreateEnvironmentRequest| {
                let (image, tag) = (image.to_owned(), Some(tag.to_owned()));
                request.nodes[0].docker = Some(wire::DockerSpec { image, tag, node_group: None });
            };
            assert_eq!(refused(change).0, format!("nodes[0].docker.{parameter}"));
        }
    }

    #[test]
    fn an_image_may_say_the_group_where_the_node_does_not() {
        let group = |of_node: Option<&str>, of_image: &str| {
            let mut request = request();
            let (image, of_image) = ("nginx".to_owned(), Some(of_image.to_owned()));
            request.nodes[0].docker = Some(wire::DockerSpec { image, tag: None, node_group: of_image });
            request.nodes[0].node_group = of_node.map(str::to_owned);
            parse(request).map(|spec| spec.nodes()[0].group.to_string())
        };
        assert_eq!(group(None, "bl").unwrap(), "bl");
        assert_eq!(group(Some("cache"), "bl").unwrap(), "cache");
        assert_eq!(group(None, "").unwrap(), "cp");
        assert_eq!(group(None, "B L").unwrap_err().detail("parameter"), Some("nodes[0].docker.nodeGroup"));
    }

    #[test]
    fn an_unknown_template_is_told_the_known_ones() {
        let (_, message) = refused(|request| request.nodes[0].node_type = "db".into());
        assert_eq!(message, "`nodes[0].nodeType` must be one of the templates: `web`, `worker`");
    }
}
