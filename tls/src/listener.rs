use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::{Certificates, Stream};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many handshakes are under way at once.
const HANDSHAKES: usize = 256;

/// How many wait after theirs until they are looked at; who comes later waits to be accepted.
const WAITING: usize = 256;

/// How many bytes may wait until a client takes them: whoever writes more waits as well, and sees that none are taken.
const UNTAKEN_BYTES: usize = 16 * 1024;

/// How long to wait after a connection could not be accepted: most often there are too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of a listener, each after its handshake. It never ends, and never fails.
pub type Incoming = BoxStream<'static, io::Result<Stream>>;

/// Where other services connect.
pub struct Listener {
    inner: TcpListener,
    certificates: Option<Certificates>,
}

impl Listener {
    /// Begins to listen: by TLS where there are certificates.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub async fn bind(address: SocketAddr, certificates: Option<Certificates>) -> io::Result<Self> {
        Ok(Self { inner: TcpListener::bind(address).await?, certificates })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Those who connect, from now on, whether they are looked at already or not: some wait, each after its handshake. A handshake holds
    /// up nobody else.
    #[must_use]
    pub fn incoming(self) -> Incoming {
        let (let_in, waiting) = mpsc::channel(WAITING);
        tokio::spawn(self.accept_all(let_in));
        stream::unfold(waiting, |mut waiting| async move { waiting.recv().await.map(|stream| (Ok(stream), waiting)) })
            .boxed()
    }

    /// Ends when nobody takes them any more.
    async fn accept_all(self, let_in: mpsc::Sender<Stream>) {
        let mut handshakes = Handshakes::default();
        loop {
            let stream = tokio::select! {
                () = let_in.closed() => return,
                stream = self.next(&mut handshakes) => stream,
            };
            if let_in.send(stream).await.is_err() {
                return;
            }
        }
    }

    async fn next(&self, handshakes: &mut Handshakes) -> Stream {
        loop {
            tokio::select! {
                Some(ended) = handshakes.under_way.join_next() => match ended {
                    Ok(Ok(stream)) => return stream,
                    Ok(Err(error)) => tracing::debug!(%error, "a connection was not let in"),
                    Err(error) if error.is_cancelled() => tracing::debug!("a handshake gave way to a newer one"),
                    Err(error) => tracing::error!(%error, "a handshake was broken off"),
                },
                accepted = self.inner.accept() => match accepted {
                    Ok((stream, _)) => {
                        // An answer is one small packet; waiting to fill it would only delay it.
                        let _ = stream.set_nodelay(true);
                        let Some(certificates) = self.certificates.clone() else { return Stream::Plain(stream) };
                        handshakes.begin(async move { accept(&certificates, stream, PATIENCE).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Those under way. Where there are too many, the one that has taken longest gives way: who knows the other side takes a moment.
#[derive(Default)]
struct Handshakes {
    under_way: JoinSet<io::Result<Stream>>,
    by_age: VecDeque<AbortHandle>,
}

impl Handshakes {
    fn begin(&mut self, handshake: impl Future<Output = io::Result<Stream>> + Send + 'static) {
        self.by_age.retain(|handshake| !handshake.is_finished());
        while self.by_age.len() >= HANDSHAKES {
            self.by_age.pop_front().iter().for_each(AbortHandle::abort);
        }
        self.by_age.push_back(self.under_way.spawn(handshake));
    }
}

/// The handshake of a connection that was accepted, by the certificates that are there now.
///
/// # Errors
/// Where the client does not speak TLS, takes too long, or is nobody who may connect.
pub async fn accept(certificates: &Certificates, stream: TcpStream, patience: Duration) -> io::Result<Stream> {
    let acceptor = TlsAcceptor::from(certificates.server());
    let accepted = acceptor.accept_with(stream, |session| session.set_buffer_limit(Some(UNTAKEN_BYTES)));
    let accepted = timeout(patience, accepted).await;
    let accepted = accepted.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long"))??;
    let stream = Stream::Tls(Box::new(TlsStream::Server(accepted)));
    let peer = stream.peer();
    if certificates.lets_in(peer.names()) {
        return Ok(stream);
    }
    let address = peer.address().map(|address| address.to_string());
    tracing::warn!(tls.names = ?peer.names(), address, "a service that is not among `clients` was refused");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "its certificate is of none of `clients`"))
}
