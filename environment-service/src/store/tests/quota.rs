//! No account has more than it may.

use super::*;

#[tokio::test]
async fn nobody_has_more_than_the_account_may() {
    on_both(async |store| {
        // Each has three nodes of eight cloudlets.
        let quota = Quota { environments: 2, nodes: 6, cloudlets: 50 };
        let create = async |account, text, quota| store.create(NewEnvironment { quota, ..new(account, text) }).await;
        let first = create(ALICE, "a", quota).await.unwrap();
        for (quota, what) in [
            (Quota { environments: 1, ..quota }, "environments"),
            (Quota { nodes: 5, ..quota }, "nodes"),
            (Quota { cloudlets: 47, ..quota }, "cloudlets"),
        ] {
            let refused = create(ALICE, "b", quota).await.unwrap_err();
            assert!(matches!(refused, CreateError::Quota(exceeded) if exceeded.what == what), "{refused:?}");
        }
        assert_eq!(store.list(ALICE).await.unwrap().len(), 1, "nothing is left of what was refused");
        create(BOB, "c", quota).await.unwrap();
        create(ALICE, "b", quota).await.unwrap();
        let node = (ALICE, first.nodes[0].id);
        let resize = async |flexible| {
            let size = Cloudlets::new(None, Some(flexible)).unwrap();
            store.set_cloudlets(node, size, quota).await.unwrap()
        };
        assert!(resize(11).await.is_err());
        assert_eq!(store.get(first.id).await.unwrap().unwrap().nodes[0].cloudlets.flexible(), 8);
        assert_eq!(resize(10).await, Ok(()));
    })
    .await;
}

#[tokio::test]
async fn of_many_that_are_made_at_once_no_more_are_kept_than_may_be() {
    on_both(async |store| {
        let quota = Quota { environments: 3, ..QUOTA };
        let names: Vec<String> = (0..10).map(|number| format!("env{number}")).collect();
        let all = names.iter().map(|text| store.create(NewEnvironment { quota, ..new(ALICE, text) }));
        let made = futures::future::join_all(all).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 3);
        assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(CreateError::Quota(_)))));
    })
    .await;
}
