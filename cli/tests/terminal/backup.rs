use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::home::{Home, PASSWORD};

/// Makes a token, and answers its number and its value.
async fn make(home: &Home, description: &str) -> (i64, String) {
    let create = ["token", "create", "--description", description, "--method", "env.control.getenvs"];
    let create = [&create[..], &["--password-stdin"]].concat();
    let value = Home::succeeded(home.run(&create, PASSWORD, None).await);
    let tokens = home.json(&["token", "list"]).await;
    let found = tokens["apiTokens"].as_array().unwrap().iter().find(|token| token["description"] == description);
    (found.unwrap()["id"].as_i64().unwrap(), value)
}

async fn works(home: &Home, value: &str) -> bool {
    home.run(&["env", "list"], "", Some(value)).await.status.success()
}

#[tokio::test]
async fn what_runs_is_backed_up_and_comes_back_without_what_was_made_since() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let (_, kept) = make(&home, "kept").await;
    let (data, to) = (home.data(), home.folder.path().join("backup").display().to_string());
    let backup = ["backup", "--data-dir", &data, &to];
    let told = Home::succeeded(home.run(&backup, "", None).await);
    assert_eq!(told, format!("7 files are in {to}"));
    for entry in fs::read_dir(&to).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(home.run(&backup, "", None).await.status.code(), Some(1), "nothing is written over");

    let (number, lost) = make(&home, "lost").await;
    assert!(works(&home, &kept).await && works(&home, &lost).await);
    let (code, log) = system.terminate().await;
    assert_eq!(code, 0, "{log}");
    let restore = ["restore", "--data-dir", &data, &to];
    let refused = home.run(&restore, "", None).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "what is there stays");
    fs::rename(&data, home.folder.path().join("broken")).unwrap();
    assert_eq!(Home::succeeded(home.run(&restore, "", None).await), format!("{data} is as it was"));

    let system = home.up(&["--stop-environments"]).await;
    home.signin().await;
    assert!(works(&home, &kept).await && !works(&home, &lost).await);
    let (next, value) = make(&home, "new").await;
    assert!(next > number, "{next}: no number is given twice");
    assert!(works(&home, &value).await && !works(&home, &lost).await);
    let verified = Home::succeeded(home.run(&["audit", "verify", "--data-dir", &data], "", None).await);
    assert!(verified.contains("in one chain"), "{verified}");
    system.terminate().await;
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused() {
    let home = Home::new();
    home.up(&["--password", PASSWORD, "--stop-environments"]).await.terminate().await;
    let (data, to) = (home.data(), home.folder.path().join("backup"));
    let (target, from) = (home.folder.path().join("target").display().to_string(), to.display().to_string());
    let nowhere = home.run(&["backup", "--data-dir", &target, &from], "", None).await;
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("is no data folder"));
    Home::succeeded(home.run(&["backup", "--data-dir", &data, &from], "", None).await);

    let restore = ["restore", "--data-dir", &target, &from];
    let fails = async |told: &str| {
        let output = home.run(&restore, "", None).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && text.contains(told), "{text}");
        assert!(!Path::new(&target).exists(), "nothing is made of it");
    };
    let key = fs::read(to.join("signing-key.pem")).unwrap();
    fs::write(to.join("signing-key.pem"), b"another").unwrap();
    fails("signing-key.pem is not what was backed up").await;
    fs::write(to.join("signing-key.pem"), key).unwrap();
    let manifest = fs::read_to_string(to.join("backup.json")).unwrap();
    fs::write(to.join("backup.json"), manifest.replace("templates.toml", "../templates.toml")).unwrap();
    fails("is no part of a backup").await;
    fs::remove_file(to.join("backup.json")).unwrap();
    fails("is no backup").await;
}
