//! What numbers and names in requests stand for.

use super::place::Place;

/// What a value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An object that exists, or does not.
    Object(Object),
    /// The entry that a page of a list begins behind: any number from this one on.
    Page(i128),
    /// So many, from the first to the last.
    Between(i128, i128),
    /// The name of what is to be made, unique within the installation: who takes one that is taken is told so.
    NewName,
    /// A file of a node's: where there is none, that is told.
    File,
    /// A text for people, or a name that stands for something within the same request, or within what that names.
    Text,
}

/// What belongs to one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Account,
    Login,
    Token,
    Session,
    /// A session by its value.
    SessionValue,
    Environment,
    Node,
    /// A group of environments.
    Group,
}

use Meaning::{Between, File, NewName, Object as Of, Page, Text};

/// By method (`*`: all) and the value's name.
const MEANINGS: &[(&str, &str, Meaning)] = &[
    ("*", "uid", Of(Object::Account)),
    ("*", "envName", Of(Object::Environment)),
    ("*", "limit", Between(1, 1000)),
    ("*", "nodeId", Of(Object::Node)),
    ("*", "nodeGroup", Text),
    ("*", "path", File),
    ("AttachEnvGroup", "envGroup", Text),
    ("CloneEnv", "srcEnvName", Of(Object::Environment)),
    ("CloneEnv", "dstEnvName", NewName),
    ("CreateAccount", "login", NewName),
    ("CreateAccount", "name", Text),
    ("CreateEnvironment", "env.displayName", Text),
    ("CreateEnvironment", "envGroups", Text),
    ("CreateEnvironment", "env.shortdomain", NewName),
    ("CreateEnvironment", "nodes.count", Between(1, 32)),
    ("CreateEnvironment", "nodes.displayName", Text),
    ("CreateEnvironment", "nodes.docker.nodeGroup", Text),
    ("CreateEnvironment", "nodes.fixedCloudlets", Between(0, 512)),
    ("CreateEnvironment", "nodes.flexibleCloudlets", Between(1, 512)),
    ("CreateEnvironment", "nodes.nodeGroup", Text),
    ("CreateGroup", "envGroup", Text),
    ("CreateToken", "copyFrom", Of(Object::Token)),
    ("DeleteTokens", "ids", Of(Object::Token)),
    ("DetachEnvGroup", "envGroup", Text),
    ("EditGroup", "dstGroupName", Text),
    ("EditGroup", "srcGroupName", Of(Object::Group)),
    ("EditToken", "id", Of(Object::Token)),
    ("GetAccounts", "after", Page(0)),
    ("GetAuditLog", "before", Page(1)),
    ("GetTokenUses", "id", Of(Object::Token)),
    ("GetTokens", "ids", Of(Object::Token)),
    ("Read", "nodeid", Of(Object::Node)),
    ("ReadLog", "count", Between(1, 1 << 20)),
    ("ReadLog", "from", Between(0, 9_223_372_036_854_775_807)),
    ("RegenerateToken", "id", Of(Object::Token)),
    ("RegenerateToken", "overlapSeconds", Between(0, 30 * 24 * 60 * 60)),
    ("RemoveGroup", "envGroup", Of(Object::Group)),
    ("SetCloudletsCountById", "fixedCloudlets", Between(0, 512)),
    ("SetCloudletsCountById", "flexibleCloudlets", Between(1, 512)),
    ("SetEnvDisplayName", "displayName", Text),
    ("SetEnvGroup", "envGroup", Text),
    ("Signin", "login", Of(Object::Login)),
    ("SignoutSessions", "ids", Of(Object::Session)),
    ("Verify2FACode", "session", Of(Object::SessionValue)),
];

/// How the names of what names something end.
const NAMING: &[&str] = &["id", "ids", "name", "names", "login", "session", "sessions", "group", "from", "key", "ref"];

impl Place {
    fn is_meant(&self, method: &str, name: &str) -> bool {
        [self.method.short_name(), "*"].contains(&method) && self.name() == name
    }

    /// What the table says of the value.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        let row = MEANINGS.iter().find(|(method, name, _)| self.is_meant(method, name));
        row.map(|(_, _, meaning)| *meaning)
    }

    /// Whether the value is a number, or may name something.
    fn needs_meaning(&self) -> bool {
        let name = self.name().to_lowercase();
        let naming = self.is_text() && NAMING.iter().any(|end| name.ends_with(end));
        self.is_number() || self.names_environment() || naming
    }
}

#[test]
fn it_is_known_what_every_number_and_name_stands_for() {
    let places = Place::all();
    for place in &places {
        assert!(place.meaning().is_some() || !place.needs_meaning(), "{} is in no row of the table", place.what());
        let environment = matches!(place.meaning(), Some(Of(Object::Environment) | NewName));
        assert!(environment || !place.names_environment(), "{} names an environment", place.what());
    }
    for (method, name, _) in MEANINGS {
        assert!(places.iter().any(|place| place.is_meant(method, name)), "{method} {name} is no more");
    }
}
