//! From what a client sent to a request message, by the method's descriptor. Pure: no I/O, and nothing panics on any bytes.

mod date;
mod list;
mod names;
mod scalar;
mod structured;

pub(crate) use names::{Parameters, known_name};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use proto::catalog::Parameter;
use proto::{Failure, Method};

/// Builds a method's request. Everything is looked at before anything is done.
pub(crate) fn request(method: &Method, sent: &Parameters, max_bytes: usize) -> Result<DynamicMessage, Failure> {
    let mut message = DynamicMessage::new(method.descriptor().input());
    for parameter in method.parameters() {
        let values = sent.values(parameter, max_bytes)?;
        set(&mut message, parameter, &values)?;
    }
    Ok(message)
}

fn set(message: &mut DynamicMessage, parameter: &Parameter, values: &[&str]) -> Result<(), Failure> {
    let field = parameter.field();
    if field.is_list() && !is_message(field) {
        return set_list(message, parameter, values);
    }
    // An empty value is not given.
    let given: Vec<&str> = values.iter().copied().filter(|value| !value.is_empty()).collect();
    let value = match given.as_slice() {
        [] => None,
        [value] => decode(parameter, value)?,
        _ => return Err(Failure::invalid(parameter.name(), "is given more than once")),
    };
    match value {
        Some(Value::List(values)) if values.is_empty() => missing(parameter),
        Some(Value::Map(entries)) if entries.is_empty() && !parameter.may_be_empty() => missing(parameter),
        Some(value) => put(message, parameter, field, value),
        None => missing(parameter),
    }
}

fn set_list(message: &mut DynamicMessage, parameter: &Parameter, values: &[&str]) -> Result<(), Failure> {
    let items = list::items(parameter, values)?;
    if let Some(wildcard) = parameter.wildcard()
        && items == ["*"]
    {
        return put(message, parameter, &wildcard, Value::Bool(true));
    }
    if items.is_empty() {
        return missing(parameter);
    }
    let decoded: Result<Vec<Value>, Failure> = items.iter().map(|item| scalar::decode(parameter, item)).collect();
    message.set_field(parameter.field(), Value::List(decoded?));
    Ok(())
}

/// Sets a field, which the `*` of a list sets as well: what a call says twice has to be the same.
fn put(
    message: &mut DynamicMessage,
    parameter: &Parameter,
    field: &FieldDescriptor,
    value: Value,
) -> Result<(), Failure> {
    if message.has_field(field) && *message.get_field(field) != value {
        return Err(Failure::invalid(parameter.name(), "contradicts another parameter, of which one is `*`"));
    }
    message.set_field(field, value);
    Ok(())
}

/// Nothing to set: all right, unless the method needs it.
fn missing(parameter: &Parameter) -> Result<(), Failure> {
    if parameter.is_required() { Err(Failure::invalid(parameter.name(), "is missing")) } else { Ok(()) }
}

/// One value; `None` where the text means that none is given.
fn decode(parameter: &Parameter, text: &str) -> Result<Option<Value>, Failure> {
    let field = parameter.field();
    let textual = matches!(field.kind(), Kind::String | Kind::Bytes) && !field.is_map();
    if text.is_empty() || (!textual && text == "null") {
        return Ok(None);
    }
    if is_timestamp(field) && !field.is_list() {
        return date::decode(parameter, text).map(Some);
    }
    if field.is_map() || is_message(field) {
        return structured::decode(parameter, text).map(Some);
    }
    scalar::decode(parameter, text).map(Some)
}

fn is_message(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(_))
}

fn is_timestamp(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp")
}

#[cfg(test)]
mod every_type;
#[cfg(test)]
mod tests;
