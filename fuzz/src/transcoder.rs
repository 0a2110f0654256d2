use api_gateway::rest;
use prost_reflect::prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, ReflectMessage};
use proto::Method;
use serde_json::Value as Json;

use crate::calls::{self, LIMITS, WIDE, split};
use crate::same::say_the_same;
use crate::{Outcome, answers, failures, parting, text};

/// The way from a call to the message of its method, and from a message to the JSON that is answered. The input is a call ([the
/// format](crate)), or an answer: `answer PATH` or `wire PATH` in the first line, and the message behind it, as the JSON of
/// protobuf or as its bytes.
///
/// # Panics
/// Where a message is not the same after it was sent, or is not what the JSON says.
pub fn transcoder(input: &[u8]) -> Outcome {
    let (first, rest) = split(input, b"\n").unwrap_or((input, b""));
    let path = |name: &[u8]| first.strip_prefix(name).and_then(|path| str::from_utf8(path).ok());
    if let Some(path) = path(b"answer ") {
        return answer(path, |method| from_json(method, rest));
    }
    if let Some(path) = path(b"wire ") {
        return answer(path, |method| DynamicMessage::decode(method.descriptor().output(), rest).ok());
    }
    call(input)
}

fn call(input: &[u8]) -> Outcome {
    let Some(request) = calls::request(input) else { return Outcome::Nothing };
    let path = request.uri().path().to_owned();
    let method = calls::method(&path);
    let message = match calls::read(request, LIMITS).and_then(|call| call.message()) {
        Ok(message) => message,
        Err(failure) => {
            failures::look_at(method, &failure);
            return Outcome::Refused;
        }
    };
    look_at(&message);
    let parameters = text::parameters(method, &message);
    let again = parting::in_form(&path, &parameters).expect("a form is a request");
    let again = calls::read(again, WIDE).and_then(|call| call.message());
    let again = again.unwrap_or_else(|failure| panic!("{}: {failure:?}", parting::encoded(&parameters)));
    assert!(say_the_same(&again, &message), "another message: {}", parting::encoded(&parameters));
    assert_eq!(method.environments(&again), method.environments(&message));
    Outcome::Accepted
}

/// It is the same after it was sent.
fn look_at(message: &DynamicMessage) {
    let sent = DynamicMessage::decode(message.descriptor(), &*message.encode_to_vec());
    assert!(sent.is_ok_and(|sent| say_the_same(&sent, message)), "another message was sent");
}

fn answer(path: &str, read: impl Fn(&Method) -> Option<DynamicMessage>) -> Outcome {
    let method = calls::method(path);
    let Some(message) = read(method) else { return Outcome::Refused };
    look_at(&message);
    if method.is_streaming() {
        return event(&message);
    }
    let mut json = answers::json(&rest::success(method, &message));
    if method.is_wrapped() {
        assert_eq!((&json["result"], json.as_object().map(serde_json::Map::len)), (&Json::from(0), Some(2)));
        json = json["response"].take();
    }
    let Json::Object(mut members) = json else { panic!("an answer is an object") };
    assert_eq!(members.remove("result"), Some(0.into()));
    answers::look_at(&message, &members);
    Outcome::Accepted
}

/// An event is what is set, under its name: one line for the name, one for the JSON, and no third that a value could bring in.
fn event(answer: &DynamicMessage) -> Outcome {
    let set = answer.descriptor().fields().find(|field| answer.has_field(field));
    let (Some(field), Some(event)) = (&set, rest::event(answer)) else {
        assert!(set.is_none() && rest::event(answer).is_none(), "what is set is an event");
        return Outcome::Accepted;
    };
    let text = str::from_utf8(&event).expect("an event is text");
    let data = text.strip_prefix(&format!("event: {}\ndata: ", field.json_name()));
    let data = data.and_then(|data| data.strip_suffix("\n\n")).expect("an event has a name and data");
    let Json::Object(members) = answers::json(data) else { panic!("an event's data is an object") };
    let value = answer.get_field(field);
    answers::look_at(value.as_message().expect("an event is a message"), &members);
    Outcome::Accepted
}

fn from_json(method: &Method, text: &[u8]) -> Option<DynamicMessage> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new();
    DynamicMessage::deserialize_with_options(method.descriptor().output(), &mut json, &options).ok()
}
