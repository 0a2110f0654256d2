mod image;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::{ClientVersion, Docker};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::workplace::{Mounts, Workplace};
use crate::{eventually, process_alive, process_children};

/// How long the engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Debian's engine speaks. A newer one speaks it too, or tells.
const API_VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// How long a request of the client may take, in seconds.
const REQUEST_TIMEOUT: u64 = 120;

/// A private Docker engine. It ends, with all its containers, when this is dropped, or with the test process.
///
/// It has a network, mounts, processes and control groups of its own, so that several run next to each other and the machine
/// is as before when they end. Containers reach each other by the engine's networks, and nothing outside; what they publish is on
/// the machine's own addresses, and their own addresses can be reached too. An image that is not there cannot be pulled, and the
/// engine says so at once.
pub struct DockerEngine {
    workplace: Workplace,
    pid: u32,
}

/// Makes the engine's network: a link to the machine, and the addresses of one of 32 parts of 198.18.0.0/15, which RFC 2544
/// keeps for tests. The link's name tells that the part is taken.
const NETWORK: &str = r#"
set -e
touch "$folder/network" "$folder/outside"
unshare "--net=$folder/network" true
mount --bind /proc/self/ns/net "$folder/outside"
part=0
until ip link add "portcullis-$part" type veth peer name eth0 netns "$folder/network"; do
    part=$((part + 1))
    [ "$part" -lt 32 ]
done
echo "$part" >"$folder/part"
net=198.$((18 + part / 16)) third=$((part % 16 * 16))
ip address add "$net.$third.1/30" dev "portcullis-$part"
ip link set "portcullis-$part" up
ip route add "$net.$third.0/20" via "$net.$third.2"
nsenter "--net=$folder/network" sh -ec "
    ip link set lo up
    ip address add $net.$third.2/30 dev eth0
    ip link set eth0 up
"
cat >"$folder/engine.arguments" <<END
--bip $net.$((third + 1)).1/24
--default-address-pool base=$net.$((third + 8)).0/21,size=27
--cgroup-parent /portcullis-$part
END
cat >"$folder/proxy" <<END
#!/bin/sh
exec nsenter '--net=$folder/outside' docker-proxy "\$@"
END
chmod +x "$folder/proxy"
"#;

/// Ends when the first process of the engine and all others have ended.
const ENGINE: &str = r#"
exec nsenter "--net=$folder/network" unshare --mount --pid --fork --kill-child --mount-proc sh "$folder/first.sh"
"#;

/// The first process in the engine's own numbering. It waits for those whose parents are gone, which the engine would not do.
/// What the engine keeps outside of its folders goes with the mounts.
const FIRST: &str = r#"
mkdir -p /etc/docker
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/docker
rm -rf "$folder/socket" "$folder/tmp"
mkdir "$folder/tmp"
export TMPDIR="$folder/tmp"
dockerd --data-root "$folder/data" --exec-root /run/docker --pidfile /run/docker.pid -H "unix://$folder/socket" \
    --userland-proxy-path "$folder/proxy" --exec-opt native.cgroupdriver=cgroupfs $(cat "$folder/engine.arguments") &
wait "$!"
"#;

/// Kills the first process: the kernel kills the others then, before anybody learns of it.
const STOP: &str = r#"kill -KILL $(cat "/proc/$pid/task/$pid/children")"#;

const END: &str = r#"
umount "$folder/network" "$folder/outside"
part=$(cat "$folder/part") || exit
ip link delete "portcullis-$part"
find /sys/fs/cgroup -depth -type d '(' -path "*/portcullis-$part" -o -path "*/portcullis-$part/*" ')' -exec rmdir '{}' ';'
"#;

impl DockerEngine {
    /// Starts an engine of the caller's own, without images.
    ///
    /// # Panics
    /// Where Docker is not installed or does not start, or the caller is not root.
    pub async fn start() -> Self {
        let missing =
            ["dockerd", "docker-proxy", "iptables", "ip", "busybox"].into_iter().filter(|name| !installed(name));
        let missing: Vec<_> = missing.collect();
        assert!(
            missing.is_empty(),
            "{missing:?} missing: install Debian's packages `docker.io iptables iproute2 busybox-static` (`cargo xtask \
             test --docker` does it, where it may)"
        );
        assert!(geteuid().is_root(), "only root can start a Docker engine");
        let mut workplace = Workplace::new("portcullis-docker", Mounts::Own);
        for (name, script) in [
            ("network.sh", NETWORK),
            ("engine.sh", ENGINE),
            ("first.sh", FIRST),
            ("engine.stop", STOP),
            ("end.sh", END),
        ] {
            workplace.write(name, script);
        }
        workplace.run("network").unwrap_or_else(|reason| panic!("the engine gets no network:\n{reason}"));
        let pid = workplace.start("engine");
        let engine = Self { workplace, pid };
        engine.ready().await;
        engine
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.workplace.folder()
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder().join("socket")
    }

    /// Where it listens, as `DOCKER_HOST` has it: `unix://` and the path.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A client of this engine.
    ///
    /// # Panics
    /// Where the engine does not run.
    #[must_use]
    pub fn client(&self) -> Docker {
        self.connect().expect("the engine runs")
    }

    fn connect(&self) -> Result<Docker, bollard::errors::Error> {
        Docker::connect_with_unix(&self.host(), REQUEST_TIMEOUT, &API_VERSION)
    }

    /// All that it has written.
    #[must_use]
    pub fn log(&self) -> String {
        self.workplace.log("engine")
    }

    /// Kills the engine and all its containers (SIGKILL), as when the power fails, and waits for their end.
    ///
    /// # Panics
    /// Where it cannot be done.
    pub fn kill(&mut self) {
        self.workplace.stop("engine");
    }

    /// Starts the engine again with what it has kept, and waits until it answers. Containers that ran are stopped, or run
    /// again, according to their restart policies.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn restart(&mut self) {
        self.pid = self.workplace.start("engine");
        self.ready().await;
    }

    /// Freezes the engine (SIGSTOP), but not its containers: it takes connections and does not answer.
    ///
    /// # Panics
    /// Where it does not run.
    pub async fn pause(&self) {
        self.signal(Signal::STOP);
        let engine = self.engine();
        eventually("the engine's pause", PATIENCE, async || stopped(engine).then_some(())).await;
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// Where it does not run.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.engine()).ok().and_then(Pid::from_raw).expect("a pid is a positive number");
        kill_process(pid, signal).expect("the engine runs");
    }

    /// The engine's process: its parent is the first of its own numbering, which has others too.
    fn engine(&self) -> u32 {
        let dockerd = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "dockerd")
        };
        let first = process_children(self.pid);
        first.into_iter().flat_map(process_children).find(dockerd).expect("the engine runs")
    }

    async fn ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(client) = self.connect()
                && client.ping().await.is_ok()
            {
                return;
            }
            assert!(process_alive(self.pid), "the Docker engine ended:\n{}", self.log());
            assert!(Instant::now() < deadline, "the Docker engine does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Whether all threads of a process have stopped: each does when it learns of the signal.
fn stopped(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    stats.into_iter().all(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(program).exists())
}
