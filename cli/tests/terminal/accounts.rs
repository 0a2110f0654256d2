use crate::home::{Home, PASSWORD};

#[tokio::test]
async fn administrators_shut_open_and_delete_accounts_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let run = async |arguments: &[&str], line: &str| home.run(arguments, line, None).await.status.code();
    let twice = format!("{PASSWORD}\n{PASSWORD}");
    for login in ["bob", "bobby"] {
        assert_eq!(run(&["account", "create", login, "--password-stdin"], &twice).await, Some(0));
    }
    let accounts = Home::succeeded(home.run(&["account", "list", "--search", "BOB"], "", None).await);
    assert!(accounts.contains("bobby") && !accounts.contains("admin "), "{accounts}");

    let bobs = async |password: &str| {
        let elsewhere = home.folder.path().join("bob.toml").display().to_string();
        let signin = ["signin", "--login", "bob", "--password-stdin"];
        home.run_in(&[("PORTCULLIS_CREDENTIALS", &elsewhere)], &signin, password).await.status.code()
    };
    assert_eq!(bobs(PASSWORD).await, Some(0));
    let wrong = run(&["account", "disable", "Bob", "--password-stdin"], "wrong horse battery").await;
    assert_eq!((wrong, bobs(PASSWORD).await), (Some(3), Some(0)), "the administrator's own password confirms");
    assert_eq!(run(&["account", "disable", "Bob", "--password-stdin"], PASSWORD).await, Some(0));
    assert_eq!(bobs(PASSWORD).await, Some(3));
    assert!(Home::succeeded(home.run(&["account", "list"], "", None).await).contains("disabled"));
    assert_eq!(run(&["account", "enable", "bob", "--password-stdin"], PASSWORD).await, Some(0));
    assert_eq!(bobs(PASSWORD).await, Some(0));

    let another = "another horse battery";
    assert_eq!(
        run(&["account", "set-password", "bob", "--password-stdin"], &format!("{PASSWORD}\n{another}")).await,
        Some(0)
    );
    assert_eq!((bobs(PASSWORD).await, bobs(another).await), (Some(3), Some(0)));
    assert_eq!(run(&["account", "delete", "bob", "--password-stdin"], PASSWORD).await, Some(0));
    assert_eq!(bobs(another).await, Some(3));
    assert_eq!(run(&["account", "delete", "bob", "--password-stdin"], PASSWORD).await, Some(5), "bobby is another");
    assert_eq!(
        run(&["account", "disable", "admin", "--password-stdin"], PASSWORD).await,
        Some(7),
        "the last administrator"
    );
    system.terminate().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_the_password_changed_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let elsewhere = home.folder.path().join("elsewhere.toml").display().to_string();
    let elsewhere = [("PORTCULLIS_CREDENTIALS", elsewhere.as_str())];
    let signin = ["signin", "--login", "admin", "--password-stdin"];
    let alive = async || home.run_in(&elsewhere, &["env", "list"], "").await.status.success();
    let open = async |password: &str| Home::succeeded(home.run_in(&elsewhere, &signin, password).await);

    open(PASSWORD).await;
    let sessions = home.json(&["session", "list"]).await;
    let sessions = sessions["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let other = sessions.iter().find(|session| session["current"] != true).unwrap()["id"].to_string();
    assert!(alive().await);
    assert_eq!(Home::succeeded(home.run(&["session", "signout", &other], "", None).await), "");
    assert!(!alive().await);
    assert_eq!(home.run(&["session", "signout", &other], "", None).await.status.code(), Some(5));
    open(PASSWORD).await;
    assert!(home.run(&["session", "signout", "--all"], "", None).await.status.success());
    assert!(!alive().await);

    open(PASSWORD).await;
    let lines = format!("{PASSWORD}\nanother horse battery");
    let change = ["change-password", "--password-stdin"];
    assert_eq!(home.run(&change, "wrong password\nanother horse battery", None).await.status.code(), Some(3));
    assert_eq!(Home::succeeded(home.run(&change, &lines, None).await), "");
    assert!(!alive().await);
    open("another horse battery").await;
    system.terminate().await;
}
