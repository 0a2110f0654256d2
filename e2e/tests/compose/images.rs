//! The images that the files name, from what the machine has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::binary;

use crate::project::{Project, top};

const PROGRAMS: [&str; 4] = ["token-service", "environment-service", "api-gateway", "portcullis"];
const POSTGRES_PROGRAMS: [&str; 7] = ["initdb", "pg_ctl", "pg_dump", "pg_isready", "pg_restore", "postgres", "psql"];

/// What PostgreSQL's image does when it starts, as far as the file uses it: the database folder is made on an empty volume, with the
/// password from a file, and what is in the folder for that is run, while the server listens on its socket alone.
const ENTRYPOINT: &str = r#"#!/bin/sh
set -e
if ! [ -s "$PGDATA/PG_VERSION" ]; then
    initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for file in /docker-entrypoint-initdb.d/*; do "$file"; done
    pg_ctl --wait --mode=fast stop
fi
exec "$@" -c "listen_addresses=*"
"#;

const USERS: &str = "root:x:0:0:root:/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n";

/// Makes what is after the file's own stages for building: those programs were built already.
pub(crate) async fn make(project: &Project) {
    project.engine.busybox_image("busybox:1.37").await;
    let programs = PROGRAMS.map(binary);
    let postgres = postgres_folder();
    let postgres_programs = POSTGRES_PROGRAMS.map(|name| postgres.join("bin").join(name));
    let modules =
        files(&postgres.join("lib")).into_iter().filter(|file| file.extension().is_some_and(|end| end == "so"));
    let modules: Vec<PathBuf> = modules.collect();

    let libraries = libraries(programs.iter());
    base(project, "debian:bookworm-slim", &libraries).await;
    let context = Context::new(project, "portcullis");
    for program in &programs {
        context.link(program, &format!("programs/{}", program.file_name().unwrap().display()));
    }
    context.link(&top().join("deploy/secrets"), "deploy/secrets");
    context.link(Path::new("/etc/ssl/certs/ca-certificates.crt"), "ca-certificates.crt");
    let file = std::fs::read_to_string(top().join("deploy/Dockerfile")).unwrap();
    let (_, runtime) = file.split_once("\nFROM debian:bookworm-slim AS runtime\n").expect("the stage of what is run");
    let build = "FROM scratch AS build\nCOPY ca-certificates.crt /etc/ssl/certs/\nCOPY programs /programs/\n";
    context.build(&format!("{build}FROM debian:bookworm-slim AS runtime\n{runtime}"), "portcullis:0.1.0").await;

    let libraries = self::libraries(postgres_programs.iter().chain(&modules));
    base(project, "postgres-base:1", &libraries).await;
    let context = Context::new(project, "postgres");
    let share = PathBuf::from("/usr/share/postgresql").join(postgres.file_name().unwrap());
    // Clients say that they want this one.
    let zone = PathBuf::from("/usr/share/zoneinfo/UTC");
    for file in postgres_programs.iter().chain(&modules).cloned().chain(files(&share)).chain([zone]) {
        context.link(&file, &format!("root{}", file.display()));
    }
    context.write("root/etc/passwd", USERS, false);
    context.write("root/usr/local/bin/docker-entrypoint.sh", ENTRYPOINT, true);
    let data = "/var/lib/postgresql/data";
    let bin = postgres.join("bin");
    let file = format!(
        "FROM postgres-base:1\nCOPY root /\nRUN mkdir -p {data} /run/postgresql && chown 999:999 {data} && chmod 3777 /run/postgresql && ln -s /run /var/run\nENV PGDATA={data} PATH={}:/usr/local/bin:/bin\n\
         STOPSIGNAL SIGINT\nENTRYPOINT [\"docker-entrypoint.sh\"]\nCMD [\"postgres\"]\n",
        bin.display()
    );
    context.build(&file, "postgres:15-bookworm").await;
}

/// An image of busybox and the libraries that programs need.
async fn base(project: &Project, tag: &str, libraries: &BTreeSet<PathBuf>) {
    let files: Vec<(String, Vec<u8>)> =
        libraries.iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    project.engine.image(tag, &files, &[]).await;
}

/// The libraries, and their loader, at the places where programs look for them.
fn libraries<'a>(programs: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
    let told = Command::new("ldd").args(programs).output().expect("ldd is everywhere");
    let told = String::from_utf8(told.stdout).unwrap();
    let paths = told.lines().flat_map(|line| line.split_whitespace()).filter(|word| word.starts_with('/'));
    paths.filter(|word| !word.ends_with(':')).map(PathBuf::from).collect()
}

/// The folder of the newest PostgreSQL that is installed: of its programs and libraries.
fn postgres_folder() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("Debian's package `postgresql` is installed").flatten();
    versions.map(|version| version.path()).filter(|folder| folder.join("bin/initdb").exists()).max().unwrap()
}

/// The files in a folder and those below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// What an image is built from.
struct Context<'a> {
    project: &'a Project,
    folder: PathBuf,
}

impl<'a> Context<'a> {
    fn new(project: &'a Project, name: &str) -> Self {
        let folder = project.folder().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self { project, folder }
    }

    fn place(&self, name: &str) -> PathBuf {
        let place = self.folder.join(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    /// Takes a file in, as what it links to.
    fn link(&self, file: &Path, name: &str) {
        let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let place = self.place(name);
        // On another file system it is copied.
        std::fs::hard_link(&file, &place).or_else(|_| std::fs::copy(&file, &place).map(drop)).unwrap();
    }

    fn write(&self, name: &str, text: &str, program: bool) {
        let place = self.place(name);
        std::fs::write(&place, text).unwrap();
        let mode = if program { 0o755 } else { 0o644 };
        std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    async fn build(&self, file: &str, tag: &str) {
        self.write("Dockerfile", file, false);
        self.project.run("docker", &["build", "--quiet", "--tag", tag, self.folder.to_str().unwrap()], "").await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}
