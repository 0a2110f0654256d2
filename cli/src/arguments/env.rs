use std::str::FromStr;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Env {
    /// Lists the environments.
    List,
    /// Tells how the environments are, and then each that changes, until it is interrupted; with `--output json` an object a line.
    Watch,
    /// Makes an environment and starts it.
    Create {
        /// Its name.
        name: String,
        /// A template for nodes, with their number and their group: `web`, `worker:2` or `bl=web`; again for each group. A group is
        /// called like its template where it is not said.
        #[arg(long = "node", value_name = "[GROUP=]TEMPLATE[:COUNT]", required_unless_present = "images")]
        nodes: Vec<NodeGroup>,
        /// An image for a node, with the group, `cp` where it is not said: `nginx:1.27` or `bl=nginx:1.27`; again for each group.
        #[arg(long = "image", value_name = "[GROUP=]IMAGE[:TAG]")]
        images: Vec<ImageNode>,
        /// Its name for people.
        #[arg(long)]
        display_name: Option<String>,
    },
    /// Starts an environment that is stopped or asleep.
    Start {
        /// Its name.
        name: String,
    },
    /// Stops an environment.
    Stop {
        /// Its name.
        name: String,
    },
    /// Puts an environment to sleep: it is stopped until it is started again.
    Sleep {
        /// Its name.
        name: String,
    },
    /// Stops an environment and forgets it.
    Delete {
        /// Its name.
        name: String,
    },
    /// Makes a copy of an environment and starts it.
    Clone {
        /// Its name.
        name: String,
        /// The copy's name.
        copy: String,
    },
    /// Tells all about an environment.
    Info {
        /// Its name.
        name: String,
    },
    /// Gives an environment another name for people. It is called by its name as before.
    Rename {
        /// Its name.
        name: String,
        /// Its name for people. Not given: its name.
        display_name: Option<String>,
    },
    /// Ends nodes and launches them again: all of them, where none are chosen.
    Restart {
        /// The environment's name.
        name: String,
        #[command(flatten)]
        nodes: SomeNodes,
    },
    /// Brings nodes to another version of what they run.
    Redeploy {
        /// The environment's name.
        name: String,
        /// The version.
        #[arg(long)]
        tag: String,
        #[command(flatten)]
        nodes: Nodes,
    },
    /// The variables of nodes. They are in force from a node's next launch on.
    #[command(subcommand)]
    Vars(Vars),
    /// Runs a command in nodes, without a shell, and writes what it writes. Where it fails, so does this.
    Exec {
        /// The environment's name.
        name: String,
        #[command(flatten)]
        nodes: Nodes,
        /// The command and its arguments, after `--`.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// The logs of a node.
    #[command(subcommand)]
    Logs(Logs),
    /// Makes a node larger or smaller. A cloudlet is 128 MiB and 400 MHz.
    Resize {
        /// The environment's name.
        name: String,
        /// The node's number.
        node: i64,
        /// How many cloudlets are reserved for it.
        #[arg(long)]
        fixed: i32,
        /// Up to how many it may grow.
        #[arg(long)]
        flexible: i32,
    },
    /// The groups that an environment is in.
    #[command(subcommand)]
    Groups(EnvGroups),
    /// Writes a file of a node's to standard output.
    File {
        /// The environment's name.
        name: String,
        /// The node's number.
        node: i64,
        /// The file's path, within the node.
        path: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Vars {
    /// Lists them, one `NAME=VALUE` a line; of a group those of its first node.
    Get {
        /// The environment's name.
        name: String,
        #[command(flatten)]
        nodes: Nodes,
    },
    /// Adds variables, or changes those of the same name.
    Add {
        /// The environment's name.
        name: String,
        #[command(flatten)]
        nodes: Nodes,
        #[command(flatten)]
        variables: Variables,
    },
    /// Has these variables and no others.
    Set {
        /// The environment's name.
        name: String,
        #[command(flatten)]
        nodes: Nodes,
        #[command(flatten)]
        variables: Variables,
    },
    /// Takes variables away.
    Remove {
        /// The environment's name.
        name: String,
        #[command(flatten)]
        nodes: Nodes,
        /// Their names.
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Variables on the command line or on standard input.
#[derive(Args)]
pub(crate) struct Variables {
    /// The variables. The machine's other users can see them.
    #[arg(value_name = "NAME=VALUE", required_unless_present = "stdin")]
    pub(crate) variables: Vec<Variable>,
    /// Reads variables from standard input besides, one a line.
    #[arg(long)]
    pub(crate) stdin: bool,
}

#[derive(Subcommand)]
pub(crate) enum Logs {
    /// Lists them.
    List {
        /// The environment's name.
        name: String,
        /// The node's number.
        node: i64,
    },
    /// Writes a log to standard output: its end, where no other part is chosen.
    Read {
        /// The environment's name.
        name: String,
        /// The node's number.
        node: i64,
        /// The log's path, as `logs list` tells it.
        path: String,
        /// Where to begin, in bytes.
        #[arg(long)]
        from: Option<u64>,
        /// How many bytes at most.
        #[arg(long)]
        count: Option<u32>,
        /// Goes on with what is written to it from then on, until Ctrl-C.
        #[arg(long, conflicts_with = "count")]
        follow: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum EnvGroups {
    /// Puts an environment into groups, besides those that it is in.
    Attach {
        /// Its name.
        name: String,
        /// The groups. One that is not there yet is made.
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Takes an environment out of groups.
    Detach {
        /// Its name.
        name: String,
        /// The groups.
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Puts an environment into these groups and no others.
    Set {
        /// Its name.
        name: String,
        /// The groups: none, for no group.
        groups: Vec<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Group {
    /// Lists the groups.
    List {
        /// Only those that this environment is in.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Makes a group.
    Create {
        /// Its name.
        name: String,
    },
    /// Gives a group another name.
    Rename {
        /// Its name.
        name: String,
        /// Its name from now on.
        to: String,
    },
    /// Removes a group. Its environments stay.
    Remove {
        /// Its name.
        name: String,
    },
}

/// Which nodes of an environment are meant.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Nodes {
    /// One node, by its number.
    #[arg(long)]
    pub(crate) node: Option<i64>,
    /// The nodes of a group.
    #[arg(long)]
    pub(crate) group: Option<String>,
}

/// The same, where none need be chosen.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct SomeNodes {
    /// One node, by its number.
    #[arg(long)]
    pub(crate) node: Option<i64>,
    /// The nodes of a group.
    #[arg(long)]
    pub(crate) group: Option<String>,
}

/// Nodes of one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeGroup {
    pub(crate) group: String,
    pub(crate) template: String,
    pub(crate) count: u32,
}

impl FromStr for NodeGroup {
    type Err = String;

    /// `bl=worker:2` is two nodes of the template `worker` in the group `bl`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (group, nodes) = text.split_once('=').map_or((None, text), |(group, nodes)| (Some(group), nodes));
        let (template, count) = nodes.split_once(':').unwrap_or((nodes, "1"));
        let count = count.parse().map_err(|_| format!("{count:?} is no number of nodes"))?;
        Ok(Self { group: group.unwrap_or(template).to_owned(), template: template.to_owned(), count })
    }
}

/// A node of an image.
#[derive(Clone)]
pub(crate) struct ImageNode {
    pub(crate) group: Option<String>,
    pub(crate) image: String,
}

impl From<&str> for ImageNode {
    fn from(text: &str) -> Self {
        match text.split_once('=') {
            Some((group, image)) => Self { group: Some(group.to_owned()), image: image.to_owned() },
            None => Self { group: None, image: text.to_owned() },
        }
    }
}

/// A variable's name and value.
#[derive(Clone)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Variable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("a variable is NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_a_template_with_a_group_and_a_number() {
        let nodes = |text: &str| text.parse::<NodeGroup>().map(|nodes| (nodes.group, nodes.template, nodes.count));
        let expected = |group: &str, template: &str, count| Ok((group.to_owned(), template.to_owned(), count));
        assert_eq!(nodes("web"), expected("web", "web", 1));
        assert_eq!(nodes("worker:2"), expected("worker", "worker", 2));
        assert_eq!(nodes("cp=web:3"), expected("cp", "web", 3));
        assert!(nodes("web:x").is_err() && nodes("web:-1").is_err() && nodes("cp=web:").is_err());
    }

    #[test]
    fn an_image_has_a_group_where_it_is_said() {
        let node = |text: &str| ImageNode::from(text);
        let (alone, grouped) = (node("host:5000/a/b:v1"), node("bl=nginx:1.27"));
        assert_eq!((alone.group, alone.image.as_str()), (None, "host:5000/a/b:v1"));
        assert_eq!((grouped.group.as_deref(), grouped.image.as_str()), (Some("bl"), "nginx:1.27"));
    }

    #[test]
    fn a_variable_has_everything_behind_the_first_sign_as_its_value() {
        let variable: Variable = "A=b=c".parse().ok().unwrap();
        assert_eq!((variable.name.as_str(), variable.value.as_str()), ("A", "b=c"));
        assert!("A".parse::<Variable>().is_err());
    }
}
