use reqwest::Response;
use serde_json::{Map, Value};

use super::{Api, ApiError, refused};

/// The answers of a method that streams, as server-sent events.
pub(crate) struct Events<'a> {
    api: &'a Api,
    method: &'static str,
    response: Response,
    unread: Vec<u8>,
}

impl<'a> Events<'a> {
    pub(super) fn new(api: &'a Api, method: &'static str, response: Response) -> Self {
        Self { api, method, response, unread: Vec::new() }
    }

    /// The name and the data of the next event; nothing where the method has told all.
    pub(crate) async fn next(&mut self) -> Result<Option<(String, Map<String, Value>)>, ApiError> {
        loop {
            let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") else {
                match self.response.chunk().await.map_err(|error| self.api.unreachable(error))? {
                    Some(chunk) => self.unread.extend_from_slice(&chunk),
                    // A stream says how it ends; one that does not was cut off.
                    None => return Err(self.foreign()),
                }
                continue;
            };
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let block = std::str::from_utf8(&block).map_err(|_| self.foreign())?.trim_end();
            let Some((name, data)) = block.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")) else {
                continue;
            };
            let data: Map<String, Value> = serde_json::from_str(data).map_err(|_| self.foreign())?;
            if name != "end" {
                return Ok(Some((name.to_owned(), data)));
            }
            return match data.get("result").and_then(Value::as_i64) {
                Some(0) => Ok(None),
                Some(result) => Err(refused(self.method, result, &data)),
                None => Err(self.foreign()),
            };
        }
    }

    fn foreign(&self) -> ApiError {
        ApiError::NotTheApi { url: self.api.url.clone(), status: self.response.status().as_u16() }
    }
}
