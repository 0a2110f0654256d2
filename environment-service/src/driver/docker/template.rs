use std::collections::BTreeMap;

use access::AccountId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::DockerDriver;
use crate::domain::{ImageName, NodeType, Tag, Workload};
use crate::driver::Unfit;
use crate::driver::template::{Restart, TemplateError, check_variables};

/// What nodes of one type run in a container. Only the operator's configuration holds templates: an account chooses one by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DockerTemplate {
    /// The name: what a node's `nodeType` says.
    pub name: String,
    /// The image and its version: `nginx:1.27`. A node that was given no version of its own runs this one.
    pub image: String,
    /// The command and its arguments, where the image's own is not the one. No shell is between.
    #[serde(default)]
    pub command: Vec<String>,
    /// Variables, besides those that every node gets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The port that it listens on in its container. Default: the first one that the image exposes, if any.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether a node that has ended by itself is launched again, and one that ended with the engine: `always` or `never`. Default:
    /// `never`. It waits ever longer between attempts, up to 30 s.
    #[serde(default)]
    pub restart: Restart,
}

/// A Docker Compose project that is an account's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposeProject {
    /// The project's name; `*` for each that is not named otherwise.
    pub project: String,
    /// The account's number.
    pub account: i64,
}

impl DockerTemplate {
    /// Its name, and whether it can be run as it stands.
    pub(crate) fn validate(&self) -> Result<NodeType, TemplateError> {
        let error = TemplateError::new;
        let name = self.name.parse().map_err(|problem| error("name", &format!("{problem}")))?;
        if name == NodeType::of_images() {
            return Err(error(
                "name",
                "must not be `docker`: that is what a node is which runs an image of its owner's choice",
            ));
        }
        if self.image().is_none() {
            return Err(error("image", "must be an image's name, a colon and its version"));
        }
        if self.command.first().is_some_and(String::is_empty) || self.command.iter().any(|part| part.contains('\0')) {
            return Err(error("command", "must hold a program and its arguments, without zero bytes"));
        }
        if self.port == Some(0) {
            return Err(error("port", "must be 1 to 65535"));
        }
        check_variables(&self.environment)?;
        Ok(name)
    }

    fn image(&self) -> Option<(ImageName, Tag)> {
        let (name, tag) = self.image.rsplit_once(':')?;
        Some((name.parse().ok()?, tag.parse().ok()?))
    }
}

/// What a container is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program<'a> {
    /// The image's name and version.
    pub(super) image: String,
    /// The template that says more.
    pub(super) template: Option<&'a DockerTemplate>,
}

impl DockerDriver {
    /// Whether a node that has ended by itself is launched again.
    pub(super) fn restart(&self, workload: &Workload) -> Restart {
        match &workload.image {
            Some(_) => self.restart,
            None => self.templates.get(&workload.node_type).map_or(Restart::Never, |template| template.restart),
        }
    }

    /// What a workload runs, if it may.
    pub(super) fn program(&self, workload: &Workload) -> Result<Program<'_>, Unfit> {
        if let Some(image) = &workload.image {
            if !self.images.allows(image) {
                return Err(Unfit(format!("must be an image that the operator allows, and `{image}` is none")));
            }
            return Ok(Program { image: format!("{image}:{}", workload.tag), template: None });
        }
        let unknown = || Unfit(format!("must be one of the templates, and `{}` is none", workload.node_type));
        let template = self.templates.get(&workload.node_type).ok_or_else(unknown)?;
        let (name, tag) = template.image().ok_or_else(unknown)?;
        // Nobody has chosen another version than the operator's.
        let tag = if workload.tag == Tag::latest() { tag } else { workload.tag.clone() };
        Ok(Program { image: format!("{name}:{tag}"), template: Some(template) })
    }
}

impl ComposeProject {
    /// Whose a project is.
    pub(super) fn account_of(all: &[Self], project: &str) -> Option<AccountId> {
        let named = all.iter().find(|given| given.project == project);
        named.or_else(|| all.iter().find(|given| given.project == "*")).map(|given| AccountId(given.account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flaw_is_named() {
        let template = DockerTemplate {
            name: "web".to_owned(),
            image: "nginx:1".to_owned(),
            command: Vec::new(),
            environment: BTreeMap::new(),
            port: None,
            restart: Restart::Never,
        };
        assert_eq!(template.validate().unwrap().as_str(), "web");
        let key = |template: DockerTemplate| template.validate().unwrap_err().key;
        for name in ["Web", "docker"] {
            assert_eq!(key(DockerTemplate { name: name.to_owned(), ..template.clone() }), "name");
        }
        for image in ["nginx", "nginx:", "Nginx:1", "", "host:5000/nginx"] {
            assert_eq!(key(DockerTemplate { image: image.to_owned(), ..template.clone() }), "image", "{image}");
        }
        assert_eq!(key(DockerTemplate { command: vec![String::new()], ..template.clone() }), "command");
        assert_eq!(key(DockerTemplate { port: Some(0), ..template.clone() }), "port");
        let environment = BTreeMap::from([("PORT".to_owned(), "1".to_owned())]);
        assert_eq!(key(DockerTemplate { environment, ..template }), "environment.PORT");
    }

    #[test]
    fn a_project_that_is_named_is_not_among_the_rest() {
        let given = |project: &str, account| ComposeProject { project: project.to_owned(), account };
        let all = [given("*", 2), given("shop", 1)];
        assert_eq!(ComposeProject::account_of(&all, "shop"), Some(AccountId(1)));
        assert_eq!(ComposeProject::account_of(&all, "other"), Some(AccountId(2)));
        assert_eq!(ComposeProject::account_of(&all[1..], "other"), None);
    }
}
