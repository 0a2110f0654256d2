//! Accounts that are gone.

use super::*;

#[tokio::test]
async fn only_the_authority_that_accounts_are_of_tells_that_they_are_gone() {
    on_both(async |store| {
        let at = Timestamp::UNIX_EPOCH;
        let departed = async || store.departed().await.unwrap();
        assert_eq!(store.learn_departed("one", &[], at).await.unwrap(), Learned::Kept);
        assert_eq!(store.learn_departed("other", &[ALICE, BOB], at).await.unwrap(), Learned::OtherAuthority);
        assert_eq!(departed().await, [].into());
        for _ in 0..2 {
            assert_eq!(store.learn_departed("one", &[BOB], at).await.unwrap(), Learned::Kept, "told again, it is kept");
            assert_eq!(departed().await, [BOB].into());
        }
        assert!(store.has_departed(BOB).await.unwrap() && !store.has_departed(ALICE).await.unwrap());

        store.forget_authority().await.unwrap();
        assert_eq!(departed().await, [].into(), "those were another's accounts");
        assert_eq!(store.learn_departed("other", &[ALICE], at).await.unwrap(), Learned::Kept);
        assert_eq!(departed().await, [ALICE].into());
    })
    .await;
}

#[tokio::test]
async fn what_accounts_have_left_is_found_while_nothing_is_done_to_it() {
    on_both(async |store| {
        let at = Timestamp::UNIX_EPOCH;
        for (account, text) in [(ALICE, "shop"), (BOB, "blog"), (BOB, "wiki")] {
            let made = store.create(new(account, text)).await.unwrap();
            if text != "wiki" {
                store.finish_operation(made.id, Desired::Running, &Outcome::Done, at).await.unwrap();
            }
        }
        let left = async || {
            let left = store.of_departed().await.unwrap();
            left.into_iter().map(|environment| environment.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(left().await, [] as [&str; 0]);
        store.learn_departed("one", &[BOB], at).await.unwrap();
        assert_eq!(left().await, ["blog"]);
        store.clear_departed_groups().await.unwrap();
        assert_eq!(store.env_groups(BOB).await.unwrap().len(), 2, "as long as there is one of the account's");
    })
    .await;
}
