use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::{InvalidNodeType, NodeType, VariablePattern, Variables};
use crate::driver::Unfit;
use crate::driver::template::{Restart, TemplateError, check_variables};

/// What nodes of one type run. Only the operator's configuration holds templates: an account chooses one by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The name: what a node's `nodeType` says.
    pub name: String,
    /// What its nodes answer as their `nodeType`, for clients that read only the types that they know. Default: the name.
    #[serde(default)]
    pub node_type: Option<String>,
    /// The program and its arguments. No shell is between.
    pub command: Vec<String>,
    /// Variables for the command, besides those that every node gets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The variables that owners of nodes may set besides: names, in which `*` stands for any characters. Default: none. Nodes run as
    /// the service's own user, and many a variable has a program run another: `*` gives owners that user.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub variables: Vec<VariablePattern>,
    /// The folder that it is run in. Default: the node's own.
    #[serde(default)]
    pub working_directory: Option<PathBuf>,
    /// Whether a node that has ended by itself is launched again: `always` or `never`. Default: `never`. It waits ever longer between
    /// attempts, up to 30 s.
    #[serde(default)]
    pub restart: Restart,
    /// Whether each node is given a free port of the loopback address to listen on, in the variable `PORT`.
    #[serde(default)]
    pub port: bool,
}

impl Template {
    /// Its name, and whether it can be run as it stands.
    pub(crate) fn validate(&self) -> Result<NodeType, TemplateError> {
        let error = TemplateError::new;
        let name = self.name.parse().map_err(|problem| error("name", &format!("{problem}")))?;
        self.answered_type().map_err(|problem| error("node_type", &format!("{problem}")))?;
        if self.command.first().is_none_or(String::is_empty) {
            return Err(error("command", "must hold a program and its arguments"));
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err(error("command", "must not hold a zero byte"));
        }
        if self.working_directory.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err(error("working_directory", "must be an absolute path"));
        }
        check_variables(&self.environment)?;
        Ok(name)
    }

    /// Whether its nodes may have these variables.
    ///
    /// # Errors
    /// Says which they may not, and which they may.
    pub(crate) fn accepts(&self, variables: &Variables) -> Result<(), Unfit> {
        let refused = |name: &str| !self.variables.iter().any(|pattern| pattern.allows(name));
        let Some((name, _)) = variables.iter().find(|(name, _)| refused(name)) else { return Ok(()) };
        let allowed: Vec<String> = self.variables.iter().map(|pattern| format!("`{pattern}`")).collect();
        let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        Err(Unfit(format!(
            "must not hold `{name}`: the variables that the operator allows for `{}` are {allowed}",
            self.name
        )))
    }

    /// What its nodes answer as their type, where that is not its name.
    pub(crate) fn answered_type(&self) -> Result<Option<NodeType>, InvalidNodeType> {
        self.node_type.as_deref().map(str::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template {
            name: "web".to_owned(),
            node_type: None,
            command: vec!["/bin/true".to_owned()],
            environment: BTreeMap::new(),
            variables: Vec::new(),
            working_directory: None,
            restart: Restart::Never,
            port: false,
        }
    }

    fn key(template: &Template) -> String {
        template.validate().unwrap_err().key
    }

    #[test]
    fn owners_set_the_variables_that_are_listed() {
        let variables = |name: &str| Variables::new([(name.to_owned(), "x".to_owned())]).unwrap();
        let open = Template { variables: ["APP_*", "COLOUR"].map(|text| text.parse().unwrap()).to_vec(), ..template() };
        open.accepts(&variables("APP_COLOUR")).unwrap();
        open.accepts(&Variables::default()).unwrap();
        template().accepts(&Variables::default()).unwrap();
        let text = "must not hold `LD_PRELOAD`: the variables that the operator allows for `web` are";
        assert_eq!(open.accepts(&variables("LD_PRELOAD")).unwrap_err().0, format!("{text} `APP_*`, `COLOUR`"));
        assert_eq!(template().accepts(&variables("LD_PRELOAD")).unwrap_err().0, format!("{text} none"));
    }

    #[test]
    fn each_flaw_is_named() {
        assert_eq!(template().validate().unwrap().as_str(), "web");
        assert_eq!(key(&Template { name: "Web".to_owned(), ..template() }), "name");
        assert_eq!(key(&Template { node_type: Some("Docker".to_owned()), ..template() }), "node_type");
        assert_eq!(key(&Template { command: vec![], ..template() }), "command");
        assert_eq!(key(&Template { command: vec![String::new()], ..template() }), "command");
        assert_eq!(key(&Template { working_directory: Some("here".into()), ..template() }), "working_directory");
        for variable in ["PORT", "PORTCULLIS_INSTANCE", "", "A=B"] {
            let environment = BTreeMap::from([(variable.to_owned(), "x".to_owned())]);
            assert_eq!(key(&Template { environment, ..template() }), format!("environment.{variable}"));
        }
    }
}
