//! What is seen of launches, and found again.

use super::*;

#[tokio::test]
async fn the_way_it_ended_is_told() {
    let mut machine = Machine::running("kill -KILL $$");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let ended = driver.ended_within(&[launch], LONG).await.unwrap();
    assert_eq!(ended.reason, "was ended by signal 9");
}

#[tokio::test]
async fn one_that_runs_on_has_settled() {
    let mut machine = Machine::running("sleep 1000");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    assert_eq!(driver.ended_within(&[launch], Duration::from_millis(50)).await, None);
    assert_eq!(driver.ended_within(&[], Duration::ZERO).await, None);
}

#[tokio::test]
async fn a_record_of_an_earlier_process_of_the_same_id_means_nothing() {
    let mut machine = Machine::running("sleep 1000");
    let driver = machine.driver().await;
    let bystander = machine.launch(&driver).await;
    let real = Identity { key: key(&bystander), boot: driver.boot };
    let forged = [
        Identity { key: Key { started: real.key.started - 1, ..real.key }, ..real },
        Identity { boot: Uuid::new_v4(), ..real },
    ];
    for identity in forged {
        let launch = Launch { id: LaunchId(Uuid::new_v4()), instance: Some(Instance(identity.to_string())) };
        assert!(!driver.observe(&launch).is_alive());
        assert!(driver.ended_within(std::slice::from_ref(&launch), LONG).await.is_some());
        driver.end(&[launch]).await.unwrap();
        assert!(is_running(real.key.pid), "the bystander was left alone");
    }
}

#[tokio::test]
async fn a_node_outlives_the_service_and_is_found_again() {
    let mut machine = Machine::running("sleep 1000 & echo $!; wait");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let child = pids(&machine.lines("stdout.log", 1).await)[0];
    drop(driver);

    let driver = machine.driver().await;
    assert_eq!(driver.observe(&launch), Observed::Alive { number: i64::from(key(&launch).pid) });
    assert_eq!(driver.ended_within(std::slice::from_ref(&launch), Duration::from_millis(50)).await, None);
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(!is_running(child) && !is_running(key(&launch).pid));
    assert_eq!(driver.observe(&launch), Observed::Dead { reason: None });
}

#[tokio::test]
async fn what_was_never_recorded_is_found_by_its_mark() {
    let mut machine = Machine::running("setsid sleep 1000 & sleep 1001 & wait");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    drop(driver);

    let driver = machine.driver().await;
    let found = driver.find(&[(NodeId(8), LaunchId(Uuid::new_v4())), (NodeId(7), launch.id)]).await.unwrap();
    assert_eq!(found, HashMap::from([(launch.id, launch.instance.clone().unwrap())]));
    let unrecorded = Launch { instance: None, ..launch };
    assert_eq!(driver.observe(&unrecorded), Observed::Dead { reason: None }, "not seen before it is found");
    driver.end(&[unrecorded]).await.unwrap();
    assert_eq!(machine.marked(), 0);
}
