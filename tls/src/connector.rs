use std::io;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};
use tower::Service;

use crate::{Certificates, Stream};

/// Connects to other services: by TLS where their address says `https`, and there only to who has a certificate for the address's host.
#[derive(Clone, Default)]
pub struct Connector {
    certificates: Option<Certificates>,
    service: Option<&'static str>,
}

impl Connector {
    /// One that shows these.
    #[must_use]
    pub fn new(certificates: Option<Certificates>) -> Self {
        Self { certificates, service: None }
    }

    /// One that connects only to who has this service's name in its certificate as well: others can be on the same host.
    #[must_use]
    pub fn to(certificates: Option<Certificates>, service: &'static str) -> Self {
        Self { certificates, service: Some(service) }
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Stream>> {
        let unusable = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        let host = uri.host().ok_or_else(|| unusable("the address has no host"))?;
        let host = host.trim_matches(['[', ']']);
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        // A call is one small packet; waiting to fill it would only delay it.
        stream.set_nodelay(true)?;
        if !secure {
            return Ok(TokioIo::new(Stream::Plain(stream)));
        }
        // As they are now: a connection that is made anew shows the newest.
        let config = self.certificates.as_ref().and_then(Certificates::client);
        let config = config.ok_or_else(|| unusable("there is no certificate to connect with"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| unusable("the host is no name"))?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let stream = Stream::Tls(Box::new(TlsStream::Client(stream)));
        match self.service {
            Some(service) if !stream.peer().may_be(service) => {
                let problem = format!("the certificate there is not that of {service}");
                Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
            }
            _ => Ok(TokioIo::new(stream)),
        }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("tls", &self.certificates.is_some()).finish()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Stream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.clone().connect(uri).boxed()
    }
}
