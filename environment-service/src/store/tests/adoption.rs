//! What was there before, as it is recorded.

use super::*;
use crate::driver::{Discovered, DiscoveredNode};

fn discovered(nodes: &[(&str, Option<&str>)]) -> Discovered {
    let node = |(service, instance): &(&str, Option<&str>)| DiscoveredNode {
        key: format!("shop/{service}/1"),
        group: service.parse().unwrap(),
        image: Some(("nginx".parse().unwrap(), "1".parse().unwrap())),
        rank: 3,
        instance: instance.map(|instance| Instance(instance.to_owned())),
        port: Some(8080),
    };
    Discovered {
        key: "shop".to_owned(),
        name: "shop".to_owned(),
        account: ALICE,
        nodes: nodes.iter().map(node).collect(),
    }
}

#[tokio::test]
async fn a_record_without_nodes_is_in_nobodys_way() {
    on_both(async |store| {
        let docker = DriverKind::Docker;
        let found = discovered(&[("db", Some("a"))]);
        assert_eq!(store.adopt(docker, &found, &name("shop"), AT).await.unwrap(), Adoption::Done);
        let first = store.adopted(docker).await.unwrap().remove(0);
        store.refresh(&first, &discovered(&[])).await.unwrap();
        assert_eq!(store.adopted(docker).await.unwrap(), [], "nothing finds it");
        assert_eq!(store.adopt(docker, &found, &name("shop"), AT).await.unwrap(), Adoption::Done);
        assert_eq!(store.adopted(docker).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_there_before_is_recorded_as_it_is_discovered() {
    on_both(async |store| {
        let docker = DriverKind::Docker;
        store.create(new(BOB, "shop")).await.unwrap();
        let mut found = discovered(&[("db", Some("a")), ("web", None)]);
        assert_eq!(store.adopt(docker, &found, &name("shop"), AT).await.unwrap(), Adoption::NameTaken);
        assert_eq!(store.adopt(docker, &found, &name("shop-2"), AT).await.unwrap(), Adoption::Done);
        let adopted = async || store.adopted(docker).await.unwrap().remove(0);
        let first = adopted().await;
        assert_eq!((first.desired, first.operation, first.adopted.as_deref()), (Desired::Running, None, Some("shop")));
        assert_eq!(first.nodes[0].launch.as_ref().unwrap().instance, Some(Instance("a".to_owned())));
        assert_eq!((first.nodes[1].launch.clone(), first.nodes[1].rank, first.nodes[1].port), (None, 3, Some(8080)));
        assert!(is_current(&first, &found));

        found = discovered(&[("web", Some("b")), ("cache", None)]);
        found.account = BOB;
        found.nodes[0].port = None;
        assert!(!is_current(&first, &found));
        store.begin_operation(first.id, Operation::Stop, AT).await.unwrap();
        store.refresh(&first, &found).await.unwrap();
        store.disown(&first).await.unwrap();
        assert_eq!(adopted().await.nodes, first.nodes, "an operation is under way");
        store.finish_operation(first.id, Desired::Stopped, &Outcome::Done, AT).await.unwrap();
        store.refresh(&first, &found).await.unwrap();
        store.disown(&first).await.unwrap();
        let stopped = adopted().await;
        assert_eq!(stopped.nodes, first.nodes, "it was read before it was stopped");
        store.refresh(&stopped, &found).await.unwrap();
        let second = adopted().await;
        assert!(is_current(&second, &found), "{second:?}");
        assert_eq!((second.id, second.account, second.nodes[0].id), (first.id, BOB, first.nodes[1].id));
        assert_eq!(second.nodes[0].port, Some(8080), "it is known while it does not run");
        found.nodes[1].instance = Some(Instance("c".to_owned()));
        assert_eq!(second.desired, Desired::Stopped);
        store.refresh(&second, &found).await.unwrap();
        assert_eq!(adopted().await.desired, Desired::Running, "it was started by another");
        store.disown(&adopted().await).await.unwrap();
        assert_eq!(store.adopted(docker).await.unwrap(), []);
        assert_eq!(store.list(BOB).await.unwrap().len(), 1, "another's is left alone");
    })
    .await;
}
