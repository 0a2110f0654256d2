//! Connections: their versions, their bounds, their end.

use http::Request;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

use crate::stage::{LONG, STOP, Stage};

#[tokio::test]
async fn http2_is_spoken_to_who_begins_with_it() {
    let stage = Stage::start().await;
    let mut channel = Channel::from_shared(format!("http://{}", stage.address)).unwrap().connect().await.unwrap();
    // A query that HTTP/1.1 takes is not too long here.
    let path = format!("{STOP}?envName=a&session={}&unknown={}", stage.stopper(), "x".repeat(40_000));
    let request = Request::builder().uri(path).body(tonic::body::Body::empty()).unwrap();
    let answer = channel.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"{"result":0}"#);
}

#[tokio::test]
async fn calls_beyond_the_bound_are_told_to_come_again() {
    let stage = Stage::configured(|config| config.max_calls = 1).await;
    let token = stage.stopper();
    let (client, during) = (stage.client.clone(), token.clone());
    let call = tokio::spawn(async move { client.post(STOP, &[("envName", "slow"), ("session", &during)]).await });
    stage.reached(1).await;
    let form = [("envName", "a"), ("session", token.as_str())];
    stage.client.post(STOP, &form).await.assert_refused(9105, "busy");
    assert_eq!(stage.client.get("/healthz").await.status, 200, "it lives");
    stage.upstream.open_gate();
    call.await.unwrap().assert_done();
    stage.client.post(STOP, &form).await.assert_done();
}

/// Who connects and says nothing, or begins and does not go on, in either version of HTTP, must not keep others out for long.
#[tokio::test]
async fn connections_that_say_nothing_end() {
    let head = jiff::SignedDuration::from_millis(200);
    let stage = Stage::configured(|config| config.head_timeout = head).await;
    for beginning in
        [b"".as_slice(), b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /healthz HTTP/1.1\r\nhost:"]
    {
        let mut silent = TcpStream::connect(stage.address).await.unwrap();
        silent.write_all(beginning).await.unwrap();
        let mut heard = Vec::new();
        let end = tokio::time::timeout(LONG, silent.read_to_end(&mut heard)).await;
        assert!(end.is_ok(), "{:?} is never cut", String::from_utf8_lossy(beginning));
    }
    assert_eq!(stage.client.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_call_that_takes_longer_than_a_head_may_is_not_cut() {
    let head = jiff::SignedDuration::from_millis(100);
    let stage = Stage::configured(|config| config.head_timeout = head).await;
    let (client, token) = (stage.client.clone(), stage.stopper());
    let call = tokio::spawn(async move { client.post(STOP, &[("envName", "slow"), ("session", &token)]).await });
    stage.reached(1).await;
    // The other connection is cut after that time, so the call has taken longer.
    let mut silent = TcpStream::connect(stage.address).await.unwrap();
    let _ = tokio::time::timeout(LONG, silent.read_to_end(&mut Vec::new())).await.unwrap();
    stage.upstream.open_gate();
    call.await.unwrap().assert_done();
}

#[tokio::test]
async fn a_drain_finishes_what_was_taken_and_takes_nothing_new() {
    let stage = Stage::start().await;
    let (client, token) = (stage.client.clone(), stage.stopper());
    let call = tokio::spawn(async move { client.post(STOP, &[("envName", "slow"), ("session", &token)]).await });
    stage.reached(1).await;
    let idle = TcpStream::connect(stage.address).await.unwrap();
    stage.gateway.begin_drain();
    testkit::eventually("the port to be closed", LONG, || async {
        TcpStream::connect(stage.address).await.is_err().then_some(())
    })
    .await;
    assert!(!call.is_finished());
    stage.upstream.open_gate();
    call.await.unwrap().assert_done();
    stage.gateway.drained(LONG).await.unwrap();
    drop(idle);
}

#[tokio::test]
async fn an_abort_waits_for_nobody() {
    let stage = Stage::start().await;
    let (client, token) = (stage.client.clone(), stage.stopper());
    let call = tokio::spawn(async move {
        let request = client.request(reqwest::Method::POST, &format!("{STOP}?envName=slow&session={token}"));
        request.send().await
    });
    stage.reached(1).await;
    stage.gateway.abort();
    let ended = || async { TcpStream::connect(stage.address).await.is_err().then_some(()) };
    testkit::eventually("the port to be closed", LONG, ended).await;
    call.abort();
}

/// Whoever shares calls out takes a while to notice: until then calls are taken, and each client is told to connect anew.
#[tokio::test]
async fn during_the_delay_of_a_drain_calls_are_answered_and_connections_not_kept() {
    let stage = Stage::configured(|config| config.drain_delay = jiff::SignedDuration::from_mins(5)).await;
    stage.gateway.begin_drain();
    let path = format!("{STOP}?envName=a&session={}", stage.stopper());
    for (path, begins, holds) in
        [("/readyz", "HTTP/1.1 503", "draining"), (path.as_str(), "HTTP/1.1 200", "{\"result\":0}")]
    {
        let mut client = TcpStream::connect(stage.address).await.unwrap();
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n").as_bytes()).await.unwrap();
        let mut heard = String::new();
        tokio::time::timeout(LONG, client.read_to_string(&mut heard)).await.expect("it is closed").unwrap();
        let closes = heard.contains("connection: close");
        assert!(heard.starts_with(begins) && closes && heard.contains(holds), "{heard}");
    }
    stage.gateway.abort();
}
