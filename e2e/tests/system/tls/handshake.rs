//! A client that sees what is shown to it, and is told whether it is let in.

use std::sync::Arc;
use std::time::Duration;

use e2e::Certificates;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tls::MutualConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is spoken behind TLS.
pub(super) const HTTP1: &[&[u8]] = &[b"http/1.1"];
pub(super) const HTTP2: &[&[u8]] = &[b"h2"];
pub(super) const GRPC: &[&[u8]] = HTTP2;

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4): the preface, and settings without any.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What a server has shown.
pub(super) struct Shaken {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) protocol: Option<String>,
}

/// The connection was ended by the other side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

async fn connected(
    url: &str,
    authority: &[u8],
    identity: Option<&MutualConfig>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authority) {
        roots.add(authority.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_file(&identity.certificate_file).unwrap();
            let key = PrivateKeyDer::from_pem_file(&identity.key_file).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(url.trim_start_matches("https://")).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Makes a connection, and tells what is shown.
pub(super) async fn shake(
    url: &str,
    authority: &[u8],
    identity: Option<&MutualConfig>,
    protocols: &[&[u8]],
) -> std::io::Result<Shaken> {
    let stream = connected(url, authority, identity, protocols).await?;
    let (_, session) = stream.get_ref();
    Ok(Shaken {
        certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
        protocol: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
    })
}

/// Whether the other side says a word of HTTP/2. (By TLS 1.3 a client has ended its handshake before its certificate is looked at.)
pub(super) async fn speaks_http2(url: &str, authority: &[u8], identity: Option<&MutualConfig>) -> Result<(), Refused> {
    let mut stream = connected(url, authority, identity, GRPC).await.map_err(|_| Refused)?;
    stream.write_all(BEGINNING).await.map_err(|_| Refused)?;
    let mut byte = [0];
    let heard = tokio::time::timeout(Duration::from_secs(30), stream.read_exact(&mut byte)).await;
    heard.expect("the other side does something").map(drop).map_err(|_| Refused)
}

/// The status of a request by HTTP/2.
pub(super) async fn get_by_http2(url: &str, authority: &[u8], path: &str) -> u16 {
    let stream = connected(url, authority, None, HTTP2).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let driven = tokio::spawn(connection);
    let request = http::Request::get(format!("{url}{path}")).body(()).unwrap();
    let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    let status = response.await.unwrap().status().as_u16();
    driven.abort();
    status
}

/// Writes a certificate of the authority that was good until yesterday.
pub(super) fn write_expired(certificates: &Certificates, name: &str) {
    let read = |name, ending| std::fs::read_to_string(certificates.file(name, ending)).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca", "pem"), KeyPair::from_pem(&read("ca", "key")).unwrap()).unwrap();
    let mut params = CertificateParams::new(["api-gateway".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let day = Duration::from_secs(24 * 60 * 60);
    params.not_before = (std::time::SystemTime::now() - day * 2).into();
    params.not_after = (std::time::SystemTime::now() - day).into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(certificates.file(name, "pem"), certificate.pem()).unwrap();
    std::fs::write(certificates.file(name, "key"), key.serialize_pem()).unwrap();
}
