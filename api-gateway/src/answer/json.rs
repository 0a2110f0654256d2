//! A message as the platform writes JSON: every member by its name in the contract, numbers as numbers, moments as
//! `yyyy-MM-dd HH:mm:ss` in UTC; what is absent is left out, and what is empty is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage, Value};

/// Writes the members of a message; with a comma before the first where others stand before it.
pub(super) fn push_members(text: &mut String, message: &DynamicMessage, mut comma: bool) {
    for field in message.descriptor().fields() {
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        if comma {
            text.push(',');
        }
        comma = true;
        push_string(text, field.json_name());
        text.push(':');
        push_value(text, &field, &message.get_field(&field));
    }
}

fn push_value(text: &mut String, field: &FieldDescriptor, value: &Value) {
    match value {
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::I32(value) => text.push_str(&value.to_string()),
        Value::I64(value) => text.push_str(&value.to_string()),
        Value::U32(value) => text.push_str(&value.to_string()),
        Value::U64(value) => text.push_str(&value.to_string()),
        Value::F32(value) => push_number(text, f64::from(*value)),
        Value::F64(value) => push_number(text, *value),
        Value::String(value) => push_string(text, value),
        Value::Bytes(value) => push_string(text, &STANDARD.encode(value)),
        Value::EnumNumber(number) => push_enum(text, field, *number),
        Value::Message(message) => push_message(text, message),
        Value::List(values) => push_list(text, '[', ']', values, |text, value| push_value(text, field, value)),
        Value::Map(entries) => {
            let entry = field.kind();
            let of = entry.as_message().map(prost_reflect::MessageDescriptor::map_entry_value_field);
            push_list(text, '{', '}', entries, |text, (key, value)| {
                push_string(text, &map_key(key));
                text.push(':');
                push_value(text, of.as_ref().unwrap_or(field), value);
            });
        }
    }
}

fn push_list<T>(
    text: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    text.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push(text, item);
    }
    text.push(close);
}

fn push_message(text: &mut String, message: &DynamicMessage) {
    if message.descriptor().full_name() == "google.protobuf.Timestamp" {
        return push_moment(text, message);
    }
    text.push('{');
    push_members(text, message, false);
    text.push('}');
}

fn push_moment(text: &mut String, message: &DynamicMessage) {
    let wire = prost_types::Timestamp::decode(message.encode_to_vec().as_slice()).unwrap_or_default();
    match proto::time::from_wire(&wire) {
        Ok(moment) => push_string(text, &moment.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        Err(_) => text.push_str("null"),
    }
}

fn push_enum(text: &mut String, field: &FieldDescriptor, number: i32) {
    let name = field.kind().as_enum().and_then(|kind| kind.get_value(number).map(|value| value.name().to_owned()));
    match name {
        Some(name) => push_string(text, &name),
        None => text.push_str(&number.to_string()),
    }
}

/// JSON has no number for what is not finite.
fn push_number(text: &mut String, value: f64) {
    text.push_str(&serde_json::Number::from_f64(value).map_or_else(|| "null".to_owned(), |number| number.to_string()));
}

fn push_string(text: &mut String, value: &str) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

fn map_key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json<M: Message>(name: &str, message: &M) -> serde_json::Value {
        let descriptor = proto::catalog::POOL.get_message_by_name(name).unwrap();
        let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
        let mut text = String::new();
        push_message(&mut text, &message);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn what_is_empty_is_there_and_what_is_absent_is_not() {
        let token = proto::token::v1::ApiToken {
            id: i64::MAX,
            description: "a \"quoted\" é\u{1}".to_owned(),
            last_used: Some(prost_types::Timestamp { seconds: 1_629_384_697, nanos: 5 }),
            ..Default::default()
        };
        let expected = serde_json::json!({
            "id": i64::MAX, "description": "a \"quoted\" é\u{1}", "lastUsed": "2021-08-19 14:51:37",
            "isSystem": false, "apiListItems": [], "environments": [], "sourceNetworks": [], "expiresSoon": false,
            "isExpired": false, "lastUsedAddress": "", "lastUsedMethod": "", "useCount": 0,
        });
        assert_eq!(json("portcullis.token.v1.ApiToken", &token), expected);
    }

    #[test]
    fn names_are_those_that_clients_read() {
        let node = json("portcullis.environment.v1.Node", &proto::environment::v1::Node::default());
        for name in ["intIP", "guestOSType", "hostOSType", "ismaster", "nodeGroup", "diskIopsLimit", "vType"] {
            assert!(node.get(name).is_some(), "{name}");
        }
    }
}
