//! The services' own listeners, under what no gateway sends.

use std::time::Duration;

use e2e::Stack;
use testkit::http2;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

/// Sends something again and again, until the other end has had enough; answers what it said.
async fn flood(address: &str, beginning: &[u8], again: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[&http2::opening(), beginning].concat()).await.unwrap();
    let flooded = async {
        for _ in 0..10_000 {
            if stream.write_all(again).await.is_err() {
                break;
            }
        }
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    };
    tokio::time::timeout(LONG, flooded).await.expect("the connection is ended")
}

#[tokio::test]
async fn the_services_end_connections_that_are_misused() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    for url in [&stack.environment_url, &stack.token_urls[0]] {
        let address = url.strip_prefix("http://").unwrap();
        let path = "/grpc.health.v1.Health/Check";
        for part in [&b""[..], &[0; 16_000]] {
            let heard = flood(address, &http2::endless(path), &http2::continuation(part).repeat(100)).await;
            assert_ne!(http2::goaway(&heard), Some(0), "{url}: a head without an end");
        }
        let heard = flood(address, &http2::resets(path, 100_000), &[]).await;
        assert_eq!(http2::goaway(&heard), Some(http2::ENHANCE_YOUR_CALM), "{url}: streams that are reset at once");
    }
    assert_eq!(stack.info(&session, "my-project").await["env"]["status"], 1, "everybody else is served");
}
