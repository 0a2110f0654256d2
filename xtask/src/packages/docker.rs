use super::{Package, on_path, search_path};

/// The engine and what the tests' own networks and images are made with.
pub(super) const PACKAGES: &[Package] = &[
    Package {
        name: "docker.io",
        is_there: |_| ["docker", "dockerd", "docker-proxy"].iter().all(|name| on_path(&search_path(), name)),
    },
    Package { name: "iptables", is_there: |_| on_path(&search_path(), "iptables") },
    Package { name: "iproute2", is_there: |_| on_path(&search_path(), "ip") },
    Package { name: "busybox-static", is_there: |_| busybox_is_static() },
    Package { name: "docker-compose", is_there: |_| on_path(&search_path(), "docker-compose") },
];

/// In an image it is alone: one that names a loader cannot be started there.
fn busybox_is_static() -> bool {
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    program.is_some_and(|program| !names_a_loader(&program))
}

fn names_a_loader(program: &[u8]) -> bool {
    // The name is near the beginning, before the code.
    let head = &program[..program.len().min(4096)];
    [&b"/ld-linux"[..], b"/ld-musl"].iter().any(|name| head.windows(name.len()).any(|window| window == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_is_told_from_one_without() {
        assert!(names_a_loader(b"\x7fELF..../lib64/ld-linux-x86-64.so.2\0"));
        assert!(!names_a_loader(b"\x7fELF....") && !names_a_loader(b""));
    }
}
