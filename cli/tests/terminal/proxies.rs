use testkit::free_port;

use crate::home::{Home, PASSWORD};

#[tokio::test]
async fn what_is_for_this_machine_is_no_proxys() {
    let home = Home::new();
    // Nobody listens there.
    let proxy = format!("http://127.0.0.1:{}", free_port());
    let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let proxies = proxies.map(|name| (name, proxy.as_str()));

    let system = home.up_in(&proxies, &["--password", PASSWORD, "--stop-environments"]).await;
    let signin = ["signin", "--login", "admin", "--password-stdin"];
    assert_eq!(Home::succeeded(home.run_in(&proxies, &signin, PASSWORD).await), "signed in as admin");
    // Elsewhere the proxy is asked: it is not there.
    let elsewhere = ["--url", "http://portcullis.example", "signin", "--login", "admin", "--password-stdin"];
    let answer = home.run_in(&proxies, &elsewhere, PASSWORD).await;
    assert_eq!(answer.status.code(), Some(6), "{}", String::from_utf8_lossy(&answer.stderr));
    system.terminate().await;
}
