use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

/// Longer than any event takes that is awaited.
const LONG: Duration = Duration::from_secs(30);

/// A stream of server-sent events, as a browser reads it.
#[derive(Debug)]
pub struct Events {
    response: Response,
    unread: Vec<u8>,
}

impl Events {
    /// Begins one.
    ///
    /// # Panics
    /// Where the answer is no stream.
    pub async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the gateway answers");
        if response.headers().get("content-type").is_none_or(|kind| kind != "text/event-stream") {
            panic!("no stream: {}", response.text().await.expect("the answer is text"));
        }
        Self { response, unread: Vec::new() }
    }

    /// The name and the data of the next event; nothing where the stream has ended.
    ///
    /// # Panics
    /// Where none comes, or what comes is no event.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") else {
                let chunk = timeout(LONG, self.response.chunk()).await.expect("an event or the end");
                self.unread.extend_from_slice(&chunk.expect("the stream is whole")?);
                continue;
            };
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("events are text");
            let block = block.trim_end();
            if let Some((name, data)) = block.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")) {
                return Some((name.to_owned(), serde_json::from_str(data).expect("data are JSON")));
            }
            assert!(block.starts_with(':') || block.starts_with("retry: "), "{block}");
        }
    }

    /// The data of the next event that has this name and is as asked for.
    ///
    /// # Panics
    /// Where the stream ends before.
    pub async fn until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (told, data) = self.next().await.expect("the stream goes on");
            if told == name && wanted(&data) {
                return data;
            }
            assert_ne!(told, "end", "{data}");
        }
    }

    /// The data of the last event; what comes before is passed over.
    ///
    /// # Panics
    /// Where something comes after it.
    pub async fn end(&mut self) -> Value {
        loop {
            let (name, data) = self.next().await.expect("a stream says how it ends");
            if name == "end" {
                assert_eq!(self.next().await, None, "after the end");
                return data;
            }
        }
    }
}
