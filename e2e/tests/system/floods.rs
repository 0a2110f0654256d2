//! The services' own listeners, under what no gateway sends.

use std::time::Duration;

use e2e::Stack;
use testkit::http2;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

/// Sends something again and again, until the other end has had enough; answers what it said meanwhile.
async fn flood(address: &str, beginning: &[u8], again: &[u8]) -> Vec<u8> {
    let (mut incoming, mut outgoing) = TcpStream::connect(address).await.unwrap().into_split();
    let send = async {
        let mut sent = outgoing.write_all(&[&http2::opening(), beginning].concat()).await;
        for _ in 0..10_000 {
            if sent.is_err() || again.is_empty() {
                break;
            }
            sent = outgoing.write_all(again).await;
        }
    };
    let mut heard = Vec::new();
    // Who has had enough may reset the connection, after what it had to say.
    let hear = incoming.read_to_end(&mut heard);
    let ended = tokio::time::timeout(LONG, async { tokio::join!(send, hear) }).await;
    assert!(ended.is_ok(), "the connection is ended");
    heard
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
