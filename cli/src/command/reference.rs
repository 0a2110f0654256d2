//! What a configuration can hold, as Markdown: from the very types that read it.

use std::fmt::Write;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::arguments::ServiceName;

/// All keys of a service's configuration.
pub(super) fn of(service: ServiceName) -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    match service {
        ServiceName::TokenService => {
            chapter("token-service.toml", &generator.into_root_schema_for::<token_service::Config>())
        }
        ServiceName::EnvironmentService => {
            chapter("environment-service.toml", &generator.into_root_schema_for::<environment_service::Config>())
        }
        ServiceName::ApiGateway => {
            chapter("api-gateway.toml", &generator.into_root_schema_for::<api_gateway::Config>())
        }
    }
}

fn chapter(name: &str, schema: &Schema) -> String {
    let root = schema.as_value();
    let mut text = format!("## {name}\n");
    tables(&mut text, root, root, "", "");
    text
}

/// The table of an object, and after it those of the objects in it.
fn tables(text: &mut String, root: &Value, object: &Value, path: &str, heading: &str) {
    if !heading.is_empty() {
        put(text, format_args!("\n### {heading}\n"));
    }
    put(text, format_args!("\n{}\n\n| key | type | what it is |\n|---|---|---|\n", description(object)));
    let empty = Map::new();
    let properties = object["properties"].as_object().unwrap_or(&empty);
    let required: Vec<&str> = object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut inner = Vec::new();
    for (key, property) in properties {
        let resolved = resolve(root, property);
        let text_of = [property, resolved].into_iter().map(description).find(|text| !text.is_empty());
        let text_of = text_of.unwrap_or_default().replace('|', "\\|");
        let needed = if required.contains(&key.as_str()) { " **Has to be given.**" } else { "" };
        put(text, format_args!("| `{key}` | {} | {text_of}{needed} |\n", kind(root, property)));
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let (element, is_list) = element(root, resolved);
        if element["properties"].is_object() {
            let heading = if is_list { format!("`[[{name}]]`") } else { format!("`[{name}]`") };
            inner.push((element, name, heading));
        }
    }
    for (object, path, heading) in inner {
        tables(text, root, object, &path, &heading);
    }
}

/// Where a schema only says that another one is meant, or none.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str() {
        let found = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return found.map_or(schema, |found| resolve(root, found));
    }
    let given = |key: &str| schema[key].as_array().into_iter().flatten().find(|one| one["type"] != "null");
    match given("anyOf").filter(|_| schema["properties"].is_null()) {
        Some(other) => resolve(root, other),
        None => schema,
    }
}

/// What a list holds, or the thing itself.
fn element<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    if schema["items"].is_object() { (resolve(root, &schema["items"]), true) } else { (schema, false) }
}

fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    if let Some(title) = schema["title"].as_str().filter(|_| schema["properties"].is_null()) {
        return title.to_owned();
    }
    let words = words(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    let named = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        one => one.as_str(),
    };
    match named {
        Some("array") => format!("array of {}", kind(root, &schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("table of {}", kind(root, &schema["additionalProperties"]))
        }
        Some("object") => "table".to_owned(),
        Some("string") => "text".to_owned(),
        Some("number") => "number".to_owned(),
        Some(other) => other.to_owned(),
        None => "value".to_owned(),
    }
}

/// The words of which one has to be chosen.
fn words(schema: &Value) -> Vec<String> {
    let quoted = |value: &Value| value.as_str().map(|word| format!("`\"{word}\"`"));
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().filter_map(quoted).collect();
    }
    schema["oneOf"].as_array().into_iter().flatten().filter_map(|one| quoted(&one["const"])).collect()
}

/// The comment in one line.
fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    let Ok(()) = text.write_fmt(more) else { unreachable!("a String takes all") };
}
