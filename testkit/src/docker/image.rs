use std::process::Command;

use bollard::body_full;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::TryStreamExt;
use tar::{Builder, EntryType, Header};

use super::DockerEngine;

const USERS: &str = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUPS: &str = "root:x:0:\nnogroup:x:65534:\n";

impl DockerEngine {
    /// Makes an image of busybox, all its applets, and nothing else. It runs a shell unless it is told otherwise.
    ///
    /// # Panics
    /// Where the engine refuses.
    pub async fn busybox_image(&self, tag: &str) {
        self.make_image(tag, &[], r#"CMD ["sh"]"#).await;
    }

    /// Makes an image of busybox, all its applets, and programs or other files, which anybody may read and run. A container of
    /// it starts the entry point.
    ///
    /// # Panics
    /// Where the engine refuses.
    pub async fn image(&self, tag: &str, files: &[(&str, &[u8])], entrypoint: &[&str]) {
        self.make_image(tag, files, &format!("ENTRYPOINT {}", serde_json::json!(entrypoint))).await;
    }

    async fn make_image(&self, tag: &str, files: &[(&str, &[u8])], change: &str) {
        let archive = archive(files).expect("it is written to memory");
        let (repository, tag) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(tag);
        let options = options.changes(vec![change.to_owned()]).build();
        let made = self.client().create_image(Some(options), Some(body_full(archive.into())), None);
        made.try_collect::<Vec<_>>().await.expect("the engine takes the image");
    }
}

/// The files of an image.
fn archive(files: &[(&str, &[u8])]) -> std::io::Result<Vec<u8>> {
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    let program = program.expect("the package `busybox-static` is installed");
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "bin/busybox", 0o755, &program)?;
    let applets = Command::new("busybox").arg("--list").output()?.stdout;
    for applet in String::from_utf8_lossy(&applets).lines().filter(|applet| *applet != "busybox") {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    archive.append_data(&mut header(EntryType::Directory, 0o1777, 0), "tmp/", &[][..])?;
    add(&mut archive, "etc/passwd", 0o644, USERS.as_bytes())?;
    add(&mut archive, "etc/group", 0o644, GROUPS.as_bytes())?;
    for (path, content) in files {
        add(&mut archive, path.trim_start_matches('/'), 0o755, content)?;
    }
    archive.into_inner()
}

fn add(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
    archive.append_data(&mut header(EntryType::Regular, mode, content.len() as u64), path, content)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}
