use crate::home::{Home, PASSWORD};

#[tokio::test]
async fn who_holds_a_lease_is_told_at_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let answer = home.json(&["holders"]).await;
    let holders = answer["holders"].as_array().unwrap();
    let names: Vec<&str> = holders.iter().map(|holder| holder["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["api-gateway", "environment-service", "token-service"], "{answer}");
    for holder in holders {
        let left = holder["leaseLeftMillis"].as_i64().unwrap();
        assert!((1..=3000).contains(&left), "{holder}");
        assert!(holder["acknowledged"].as_i64().unwrap() <= answer["revision"].as_i64().unwrap(), "{holder}");
        assert!(holder["place"].as_str().unwrap().starts_with("127.0.0.1:"), "{holder}");
        assert_eq!(holder["replica"], holders[2]["place"], "{holder}");
    }
    let table = Home::succeeded(home.run(&["holders"], "", None).await);
    assert!(table.starts_with("NAME") && table.contains("environment-service"), "{table}");
    system.terminate().await;
}
