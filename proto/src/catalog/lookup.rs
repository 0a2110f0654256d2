//! Under which paths and names clients look for a method. All are kept in lower case.

use super::{Access, Catalog, Method, PermissionId};

/// Short names of groups that the platform's clients use.
const GROUP_ALIASES: [(&str, &str); 2] = [("environment", "env"), ("development", "dev")];

/// The prefixes of a REST path.
const PREFIXES: [&str; 2] = ["/1.0", "/jelastic"];

/// The group in each way of writing it: `environment.control`, `env.control`.
fn groups(method: &Method) -> Vec<String> {
    let group = method.group().to_lowercase();
    let (first, rest) = group.split_once('.').unwrap_or((&group, ""));
    let short = GROUP_ALIASES.iter().find(|(long, _)| *long == first);
    let short = short.map(|(_, short)| format!("{short}.{rest}"));
    std::iter::once(group.clone()).chain(short).collect()
}

pub(super) fn rest_paths(method: &Method) -> Vec<String> {
    if method.rest_path().is_none() {
        return Vec::new();
    }
    let name = method.short_name().to_lowercase();
    let groups = groups(method);
    let paths = PREFIXES.iter().flat_map(|prefix| {
        groups.iter().map(|group| format!("{prefix}/{}/rest/{name}", group.replace('.', "/"))).collect::<Vec<_>>()
    });
    paths.chain(method.bindings().iter().map(|path| path.to_lowercase())).collect()
}

pub(super) fn names(method: &Method) -> Vec<String> {
    if method.group().is_empty() {
        return vec![method.name().to_lowercase()];
    }
    let name = method.short_name().to_lowercase();
    groups(method).iter().map(|group| format!("{group}.{name}")).collect()
}

impl Catalog {
    /// The method that a REST path calls, without regard to case.
    #[must_use]
    pub fn by_rest_path(&self, path: &str) -> Option<&Method> {
        self.by_rest_path.get(&path.to_ascii_lowercase()).map(|index| &self.methods[*index])
    }

    /// The method that a gRPC path calls.
    #[must_use]
    pub fn by_grpc_path(&self, path: &str) -> Option<&Method> {
        self.by_grpc_path.get(path).map(|index| &self.methods[*index])
    }

    /// A method by its full or short name, `environment.control.StopEnv` or `env.control.StopEnv`, without regard to
    /// case.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Method> {
        self.by_name.get(&name.trim().to_ascii_lowercase()).map(|index| &self.methods[*index])
    }

    /// The method that a permission opens.
    #[must_use]
    pub fn by_permission(&self, id: PermissionId) -> Option<&Method> {
        self.by_permission.get(&id).map(|index| &self.methods[*index])
    }

    /// Methods that declare no access rule, and so are closed to everybody.
    #[must_use]
    pub fn without_access_rule(&self) -> Vec<&Method> {
        self.methods.iter().filter(|method| method.access().is_none()).collect()
    }

    /// Methods under a rule.
    pub fn with_access<'a>(&'a self, wanted: impl Fn(&Access) -> bool + 'a) -> impl Iterator<Item = &'a Method> {
        self.methods.iter().filter(move |method| method.access().is_some_and(&wanted))
    }
}
