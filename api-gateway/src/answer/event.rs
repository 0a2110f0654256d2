//! Streams as server-sent events (WHATWG HTML, section 9.2): each answer of a method is an event, whatever the method is.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use prost_reflect::{DynamicMessage, ReflectMessage};

use super::{REQUEST_ID, json};

/// Reverse proxies that hold answers back until they are large are told not to.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long a browser waits, in milliseconds, before it opens a stream again that has ended.
const RETRY: &str = "retry: 1000\n\n";

/// What a stream begins with.
pub(crate) fn begin() -> Bytes {
    Bytes::from_static(RETRY.as_bytes())
}

/// A comment, which no client is shown.
pub(crate) fn keep_alive() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// The event that an answer is: the name of what is set in it, and that as JSON. Nothing where nothing is set.
pub(crate) fn event(answer: &DynamicMessage) -> Option<Bytes> {
    let field = answer.descriptor().fields().find(|field| answer.has_field(field))?;
    let value = answer.get_field(&field);
    let mut data = String::from("{");
    json::push_members(&mut data, value.as_message()?, false);
    data.push('}');
    Some(written(field.json_name(), &data))
}

/// The last event: how the stream ended, as the answer of a call would say it.
pub(crate) fn end(answer: &str) -> Bytes {
    written("end", answer)
}

/// JSON as it is written here is one line.
fn written(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The response whose body is a stream of events.
pub(crate) fn response(events: Body, request_id: &str) -> Response {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use prost_reflect::prost::Message;
    use proto::environment::v1::watch_envs_response::Event;
    use proto::environment::v1::{RemovedEnvironment, WatchEnvsResponse, WatchedEnvironments};

    use super::*;

    fn told(event: Option<Event>) -> Option<Bytes> {
        let descriptor =
            proto::catalog::POOL.get_message_by_name("portcullis.environment.v1.WatchEnvsResponse").unwrap();
        let bytes = WatchEnvsResponse { event }.encode_to_vec();
        super::event(&DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap())
    }

    #[test]
    fn what_is_set_is_the_event_and_no_text_breaks_its_line() {
        let env_name = "a\nevent: end\r\ndata: x\u{2028}\"".to_owned();
        let removed = told(Some(Event::Removed(RemovedEnvironment { env_name, appid: "7".to_owned() }))).unwrap();
        let text = std::str::from_utf8(&removed).unwrap();
        let data = text.strip_prefix("event: removed\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        assert!(!data.contains(['\n', '\r']), "{text}");
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["envName"], "a\nevent: end\r\ndata: x\u{2028}\"");
        let all = told(Some(Event::Snapshot(WatchedEnvironments::default()))).unwrap();
        assert_eq!(all, "event: snapshot\ndata: {\"infos\":[]}\n\n");
        assert_eq!(told(None), None);
    }
}
