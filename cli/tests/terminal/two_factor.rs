use std::time::SystemTime;
use totp_rs::{Builder, Secret};

use crate::home::{Home, PASSWORD};

/// What an authenticator with this secret shows, so many steps from now.
fn code(secret: &str, steps: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    totp.generate(now.saturating_add_signed(steps * 30)).to_string()
}

#[tokio::test]
async fn a_second_factor_is_turned_on_used_and_turned_off_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let status = async || Home::succeeded(home.run(&["two-factor", "status"], "", None).await);
    assert_eq!(status().await, "off");
    let enabled = home.json(&["two-factor", "enable", "--password-stdin"]).await;
    assert!(enabled["uri"].as_str().unwrap().starts_with("otpauth://totp/Portcullis:admin?"), "{enabled}");
    let secret = enabled["secret"].as_str().unwrap();
    assert_eq!(status().await, "off");
    let first = code(secret, 0);
    let codes = Home::succeeded(home.run(&["two-factor", "confirm", "--code", &first], "", None).await);
    let codes: Vec<&str> = codes.lines().collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    assert_eq!(status().await, "on, 10 recovery codes left");
    assert!(Home::succeeded(home.run(&["account", "list"], "", None).await).lines().any(|line| line.contains(" on ")));

    let signin = ["signin", "--login", "admin", "--password-stdin"];
    let without = home.run(&signin, PASSWORD, None).await;
    assert_eq!(without.status.code(), Some(3));
    let told = String::from_utf8(without.stderr).unwrap();
    assert!(told.contains("hint: give the code with --code, or in PORTCULLIS_CODE"), "{told}");
    assert_eq!(status().await, "on, 10 recovery codes left", "the session of before is kept");
    let with = async |code: &str| home.run_in(&[("PORTCULLIS_CODE", code)], &signin, PASSWORD).await;
    assert_eq!(with(&first).await.status.code(), Some(3), "a code is good once");
    assert_eq!(Home::succeeded(with(&code(secret, 1)).await), "signed in as admin");
    assert_eq!(Home::succeeded(with(codes[0]).await), "signed in as admin");
    assert_eq!(status().await, "on, 9 recovery codes left");

    let more = ["two-factor", "recovery-codes", "--password-stdin", "--code", codes[1]];
    let others = Home::succeeded(home.run(&more, PASSWORD, None).await);
    let other = others.lines().next().unwrap();
    let disable = |code| ["two-factor", "disable", "--password-stdin", "--code", code];
    assert_eq!(home.run(&disable(codes[2]), PASSWORD, None).await.status.code(), Some(3), "it was replaced");
    assert_eq!(Home::succeeded(home.run(&disable(other), PASSWORD, None).await), "");
    assert_eq!(status().await, "off");
    home.signin().await;
    system.terminate().await;
}

#[tokio::test]
async fn an_administrator_resets_the_second_factor_of_whoever_has_lost_it() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    Home::succeeded(
        home.run(&["account", "create", "bob", "--password-stdin"], &format!("{PASSWORD}\n{PASSWORD}"), None).await,
    );
    let elsewhere = home.folder.path().join("bob.toml").display().to_string();
    let elsewhere = [("PORTCULLIS_CREDENTIALS", elsewhere.as_str())];
    let signin = ["signin", "--login", "bob", "--password-stdin"];
    Home::succeeded(home.run_in(&elsewhere, &signin, PASSWORD).await);
    let enabled =
        Home::succeeded(home.run_in(&elsewhere, &["two-factor", "enable", "--password-stdin"], PASSWORD).await);
    let secret = enabled.lines().next().unwrap().trim_start_matches("secret").trim();
    let confirm = ["two-factor", "confirm", "--code", &code(secret, 0)];
    Home::succeeded(home.run_in(&elsewhere, &confirm, "").await);
    assert_eq!(home.run_in(&elsewhere, &signin, PASSWORD).await.status.code(), Some(3));

    let reset = async |login: &str| {
        let reset = ["account", "reset-two-factor", login, "--password-stdin"];
        home.run(&reset, PASSWORD, None).await.status.code()
    };
    assert_eq!(reset("bob").await, Some(0));
    Home::succeeded(home.run_in(&elsewhere, &signin, PASSWORD).await);
    assert_eq!((reset("admin").await, reset("nobody").await), (Some(7), Some(5)), "one's own is not reset so");
    system.terminate().await;
}
