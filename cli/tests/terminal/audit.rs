use serde_json::Value;

use crate::home::{Home, PASSWORD};

#[tokio::test]
async fn the_audit_log_is_listed_verified_and_exported_from_a_terminal() {
    let home = Home::new();
    let data = home.data();
    let verify = ["audit", "verify", "--data-dir", &data];
    let nowhere = home.run(&verify, "", None).await;
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("there is no database"), "and none is made");
    assert!(!std::path::Path::new(&data).exists());

    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let edit = ["token", "edit", "1", "--description", "edited", "--never-expires", "--password-stdin"];
    assert_eq!(Home::succeeded(home.run(&edit, PASSWORD, None).await), "");
    let list = Home::succeeded(home.run(&["audit", "list", "--limit", "1"], "", None).await);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("ID ") && lines[1].contains("token.edit"), "{list}");
    let listed = home.json(&["audit", "list", "--limit", "2"]).await;
    let entries = listed["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["object"]), (2, &Value::from("token 1")), "{listed}");
    assert!(entries[0]["changes"].as_str().unwrap().starts_with("description"), "{listed}");
    let (newest, next) = (entries[0]["id"].as_i64().unwrap(), entries[1]["id"].to_string());
    let before = home.json(&["audit", "list", "--before", &next]).await;
    assert!(before["entries"].as_array().unwrap().iter().all(|entry| entry["id"].as_i64() < Some(newest - 1)));
    assert_eq!(home.run(&["audit", "list", "--limit", "0"], "", None).await.status.code(), Some(7));

    let verified = home.run(&verify, "", None).await;
    assert!(String::from_utf8_lossy(&verified.stderr).contains("--expect"));
    let text = Home::succeeded(verified);
    let head = text.rsplit(' ').next().unwrap();
    assert_eq!(text, format!("{newest} entries in one chain; the head is {head}"));
    let told = home.json(&verify).await;
    assert_eq!((told["entries"].as_i64(), told["head"].as_str()), (Some(newest), Some(head)), "{told}");

    let exported = home.run(&["audit", "export", "--data-dir", &data], "", None).await;
    let errors = String::from_utf8_lossy(&exported.stderr).into_owned();
    assert!(errors.contains(&format!("{newest} entries; the head is {head}")), "{errors}");
    let exported = Home::succeeded(exported);
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<i64> = lines.iter().map(|line| line["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=newest).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap()["userAgent"], entries[0]["userAgent"]);
    assert!(!exported.contains(PASSWORD));

    let expect = async |kept: &str| home.run(&[&verify[..], &["--expect", kept]].concat(), "", None).await;
    assert!(Home::succeeded(expect(head).await).contains(&format!("with entry {newest} as it was kept")));
    let first = format!("1:{}", lines[0]["hash"].as_str().unwrap());
    assert!(expect(&first).await.status.success(), "the log has grown since");
    for (kept, told) in [
        (format!("{newest}:{}", "0".repeat(64)), format!("row {newest} does not have the hash")),
        (head.replacen(&newest.to_string(), "900", 1), "rows are missing at the end".to_owned()),
    ] {
        let refused = expect(&kept).await;
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), text.contains(&told)), (Some(1), true), "{text}");
    }
    assert_eq!(expect("nonsense").await.status.code(), Some(2));
    system.terminate().await;
    assert_eq!(Home::succeeded(home.run(&verify, "", None).await), text, "no service is needed");
}
