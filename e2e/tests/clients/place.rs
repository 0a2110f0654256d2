//! What both clients are shown.

use e2e::Stack;

/// The commands that nodes may be made to run.
pub(crate) const KEYS: &str = r#"exec_commands = ["/bin/echo", "/bin/false"]"#;

/// All that the two clients call.
const METHODS: &[&str] = &["environment.control", "environment.group", "environment.file"];

/// A running system, and a token for all that there is to do with environments.
pub(crate) async fn place() -> (Stack, String) {
    let stack = Stack::sqlite_with(KEYS).await;
    let session = stack.session().await;
    let permissions = proto::catalog().permissions();
    let names = permissions.iter().map(|method| method.name());
    let methods: Vec<&str> = names.filter(|name| METHODS.iter().any(|group| name.starts_with(group))).collect();
    let (_, token) = stack.token(&session, &methods.join(",")).await;
    (stack, token)
}
