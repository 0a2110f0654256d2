//! A connection on which bytes are sent as they are.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Answer;
use crate::stage::LONG;

pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends all of it before anything is read, as simple clients do.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The same, to somebody who may have had enough.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        tokio::time::timeout(LONG, self.0.write_all(bytes.as_ref())).await.expect("room, or an end")
    }

    /// Says that nothing more comes.
    pub(crate) async fn finish(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Reads these very bytes.
    pub(crate) async fn until(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        let read = tokio::time::timeout(LONG, self.0.read_exact(&mut bytes)).await.expect("bytes");
        read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)));
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    /// The next answer, of the length that it says.
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(LONG, self.read_answer()).await.expect("an answer")
    }

    async fn read_answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(self.0.read_u8().await.unwrap_or_else(|error| panic!("{error}: {head}"))));
        }
        let (status, fields) = head.trim_end().split_once("\r\n").unwrap();
        let fields = fields.lines().map(|field| field.split_once(": ").unwrap());
        let headers: reqwest::header::HeaderMap =
            fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let status = status.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut answer = Answer { status, headers, body: String::new() };
        let mut body = vec![0; answer.header("content-length").parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// Everything that comes until the connection ends, however it does.
    pub(crate) async fn rest_or_reset(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(LONG, self.0.read_to_end(&mut rest)).await.expect("an end");
        rest
    }

    /// Whether anything comes before the end.
    pub(crate) async fn rest_begins(&mut self) -> bool {
        matches!(tokio::time::timeout(LONG, self.0.read(&mut [0])).await.expect("bytes, or an end"), Ok(1..))
    }

    /// Everything that comes until the connection ends as it should.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(LONG, self.0.read_to_end(&mut rest)).await.expect("an end");
        assert!(end.is_ok(), "{end:?} after {:?}", String::from_utf8_lossy(&rest));
        rest
    }
}
