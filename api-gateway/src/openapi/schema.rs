//! Messages as JSON Schema, as they are sent and as they are answered.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use proto::catalog::{self, Catalog};
use proto::{ErrorKind, Method};
use serde_json::{Map, Value, json};

/// The schemas that a document needs, gathered as they are asked for.
pub(super) struct Schemas<'a> {
    catalog: &'a Catalog,
    /// By their names; `None` as long as one is being written.
    written: BTreeMap<String, Option<Value>>,
}

/// Whether all of a message's members are there whenever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Sent,
    Answered,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        let own = [("Failure", failure()), ("Problem", problem()), ("Result", result())];
        let written = own.into_iter().map(|(name, schema)| (name.to_owned(), Some(schema))).collect();
        Self { catalog, written }
    }

    pub(super) fn into_components(self) -> Map<String, Value> {
        self.written.into_iter().filter_map(|(name, schema)| Some((name, schema?))).collect()
    }

    /// The predefined sets that hold a method, by their names.
    pub(super) fn sets(&self, method: &Method) -> Vec<&'a str> {
        let sets = self.catalog.templates().iter();
        sets.filter(|(template, _)| method.is_in(*template)).map(|(_, name)| name.as_str()).collect()
    }

    /// A method's answer where it succeeds.
    pub(super) fn success(&mut self, method: &Method) -> Value {
        let output = method.descriptor().output();
        let mut members = self.members(&output, Direction::Answered);
        add_result(&mut members);
        if !method.is_wrapped() {
            return members;
        }
        let mut outer = json!({ "type": "object", "properties": { "response": members }, "required": ["response"] });
        add_result(&mut outer);
        outer
    }

    /// What is answered for a field.
    pub(super) fn value(&mut self, field: &FieldDescriptor) -> Value {
        self.field(field, Direction::Answered)
    }

    /// What is sent for a field.
    pub(super) fn sent(&mut self, field: &FieldDescriptor) -> Value {
        self.field(field, Direction::Sent)
    }

    fn field(&mut self, field: &FieldDescriptor, direction: Direction) -> Value {
        if field.is_map() {
            let entry = field.kind();
            let value = entry.as_message().map(MessageDescriptor::map_entry_value_field);
            let value = value.map_or_else(|| json!({}), |value| self.one(&value, direction));
            return json!({ "type": "object", "additionalProperties": value });
        }
        let one = self.one(field, direction);
        if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
    }

    fn one(&mut self, field: &FieldDescriptor, direction: Direction) -> Value {
        match field.kind() {
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "integer", "format": "int64" }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "integer", "minimum": 0 }),
            Kind::Enum(kind) => {
                let names: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
                json!({ "type": "string", "enum": names })
            }
            Kind::Message(_) if is_timestamp(field) => {
                json!({ "type": "string", "examples": ["2021-08-19 14:51:37"] })
            }
            Kind::Message(message) => self.reference(&message, direction),
        }
    }

    fn reference(&mut self, message: &MessageDescriptor, direction: Direction) -> Value {
        let name = name(message, direction);
        if !self.written.contains_key(&name) {
            self.written.insert(name.clone(), None);
            let schema = self.members(message, direction);
            self.written.insert(name.clone(), Some(schema));
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn members(&mut self, message: &MessageDescriptor, direction: Direction) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let mut schema = self.field(&field, direction);
            let text = catalog::field_documentation(&field);
            if let Some(members) = schema.as_object_mut()
                && !text.is_empty()
            {
                members.insert("description".to_owned(), json!(text));
            }
            properties.insert(field.json_name().to_owned(), schema);
            if direction == Direction::Answered && !field.supports_presence() {
                required.push(field.json_name().to_owned());
            }
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }
}

/// What a message is called: its name in the contract, without the package. What is sent is apart from what is answered, where more
/// is always there.
fn name(message: &MessageDescriptor, direction: Direction) -> String {
    let name = message.full_name().strip_prefix(message.package_name()).unwrap_or(message.full_name());
    let name = name.trim_start_matches('.');
    match direction {
        Direction::Answered => name.to_owned(),
        Direction::Sent => format!("{name}Input"),
    }
}

fn add_result(schema: &mut Value) {
    schema["properties"]["result"] = json!({ "const": 0, "description": "Success." });
    let mut required = vec![json!("result")];
    required.extend(schema["required"].as_array().into_iter().flatten().cloned());
    schema["required"] = required.into();
}

pub(super) fn is_timestamp(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp")
}

/// The kinds of failure, each with what it means.
fn kinds(value: impl Fn(ErrorKind) -> Value) -> Value {
    let kind =
        |kind: ErrorKind| json!({ "const": value(kind), "title": kind.reason(), "description": kind.documentation() });
    json!({ "oneOf": ErrorKind::all().into_iter().map(kind).collect::<Vec<_>>() })
}

/// The members of every failure, but the text.
fn details() -> Map<String, Value> {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let members = [
        ("result", kinds(|kind| json!(kind.result()))),
        ("reason", kinds(|kind| json!(kind.reason()))),
        ("parameter", described("string", "The parameter that is wrong.")),
        ("permission", described("string", "The permission that is missing.")),
        ("confinement", described("string", "What the credential is confined to that the call is outside of.")),
        ("retryAfter", described("string", "In how many seconds to try again.")),
        ("permissions", with(list, "description", json!("The permissions that open the method."))),
    ];
    members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn described(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "description": text })
}

fn with(mut schema: Value, member: &str, value: Value) -> Value {
    schema[member] = value;
    schema
}

/// An error as the platform tells it.
fn failure() -> Value {
    let mut properties = details();
    properties.insert("error".to_owned(), described("string", "What is wrong, for people."));
    properties.insert("source".to_owned(), described("string", "Always `JEL`."));
    json!({ "type": "object", "properties": properties, "required": ["result", "error", "reason", "source"] })
}

/// An error after RFC 9457.
fn problem() -> Value {
    let mut properties = details();
    properties.insert(
        "type".to_owned(),
        described("string", "Always `about:blank`: `reason` says what kind of error it is."),
    );
    properties.insert("title".to_owned(), described("string", "The HTTP status in words."));
    properties.insert("status".to_owned(), described("integer", "The HTTP status."));
    properties.insert("detail".to_owned(), described("string", "What is wrong, for people."));
    let required = ["type", "title", "status", "detail", "result", "reason"];
    json!({ "type": "object", "properties": properties, "required": required })
}

/// How a stream has ended.
fn result() -> Value {
    let text = "0 where there is nothing more to come; otherwise as in an error.";
    let mut properties = details();
    properties.insert("result".to_owned(), described("integer", text));
    properties.insert("error".to_owned(), described("string", "What is wrong, for people."));
    json!({ "type": "object", "properties": properties, "required": ["result"] })
}
