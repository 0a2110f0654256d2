//! A message as the parameters of a call, in the plainest way of writing each.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, SerializeOptions, Value};
use proto::Method;
use proto::catalog::Parameter;
use serde_json::Value as Json;

use crate::parting::Pairs;

/// The parameters that make the message.
pub(crate) fn parameters(method: &Method, message: &DynamicMessage) -> Pairs {
    let json = json(message);
    let sent = method.parameters().iter().filter_map(|parameter| {
        let text = parameter_text(parameter, message, &json)?;
        Some((parameter.name().as_bytes().to_vec(), text.into_bytes()))
    });
    sent.collect()
}

fn parameter_text(parameter: &Parameter, message: &DynamicMessage, json: &Json) -> Option<String> {
    let field = parameter.field();
    let all = parameter.wildcard().is_some_and(|all| message.get_field(&all).as_bool() == Some(true));
    let is_given = message.has_field(field) || !(field.supports_presence() || field.is_list() || field.is_map());
    match message.get_field(field).as_ref() {
        Value::List(items) if items.is_empty() && all => Some("*".to_owned()),
        Value::Map(entries) if entries.is_empty() && parameter.may_be_empty() => Some("{}".to_owned()),
        _ if !is_given => None,
        Value::Message(message) if is_timestamp(field) => Some(moment(message)),
        Value::List(items) if !matches!(field.kind(), Kind::Message(_)) => {
            Some(Json::from(items.iter().map(|item| scalar(field, item)).collect::<Vec<_>>()).to_string())
        }
        Value::Message(_) | Value::List(_) | Value::Map(_) => Some(json[field.json_name()].to_string()),
        value => Some(scalar(field, value)),
    }
}

fn json(message: &DynamicMessage) -> Json {
    let options = SerializeOptions::new();
    let written = message.serialize_with_options(serde_json::value::Serializer, &options);
    written.expect("what was read can be written")
}

pub(crate) fn is_timestamp(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp")
}

/// As the platform writes it, in UTC.
fn moment(message: &DynamicMessage) -> String {
    let wire = prost_types::Timestamp::decode(message.encode_to_vec().as_slice()).expect("of the same type");
    let moment = Timestamp::new(wire.seconds, wire.nanos).expect("what was read is within the range");
    moment.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn scalar(field: &FieldDescriptor, value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Bytes(value) => STANDARD.encode(value),
        Value::EnumNumber(number) => {
            let kind = field.kind();
            let named = kind.as_enum().and_then(|kind| kind.get_value(*number));
            named.expect("a parameter has only values that have names").name().to_owned()
        }
        Value::Message(_) | Value::List(_) | Value::Map(_) => unreachable!("no simple value"),
    }
}
