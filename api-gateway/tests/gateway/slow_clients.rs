//! Clients that take their time, with each part of a call: they are cut, and nobody else waits for them.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::raw::Raw;
use crate::stage::{LIST, LONG, STOP, Stage};

const ENDED: &str = "portcullis.gateway.connections.ended";

pub(crate) fn short() -> SignedDuration {
    SignedDuration::from_millis(200)
}

/// Waits until as many connections were ended for a reason.
pub(crate) async fn ended(stage: &Stage, reason: &str, connections: f64) {
    let count = || async { stage.metrics.value(ENDED, Some(("reason", reason))).filter(|ended| *ended == connections) };
    testkit::eventually(&format!("{connections} connections ended: {reason}"), LONG, count).await;
}

/// Sends byte by byte, as such clients do, until the other end has had enough of it.
async fn trickle(mut stream: TcpStream, byte: &[u8]) -> Vec<u8> {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut heard = Vec::new();
    let over = async {
        loop {
            tokio::select! {
                read = stream.read_buf(&mut heard) => if !matches!(read, Ok(1..)) { return },
                _ = pace.tick() => {}
            }
            let _ = stream.write_all(byte).await;
        }
    };
    tokio::time::timeout(LONG, over).await.expect("it is cut");
    heard
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let stage = Stage::configured(|config| config.head_timeout = short()).await;
    for beginning in [b"GET /healthz HTTP/1.1\r\nx: ".as_slice(), b"PRI"] {
        let mut slow = TcpStream::connect(stage.address).await.unwrap();
        slow.write_all(beginning).await.unwrap();
        let heard = trickle(slow, b"y").await;
        assert!(!heard.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&heard));
    }
    assert_eq!(stage.client.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_not_waited_for() {
    let stage = Stage::configured(|config| config.body_timeout = short()).await;
    let token = stage.stopper();
    let head = format!(
        "POST {STOP}?session={token}&envName=a HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n"
    );
    let mut slow = TcpStream::connect(stage.address).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    let heard = String::from_utf8(trickle(slow, b"y").await).unwrap();
    assert!(heard.contains(r#""result":3"#) && heard.contains("the body was not sent within"), "{heard}");
    assert_eq!(stage.upstream.reached(), []);
    stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await.assert_done();
}

#[tokio::test]
async fn bodies_that_never_come_take_no_calls_place() {
    let stage = Stage::configured(|config| config.max_calls = 64).await;
    let token = stage.stopper();
    let head = format!("POST {STOP} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n");
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let mut slow = TcpStream::connect(stage.address).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        let mut heard = [0; 25];
        slow.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"HTTP/1.1 100 Continue\r\n\r\n");
        waiting.push(slow);
    }
    // One address has a half of the places for bodies at most, and all calls have theirs.
    let refused = stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await;
    refused.assert_refused(9104, "from this address");
    assert_eq!(refused.header("retry-after"), "1");
    let path = format!("{STOP}?session={token}&envName=a");
    let calls = (0..64).map(|_| stage.client.get(&path));
    futures::future::join_all(calls).await.iter().for_each(|answer| answer.assert_done());
    drop(waiting);
    let done = || async {
        let answer = stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await;
        (answer.body == r#"{"result":0}"#).then_some(())
    };
    testkit::eventually("their places are free", LONG, done).await;
}

#[tokio::test]
async fn who_does_not_read_an_answer_is_cut() {
    let stage = Stage::configured(|config| config.answer_timeout = short()).await;
    let session = stage.authority.session();
    let socket = TcpSocket::new_v4().unwrap();
    // The answer, 4 MiB, does not find room in what the system keeps for the two.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = socket.connect(stage.address).await.unwrap();
    let request = format!("GET {LIST}?session={session} HTTP/1.1\r\nhost: x\r\n\r\n");
    deaf.write_all(request.as_bytes()).await.unwrap();
    ended(&stage, "slow", 1.0).await;
    let mut heard = Vec::new();
    let _ = tokio::time::timeout(LONG, deaf.read_to_end(&mut heard)).await.expect("an end");
    assert!(heard.len() < 8 * 512 * 1024, "{} bytes", heard.len());
    stage.metrics.assert_explained();

    // Who reads gets it, however often it has to be waited for.
    let mut reader = Raw::connect(stage.address).await;
    reader.send(&request).await;
    assert!(reader.answer().await.body.len() > 8 * 512 * 1024);
}

/// Over HTTP/2 it is the client's windows that say how much it takes, while the socket is read as ever.
#[tokio::test]
async fn who_opens_no_window_for_an_answer_is_cut() {
    let stage = Stage::configured(|config| config.answer_timeout = short()).await;
    // None at all, the least that lets an answer begin, and what clients have by default. Of none of them is it opened again.
    for (window, cut) in [(0, 1.0), (1, 2.0), (65_535, 3.0)] {
        let socket = TcpStream::connect(stage.address).await.unwrap();
        let mut client = h2::client::Builder::new();
        let (client, connection) =
            client.initial_window_size(window).handshake::<_, bytes::Bytes>(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let path = format!("http://x{LIST}?session={}", stage.authority.session());
        let request = http::Request::get(path).body(()).unwrap();
        let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        ended(&stage, "slow", cut).await;
        let _ = tokio::time::timeout(LONG, connection).await.expect("an end");
        drop(response);
    }
}

#[tokio::test]
async fn a_connection_without_calls_is_told_to_end() {
    let stage = Stage::configured(|config| config.idle_timeout = short()).await;
    let socket = TcpStream::connect(stage.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://x/healthz").body(()).unwrap();
    // Held to the end: the connection would end with it.
    let mut client = client.ready().await.unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let end = tokio::time::timeout(LONG, connection).await.expect("an end").unwrap();
    assert!(end.is_ok(), "it is told by GOAWAY without an error: {end:?}");
    ended(&stage, "idle", 1.0).await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_all_the_same() {
    let stage = Stage::configured(|config| config.call_timeout = short()).await;
    let token = stage.stopper();
    let answer = stage.client.post(STOP, &[("envName", "slow"), ("session", &token)]).await;
    answer.assert_refused(9105, "environment-service has not answered within");
}
