//! A message, and the JSON that it was written as.

mod once;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage, Value};
use serde_json::{Map, Value as Json};

use crate::text::is_timestamp;
use once::Once;

/// What stands in a text that is JSON on one line, in which no member stands twice.
pub(crate) fn json(text: &str) -> Json {
    assert!(serde_json::from_str::<Once>(text).is_ok(), "an answer is JSON, and each member is there once: {text}");
    assert!(!text.contains(['\n', '\r']), "an answer is one line: {text}");
    serde_json::from_str(text).expect("it was read before")
}

/// The members are the message's, and no others.
pub(crate) fn look_at(message: &DynamicMessage, members: &Map<String, Json>) {
    let descriptor = message.descriptor();
    let fields = descriptor.fields();
    let fields: Vec<_> = fields.filter(|field| !field.supports_presence() || message.has_field(field)).collect();
    assert_eq!(members.len(), fields.len(), "{} has other members", message.descriptor().full_name());
    for field in fields {
        let (value, json) = (message.get_field(&field), &members[field.json_name()]);
        assert!(agree(&field, &value, json), "{} as {json}", field.full_name());
    }
}

fn agree(field: &FieldDescriptor, value: &Value, json: &Json) -> bool {
    match (value, json) {
        (Value::Bool(value), json) => json == value,
        (Value::I32(value), json) => json == value,
        (Value::I64(value), json) => json == value,
        (Value::U32(value), json) => json == value,
        (Value::U64(value), json) => json == value,
        (Value::F32(value), json) if value.is_finite() => is_number(json, f64::from(*value)),
        (Value::F64(value), json) if value.is_finite() => is_number(json, *value),
        (Value::F32(_) | Value::F64(_), json) => json.is_null(),
        (Value::String(value), json) => json == value,
        (Value::Bytes(value), Json::String(text)) => STANDARD.decode(text).is_ok_and(|bytes| bytes == *value),
        (Value::EnumNumber(number), json) => {
            let kind = field.kind();
            let named = kind.as_enum().and_then(|kind| kind.get_value(*number).map(|value| value.name().to_owned()));
            named.map_or(*json == *number, |name| *json == name)
        }
        (Value::Message(message), json) if is_timestamp(field) => is_moment(message, json),
        (Value::Message(message), Json::Object(members)) => {
            look_at(message, members);
            true
        }
        (Value::List(values), Json::Array(items)) => {
            let pairs = values.iter().zip(items);
            values.len() == items.len() && pairs.into_iter().all(|(value, json)| agree(field, value, json))
        }
        (Value::Map(entries), Json::Object(members)) => {
            let kind = field.kind();
            let Some(inner) = kind.as_message().map(prost_reflect::MessageDescriptor::map_entry_value_field) else {
                return false;
            };
            let held = |(key, value): (&MapKey, &Value)| {
                members.get(&key_text(key)).is_some_and(|json| agree(&inner, value, json))
            };
            entries.len() == members.len() && entries.iter().all(held)
        }
        _ => false,
    }
}

/// The reader used here is not exact in the last bit.
fn is_number(json: &Json, value: f64) -> bool {
    json.as_f64().is_some_and(|read| (read - value).abs() <= value.abs() * f64::EPSILON)
}

/// In whole seconds, UTC; `null` where no such text says it.
fn is_moment(message: &DynamicMessage, json: &Json) -> bool {
    let wire = prost_types::Timestamp::decode(message.encode_to_vec().as_slice()).expect("of the same type");
    let Some(text) = json.as_str() else { return json.is_null() && proto::time::from_wire(&wire).is_err() };
    let read = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok();
    let read = read.and_then(|read| TimeZone::UTC.to_timestamp(read).ok());
    read.is_some_and(|read| read.as_second() == wire.seconds)
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
