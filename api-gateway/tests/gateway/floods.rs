//! Connections that are misused: they end, and everybody else is served.

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use testkit::http2;
use tokio::net::TcpStream;

use crate::raw::Raw;
use crate::stage::{LONG, STOP, Stage};

const ENDED: &str = "portcullis.gateway.connections.ended";
async fn open(stage: &Stage) -> Raw {
    let mut raw = Raw::connect(stage.address).await;
    raw.send(http2::opening()).await;
    raw
}

async fn assert_served(stage: &Stage) {
    stage.client.post(STOP, &[("envName", "a"), ("session", &stage.stopper())]).await.assert_done();
}

/// CVE-2023-44487: streams are opened and reset at once, so that none of them counts as open.
#[tokio::test]
async fn streams_that_are_reset_at_once_end_their_connection() {
    let stage = Stage::start().await;
    let mut raw = open(&stage).await;
    let _ = raw.try_send(http2::resets("/healthz", 5000)).await;
    assert_eq!(http2::goaway(&raw.rest_or_reset().await), Some(http2::ENHANCE_YOUR_CALM));
    assert_served(&stage).await;
}

/// The same with a client that waits until each call is worked on, so that it costs a service something.
#[tokio::test]
async fn calls_that_are_abandoned_again_and_again_end_their_connection() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let socket = TcpStream::connect(stage.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut abandoned = 0;
    while let Ok(ready) = client.ready().await {
        assert!(abandoned < 5000, "it is never ended");
        client = ready;
        if abandon(&stage, &mut client, &token, abandoned).await.is_none() {
            break;
        }
        abandoned += 1;
    }
    assert!(abandoned > 100, "{abandoned}: who gives up now and then is not cut");
    let end = tokio::time::timeout(LONG, connection).await.expect("an end").unwrap();
    assert!(end.as_ref().err().is_none_or(h2::Error::is_go_away), "{end:?}");
    let counted = || async { stage.metrics.value(ENDED, Some(("reason", "resets"))).filter(|ended| *ended == 1.0) };
    testkit::eventually("the end in the metrics", LONG, counted).await;
    stage.upstream.open_gate();
    assert_served(&stage).await;
}

/// Calls, and resets the stream once the call has reached the service. Nothing where the connection ends meanwhile.
async fn abandon(stage: &Stage, client: &mut SendRequest<Bytes>, token: &str, before: usize) -> Option<()> {
    let path = format!("http://x{STOP}?envName=slow&session={token}");
    let (mut response, mut stream) = client.send_request(Request::get(path).body(()).unwrap(), true).ok()?;
    tokio::select! {
        ended = &mut response => {
            assert!(ended.is_err(), "{ended:?}");
            return None;
        }
        () = stage.reached(before + 1) => {}
    }
    stream.send_reset(Reason::CANCEL);
    Some(())
}

/// CVE-2024-27983 and the like: a head that never ends.
#[tokio::test]
async fn a_head_without_an_end_ends_its_connection() {
    let stage = Stage::start().await;
    for part in [&b""[..], &[0x40, 1, b'x', 1, b'y'], &[0; 16_000]] {
        let mut raw = open(&stage).await;
        raw.send(http2::endless("/healthz")).await;
        let continuation = http2::continuation(part).repeat(100);
        let mut parts = 0;
        while parts < 100_000 && raw.try_send(&continuation).await.is_ok() {
            parts += 100;
        }
        let heard = raw.rest_or_reset().await;
        assert!(parts < 100_000, "{} bytes again and again are taken in for ever", part.len());
        assert_ne!(http2::goaway(&heard), Some(0), "it is an error");
    }
    assert_served(&stage).await;
}

#[tokio::test]
async fn a_head_with_too_many_fields_is_refused_over_http2_as_well() {
    let stage = Stage::start().await;
    let socket = TcpStream::connect(stage.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let path = format!("http://x{STOP}?envName=a&session={}", stage.stopper());
    let mut request = Request::get(path).body(()).unwrap();
    for number in 0..101 {
        request.headers_mut().append("x", number.into());
    }
    let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let text = String::from_utf8(body.data().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(text.contains(r#""result":9107"#) && text.contains("more than 100 fields"), "{text}");
    assert_eq!(stage.upstream.reached(), []);
}

#[tokio::test]
async fn a_connection_has_as_many_calls_at_once_as_it_may() {
    let stage = Stage::configured(|config| config.max_calls_per_connection = 3).await;
    let socket = TcpStream::connect(stage.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::get("http://x/healthz").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!(client.current_max_send_streams(), 3);
}

#[tokio::test]
async fn an_address_has_as_many_connections_as_it_may() {
    let stage = Stage::configured(|config| config.max_connections_per_address = 2).await;
    let head = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut first = Raw::connect(stage.address).await;
    let mut second = Raw::connect(stage.address).await;
    for raw in [&mut first, &mut second] {
        raw.send(head).await;
        assert_eq!(raw.answer().await.status, 200);
    }
    let mut third = Raw::connect(stage.address).await;
    let _ = third.try_send(head).await;
    assert_eq!(third.rest_or_reset().await, b"");
    assert_eq!(stage.metrics.value(ENDED, Some(("reason", "address"))), Some(1.0));
    second.send(head).await;
    assert_eq!(second.answer().await.status, 200, "the others stay");
    drop(first);
    let again = || async {
        let mut again = Raw::connect(stage.address).await;
        let _ = again.try_send(head).await;
        again.rest_begins().await.then_some(())
    };
    testkit::eventually("room for one more", LONG, again).await;
}

/// It stands for many.
#[tokio::test]
async fn a_proxy_that_is_believed_has_as_many_as_it_likes() {
    let stage = Stage::configured(|config| {
        config.max_connections_per_address = 1;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::connect(stage.address).await;
        raw.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(raw.answer().await.status, 200);
        open.push(raw);
    }
}
