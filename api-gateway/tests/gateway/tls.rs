//! Connections behind TLS: what others are held to holds for them too, and for their handshakes.

use std::sync::Arc;

use api_gateway::Config;
use jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tls::ListenerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::slow_clients::{ended, short};
use crate::stage::{LIST, LONG, Stage};

/// A gateway behind TLS.
struct Secured {
    stage: Stage,
    connector: TlsConnector,
    _folder: TempDir,
}

impl Secured {
    async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let file = |name: &str, pem: String| {
            let file = folder.path().join(name);
            std::fs::write(&file, pem).unwrap();
            file
        };
        let tls = ListenerConfig {
            certificate_file: file("gateway.pem", certificate.pem()),
            key_file: file("gateway.key", key.serialize_pem()),
        };
        let stage = Stage::configured(|config| {
            config.tls = Some(tls);
            configure(config);
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        Self { stage: stage.await, connector: Arc::new(client).into(), _folder: folder }
    }

    async fn shake(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.shake(TcpStream::connect(self.stage.address).await.unwrap()).await
    }
}

#[tokio::test]
async fn who_does_not_end_its_handshake_or_says_nothing_after_it_is_cut() {
    let secured = Secured::configured(|config| config.head_timeout = SignedDuration::from_secs(1)).await;
    // The head of a record that does not come.
    for (beginning, silent_ones) in [(b"".as_slice(), 1.0), (b"\x16\x03\x01\x02\x00", 2.0)] {
        let mut silent = TcpStream::connect(secured.stage.address).await.unwrap();
        silent.write_all(beginning).await.unwrap();
        let end = tokio::time::timeout(LONG, silent.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "{beginning:?} is never cut");
        ended(&secured.stage, "silent", silent_ones).await;
    }
    let mut silent = secured.connect().await;
    let _ = tokio::time::timeout(LONG, silent.read_to_end(&mut Vec::new())).await.expect("an end");
    ended(&secured.stage, "silent", 3.0).await;
}

#[tokio::test]
async fn a_handshake_has_a_place_among_those_of_its_address() {
    let secured = Secured::configured(|config| config.max_connections_per_address = 1).await;
    let first = TcpStream::connect(secured.stage.address).await.unwrap();
    let mut second = TcpStream::connect(secured.stage.address).await.unwrap();
    let _ = tokio::time::timeout(LONG, second.read_to_end(&mut Vec::new())).await.expect("an end");
    ended(&secured.stage, "address", 1.0).await;
    let mut first = secured.shake(first).await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut heard = String::new();
    tokio::time::timeout(LONG, first.read_to_string(&mut heard)).await.expect("an answer").unwrap();
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
}

/// What is written waits behind TLS before it waits in the system.
#[tokio::test]
async fn who_does_not_read_an_answer_behind_tls_is_cut() {
    let secured = Secured::configured(|config| config.answer_timeout = short()).await;
    let request = format!(
        "GET {LIST}?session={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        secured.stage.authority.session()
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = secured.shake(socket.connect(secured.stage.address).await.unwrap()).await;
    deaf.write_all(request.as_bytes()).await.unwrap();
    ended(&secured.stage, "slow", 1.0).await;
    drop(deaf);

    // Who reads gets it, however often it has to be waited for.
    let mut reader = secured.connect().await;
    reader.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(LONG, reader.read_to_end(&mut heard)).await.expect("an end").unwrap();
    assert!(heard.len() > 8 * 512 * 1024, "{} bytes", heard.len());
    ended(&secured.stage, "slow", 1.0).await;
}
