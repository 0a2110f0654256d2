use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// How many pieces are under way in one direction at once: beyond that, the sender waits as it would for a full network.
const PIECES: usize = 64;

/// The largest piece, in bytes.
const PIECE: usize = 64 * 1024;

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It takes so long in each direction: there, and back.
    Open([Duration; 2]),
    /// Connections are reset, and new ones too.
    Reset,
    /// Nothing goes through and nothing is said of it. What was under way arrives when it ends.
    BlackHole,
}

impl Weather {
    pub(crate) const FAIR: Self = Self::Open([Duration::ZERO; 2]);
}

/// One direction of reaching one service from another: a TCP proxy in this process. It ends when it is dropped.
pub(crate) struct Link {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    listening: AbortHandle,
}

impl Link {
    /// Listens on a free port, for a service on a port of this machine.
    pub(crate) async fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::FAIR);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listening = tokio::spawn(listen(listener, target, seen)).abort_handle();
        Ok(Self { address, weather, listening })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Its connections are in a set of the task's own, and end with it.
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, target: SocketAddr, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, target, weather.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until one end closes it or the weather resets it.
async fn connect(mut client: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>) {
    let mut reset = weather.clone();
    let opened = tokio::select! {
        opened = open(target, weather.clone()) => opened.ok(),
        _ = reset.wait_for(|weather| *weather == Weather::Reset) => {
            let _ = client.set_zero_linger();
            None
        }
    };
    // Dropping the client's connection tells it as much.
    let Some(mut server) = opened else { return };
    let _ = client.set_nodelay(true);
    tokio::select! {
        // A connection that breaks is nothing to tell: it is what the proxy is for.
        _ = carry_both(&mut client, &mut server, weather) => {}
        _ = reset.wait_for(|weather| *weather == Weather::Reset) => {
            // What is dropped with this set is reset, in place of being closed in order.
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        }
    }
}

async fn open(target: SocketAddr, mut weather: watch::Receiver<Weather>) -> io::Result<TcpStream> {
    passable(&mut weather).await;
    let server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Carries both directions until one of the senders closes its own: neither side of gRPC closes only half of a connection.
async fn carry_both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::select! {
        ended = carry(from_client, to_server, 0, weather.clone()) => ended,
        ended = carry(from_server, to_client, 1, weather.clone()) => ended,
    }
}

async fn carry(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    direction: usize,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let (pieces, taken) = mpsc::channel(PIECES);
    let (read, written) = tokio::join!(read(from, pieces, direction, weather.clone()), write(to, taken, weather));
    read.and(written)
}

async fn read(
    mut from: ReadHalf<'_>,
    pieces: mpsc::Sender<(Instant, Vec<u8>)>,
    direction: usize,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let delay = match *weather.borrow() {
            Weather::Open(delays) => delays[direction],
            _ => Duration::ZERO,
        };
        if pieces.send((Instant::now() + delay, buffer[..length].to_vec())).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut pieces: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    while let Some((due, piece)) = pieces.recv().await {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        passable(&mut weather).await;
        to.write_all(&piece).await?;
    }
    to.shutdown().await
}

/// Waits until the link is no black hole.
async fn passable(weather: &mut watch::Receiver<Weather>) {
    // The sender is gone only when the link is, and then this task is too.
    let _ = weather.wait_for(|weather| *weather != Weather::BlackHole).await;
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that answers with what it is told, and a link to it.
    async fn echo() -> (Link, AbortHandle) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        (Link::to(port).await.unwrap(), serving.abort_handle())
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<()> {
        let mut answer = [0; 4];
        stream.write_all(b"ping").await?;
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("in time")?;
        assert_eq!(&answer, b"ping");
        Ok(())
    }

    #[tokio::test]
    async fn fair_weather_carries_and_a_delay_takes_its_time() {
        let (link, _serving) = echo().await;
        let mut stream = TcpStream::connect(link.address).await.unwrap();
        ask(&mut stream).await.unwrap();
        link.set(Weather::Open([Duration::from_millis(30), Duration::from_millis(40)]));
        let begun = Instant::now();
        ask(&mut stream).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(70));
    }

    #[tokio::test]
    async fn a_reset_ends_old_connections_and_new_ones() {
        let (link, _serving) = echo().await;
        let mut old = TcpStream::connect(link.address).await.unwrap();
        ask(&mut old).await.unwrap();
        link.set(Weather::Reset);
        let broken = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
        };
        assert!(broken(&ask(&mut old).await.unwrap_err()));
        let mut new = TcpStream::connect(link.address).await.unwrap();
        assert!(broken(&ask(&mut new).await.unwrap_err()));
        link.set(Weather::FAIR);
        ask(&mut TcpStream::connect(link.address).await.unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_black_hole_is_silent_and_gives_back_what_it_holds() {
        let (link, _serving) = echo().await;
        let mut old = TcpStream::connect(link.address).await.unwrap();
        ask(&mut old).await.unwrap();
        link.set(Weather::BlackHole);
        let mut new = TcpStream::connect(link.address).await.unwrap();
        let (old_asks, new_asks) = (ask(&mut old), ask(&mut new));
        tokio::pin!(old_asks, new_asks);
        tokio::select! {
            _ = &mut old_asks => panic!("something went through"),
            _ = &mut new_asks => panic!("something went through"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        link.set(Weather::FAIR);
        old_asks.await.unwrap();
        new_asks.await.unwrap();
    }
}
