//! What the containers may do, as the engine has it.

use bollard::models::{ContainerInspectResponse, MountPoint};

use crate::project::Project;

/// Looks at each of the stack's containers, those that have ended too.
pub(crate) async fn assert_least_privileges(project: &Project) {
    let names = project.containers().await;
    assert_eq!(names.len(), 9, "{names:?}");
    for name in names {
        let container = project.engine.client().inspect_container(&name, None).await.unwrap();
        assert_confined(&name, &container);
        assert_knows_no_secret(&name, &container);
        let mounts = container.mounts.unwrap_or_default();
        let has_engine = mounts.iter().any(|mount| mount.destination.as_deref() == Some("/var/run/docker.sock"));
        assert_eq!(has_engine, name.contains("environment-service") && !name.contains("migration"), "{name}");
        let writable: Vec<&str> =
            mounts.iter().filter(|mount| mount.rw == Some(true)).filter_map(destination).collect();
        let expected: &[&str] = match name.as_str() {
            name if name.contains("secrets") => &["/secrets"],
            name if name.contains("postgres") => &["/var/lib/postgresql/data"],
            _ if has_engine => &["/var/lib/portcullis/nodes", "/var/run/docker.sock"],
            _ => &[],
        };
        let allowed = |place: &&str| expected.iter().any(|allowed| place.starts_with(allowed));
        assert!(writable.iter().all(allowed), "{name}: {writable:?}");
    }
}

fn destination(mount: &MountPoint) -> Option<&str> {
    mount.destination.as_deref()
}

fn assert_confined(name: &str, container: &ContainerInspectResponse) {
    let host = container.host_config.as_ref().unwrap();
    assert_eq!(host.readonly_rootfs, Some(true), "{name}");
    assert_eq!(host.privileged, Some(false), "{name}");
    assert_eq!(host.cap_drop.as_deref(), Some(&["ALL".to_owned()][..]), "{name}");
    assert!(host.cap_add.as_ref().is_none_or(Vec::is_empty), "{name}");
    assert_eq!(host.security_opt.as_deref(), Some(&["no-new-privileges:true".to_owned()][..]), "{name}");
    let user = container.config.as_ref().unwrap().user.as_deref();
    assert!(matches!(user, Some("65532:65532" | "postgres")), "{name}: {user:?}");
    for ports in host.port_bindings.iter().flat_map(|ports| ports.values()).flatten() {
        assert!(name.contains("api-gateway"), "{name} is published");
        assert!(ports.iter().all(|port| port.host_ip.as_deref() == Some("127.0.0.1")), "{name}: {ports:?}");
    }
}

/// Variables and arguments are shown to whoever may look at a container, and to its programs' children.
fn assert_knows_no_secret(name: &str, container: &ContainerInspectResponse) {
    let config = container.config.as_ref().unwrap();
    for text in [&config.env, &config.cmd, &config.entrypoint].into_iter().flatten().flatten() {
        let is_file = text.starts_with("POSTGRES_PASSWORD_FILE=/");
        let tells = ["password", "pcl_", "PRIVATE KEY"]
            .iter()
            .any(|secret| text.to_lowercase().contains(&secret.to_lowercase()));
        assert!(is_file || !tells, "{name} has {text}");
    }
}
