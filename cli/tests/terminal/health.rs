//! What `portcullis health` says. Services that serve are asked by the tests of `docker-compose.yml`.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::home::{Home, PASSWORD};

#[tokio::test]
async fn a_process_serves_where_it_says_so() {
    let home = Home::new();
    let ready = format!("{}/readyz", home.url);
    let ask = async |address: &str| {
        let answer = home.run(&["health", address], "", None).await;
        (answer.status.code(), String::from_utf8_lossy(&answer.stderr).into_owned())
    };
    assert_eq!(ask(&ready).await.0, Some(1), "nobody listens");
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    assert_eq!(ask(&ready).await, (Some(0), String::new()));
    let (code, said) = ask(&home.url).await;
    assert!(code == Some(1) && said.contains(&home.url), "no service of gRPC: {said}");
    system.terminate().await;

    let draining = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/readyz", draining.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut caller, _) = draining.accept().unwrap();
        assert!(caller.read(&mut [0; 4096]).unwrap() > 0);
        caller.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let (code, said) = ask(&address).await;
    assert!(code == Some(1) && said.contains("503"), "{said}");
    answering.join().unwrap();

    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    for path in ["", "/readyz"] {
        let (code, said) = ask(&format!("http://{}{path}", deaf.local_addr().unwrap())).await;
        assert!(code == Some(1) && said.contains("no answer within 3s"), "{said}");
    }
    assert_eq!(ask("nowhere").await.0, Some(2));
}
