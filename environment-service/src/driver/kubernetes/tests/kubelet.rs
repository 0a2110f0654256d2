//! Commands and logs by way of a real API server to what stands for a machine: a server that answers as a kubelet does, and runs
//! nothing.

use std::sync::Arc;

use futures::SinkExt;
use k8s_openapi::api::core::v1::Node as Machine;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::stage::{LONG, Stage, environment, of, template, workload};
use super::*;

const NAME: &str = "machine";
const LOG_TEXT: &str = "one\ntwo\nthree\n";

/// A kubelet, as long as the test's runtime is there; and its port.
async fn begin() -> u16 {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(connection).await.unwrap();
                answer(stream).await;
            });
        }
    });
    port
}

async fn answer(mut stream: TlsStream<TcpStream>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let parameter = |name: &str| {
        let pairs = path.split(['?', '&']).filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
    };
    if path.starts_with("/containerLogs/") {
        let number = |name: &str| parameter(name).first().map(|value| value.parse::<usize>().unwrap());
        let lines: Vec<&str> = LOG_TEXT.split_inclusive('\n').collect();
        let from = number("tailLines").map_or(0, |count| lines.len().saturating_sub(count));
        let mut text = lines[from..].concat();
        text.truncate(number("limitBytes").unwrap_or(usize::MAX));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all((head + &text).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        return;
    }
    assert!(path.starts_with("/exec/") && path.contains("/main?"), "{path}");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let accepted = derive_accept_key(header("Sec-Websocket-Key:").as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accepted}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let command = parameter("command").join(" ");
    let success = json!({ "status": "Success" });
    let exit = json!({ "causes": [{ "reason": "ExitCode", "message": "3" }] });
    let failure = json!({ "status": "Failure", "reason": "NonZeroExitCode", "details": exit });
    let none = json!({ "status": "Failure", "message": "there is no such program" });
    let (out, error, status) = match command.as_str() {
        "cat -- %2Fetc%2Fmotd" => ("welcome", "", success),
        "fail now" => ("out", "error", failure),
        "cat -- %2Fetc%2Fnone" => ("", "cat: no such file", failure),
        "long" => (&*"x".repeat(100_000), "", success),
        "sleep" => std::future::pending().await,
        _ => ("", "", none),
    };
    for (channel, bytes) in [(1, out.as_bytes()), (2, error.as_bytes()), (3, status.to_string().as_bytes())] {
        socket.send(Message::binary([&[channel], bytes].concat())).await.unwrap();
    }
    // The other side may be gone first.
    let _ = socket.close(None).await;
}

#[tokio::test]
async fn commands_run_and_logs_are_read() {
    let stage = Stage::new("kubelet").await;
    let port = begin().await;
    let machines = Api::<Machine>::all(stage.admin.clone());
    let machine = serde_json::from_value(json!({ "metadata": { "name": NAME } })).unwrap();
    machines.create(&PostParams::default(), &machine).await.unwrap();
    let status = json!({ "status": {
        "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
    }});
    machines.patch_status(NAME, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let mut web = workload("web", 1);
    web["spec"]["template"] = template("web");
    web["spec"]["template"]["spec"]["nodeName"] = json!(NAME);
    stage.make::<Deployment>(web).await;
    let _kubelet = stage.kubelet();
    let order = of("deployment/web");
    let launch = Launch { id: order.launch, instance: Some(Instance("adopted/shop/deployment/web".to_owned())) };
    testkit::eventually("it runs", LONG, async || stage.seen(&launch).await.is_alive().then_some(())).await;
    let environment = environment(&order, Some(launch));
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };

    let driver = &stage.driver;
    let run = async |program: &str, arguments: &[&str], time: Duration| {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Driver::exec(driver, node, &Command { program: program.to_owned(), arguments, time, most_output: 1000 }).await
    };
    let output = run("fail", &["now"], LONG).await.unwrap();
    assert_eq!((output.code, &*output.out, &*output.error), (3, &b"out"[..], &b"error"[..]));
    let output = run("long", &[], LONG).await.unwrap();
    assert_eq!((output.code, output.out.len()), (0, 1000), "the rest is thrown away");
    let late = run("sleep", &[], Duration::from_millis(300)).await;
    assert!(matches!(&late, Err(NodeError::Refused(text)) if text.contains("longer")), "{late:?}");
    let none = run("none", &[], LONG).await;
    assert!(matches!(&none, Err(NodeError::Refused(text)) if text == "there is no such program"), "{none:?}");

    assert_eq!(Driver::read_file(driver, node, "/etc/motd", 10).await.unwrap(), b"welcome");
    assert!(matches!(Driver::read_file(driver, node, "/etc/motd", 6).await, Err(NodeError::Refused(_))));
    assert!(matches!(Driver::read_file(driver, node, "/etc/none", 10).await, Err(NodeError::NoFile)));

    let log = async |from, count| Driver::read_log(driver, node, "main.log", Window { from, count }).await.unwrap();
    assert_eq!(log(Some(4), 3).await, b"two");
    assert_eq!(log(Some(100), 3).await, b"");
    assert_eq!(log(None, 6).await, b"three\n");
    assert_eq!(log(None, 1000).await, LOG_TEXT.as_bytes());
}
