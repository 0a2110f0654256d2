//! What is done in nodes, and what they are kept from.

use proto::ErrorKind;
use proto::environment::v1::file_client::FileClient;
use proto::environment::v1::{GetLogsRequest, ReadLogRequest, ReadRequest, SetCloudletsCountByIdRequest};
use testkit::eventually;

use crate::authority::BOB;
use crate::host::Host;
use crate::stage::{LONG, answer, assert_kind};

#[tokio::test]
async fn commands_logs_and_files() {
    let host = Host::start().await;
    let alice = host.alice();
    let node = alice.create("shop", &[("cp", "box", 1)]).await.unwrap().nodes.remove(0).id;
    let done = alice.exec("shop", "echo out; echo no >&2; exit 3").await.unwrap().remove(0);
    assert_eq!((done.result, done.out.as_str(), done.err_out.as_str()), (3, "out\n", "no\n"));
    let log = async || {
        let request = GetLogsRequest { env_name: "shop".to_owned(), node_id: node };
        let logs = answer(alice.client().get_logs(alice.granted(request)).await).unwrap().array;
        (logs[0].size > 0).then(|| logs[0].path.clone())
    };
    let path = eventually("its log", LONG, log).await;
    let request = ReadLogRequest { env_name: "shop".to_owned(), node_id: node, path, from: Some(6), count: Some(3) };
    assert_eq!(answer(alice.client().read_log(alice.granted(request)).await).unwrap().body, "red");

    alice
        .says(
            "shop",
            "mkdir /d; echo secret >/d/file; ln -s /d/file /link; mkfifo /pipe; head -c 2000000 /dev/zero >/large",
        )
        .await;
    let read = async |path: &str| {
        let request = ReadRequest {
            env_name: "shop".to_owned(),
            path: path.to_owned(),
            node_group: Some("cp".to_owned()),
            nodeid: None,
        };
        answer(FileClient::new(host.channel()).read(alice.granted(request)).await).map(|answer| answer.body)
    };
    assert_eq!(read("/d/file").await.unwrap(), "secret\n");
    for path in ["/d", "/link", "/pipe", "/nothing", "/d/file/x", "/dev/null"] {
        assert_kind(read(path).await, ErrorKind::ObjectNotFound);
    }
    assert_kind(read("/large").await, ErrorKind::PermissionDenied);
    alice.stop("shop").await.unwrap();
    assert_eq!(read("/d/file").await.unwrap(), "secret\n", "of a node that is stopped too");
    assert_kind(alice.exec("shop", "true").await, ErrorKind::EnvironmentStatus);
}

#[tokio::test]
async fn a_node_has_the_size_of_its_cloudlets_and_nothing_of_the_machine() {
    let host = Host::start().await;
    let alice = host.alice();
    let node = alice.create("shop", &[("cp", "box", 1)]).await.unwrap().nodes.remove(0).id;
    let limit = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    assert_eq!(alice.says("shop", limit).await, (128 << 20).to_string());
    let request = SetCloudletsCountByIdRequest {
        env_name: "shop".to_owned(),
        node_id: node,
        fixed_cloudlets: 0,
        flexible_cloudlets: 3,
    };
    answer(alice.client().set_cloudlets_count_by_id(alice.granted(request)).await).unwrap();
    assert_eq!(alice.says("shop", limit).await, (384 << 20).to_string());
    alice.stop("shop").await.unwrap();
    alice.start("shop").await.unwrap();
    assert_eq!(alice.says("shop", limit).await, (384 << 20).to_string());

    assert_eq!(alice.says("shop", "grep NoNewPrivs /proc/self/status | tr -dc 01").await, "1");
    assert_eq!(alice.exec("shop", "mknod /disk b 8 0").await.unwrap()[0].result, 1);
    assert_eq!(alice.exec("shop", "mount -t tmpfs none /tmp").await.unwrap()[0].result, 1);
    let id = host.containers().await[0].id.clone().unwrap();
    let inspected = host.docker().inspect_container(&id, None).await.unwrap();
    let config = inspected.host_config.unwrap();
    assert_eq!((config.privileged, config.pids_limit, config.cpu_quota), (Some(false), Some(512), Some(60_000)));
    assert!(config.binds.unwrap_or_default().is_empty() && config.devices.unwrap_or_default().is_empty());
    assert_eq!(config.network_mode.as_deref(), Some("portcullis-shop"));
    assert_eq!(inspected.mounts.unwrap_or_default(), []);
}

#[tokio::test]
async fn one_that_takes_too_much_memory_says_so() {
    let host = Host::start().await;
    let alice = host.alice();
    alice.create("shop", &[("cp", "greedy-box", 1)]).await.unwrap();
    alice.says("shop", "touch /go").await;
    alice.until_status("shop", 11).await;
    let info = alice.info("shop").await.unwrap();
    assert_eq!(info.nodes[0].messages, ["the node was ended by the kernel for lack of memory"]);
}

#[tokio::test]
async fn an_account_runs_the_images_that_it_may() {
    let host = Host::start().await;
    let bob = host.account(BOB);
    let refused = assert_kind(bob.create_of("shop", "portcullis/app:1").await, ErrorKind::InvalidParameter);
    let text = "must be an image that the account may run, and `portcullis/app` is none";
    assert!(refused.contains(text) && refused.contains("nodes[0].docker.image"), "{refused}");
    assert_eq!(host.containers().await, []);
    let node = host.alice().create_of("shop", "portcullis/app:1").await.unwrap().nodes.remove(0);
    let made_of = node.customitem.unwrap();
    assert_eq!((made_of.docker_name.as_str(), made_of.docker_tag.as_str()), ("portcullis/app", "1"));
    assert_eq!((node.v_type.as_str(), node.user.as_str()), ("DOCKER", ""));
}
