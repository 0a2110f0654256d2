//! The keys that the authority signs grants with, as operators replace them.

use crate::home::Home;

#[tokio::test]
async fn keys_are_rotated_beside_the_running_system() {
    let home = Home::new();
    let nothing = home.run(&["keys", "list", "--data-dir", &home.data()], "", None).await;
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no database"), "{nothing:?}");
    let system = home.up(&["--password", crate::home::PASSWORD, "--stop-environments"]).await;
    let data = home.data();
    let list = ["keys", "list", "--data-dir", &data];
    let before = home.json(&list).await["keys"].as_array().unwrap().clone();
    assert_eq!((before.len(), before[0]["verifiesUntil"].is_null()), (1, true), "{before:?}");

    let made = home.json(&["keys", "rotate", "--data-dir", &data]).await["keys"].as_array().unwrap().clone();
    assert_eq!(made.len(), 2, "{made:?}");
    assert_eq!(made[0]["id"], before[0]["id"]);
    assert!(made[0]["verifiesUntil"].as_str() > made[1]["signsFrom"].as_str(), "{made:?}");
    assert!(made[1]["verifiesUntil"].is_null(), "{made:?}");
    assert_eq!(home.json(&list).await["keys"].as_array().unwrap(), &made);

    let again = home.run(&["keys", "rotate", "--data-dir", &data], "", None).await;
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains(made[1]["id"].as_str().unwrap()) && said.contains("still to come"), "{said}");
    let early = home.run(&["keys", "rotate", "--data-dir", &data, "--lead", "1"], "", None).await;
    assert_eq!(early.status.code(), Some(2));
    let audit = Home::succeeded(home.run(&["audit", "export", "--data-dir", &data], "", None).await);
    let rotations = audit.lines().filter(|line| line.contains("signing_key.rotate")).count();
    assert_eq!(rotations, 1, "what was refused is no entry");

    // Another file does not open what was sealed under the one of before.
    system.terminate().await;
    let file = std::path::Path::new(&data).join("signing-key.pem");
    let other = Home::succeeded(home.run(&["signing-key"], "", None).await);
    std::fs::write(&file, other).unwrap();
    let mut refused = home.begin(&[], &[]).await;
    assert_eq!(refused.ended().await, 1);
    assert!(
        refused.log().contains("signing_key_file") && refused.log().contains("reset-signing-keys"),
        "{}",
        refused.log()
    );
    assert!(!refused.log().contains("PRIVATE"));
}
