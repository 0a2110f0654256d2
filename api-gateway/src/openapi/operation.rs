//! A method as the operations of its path.

use prost_reflect::Kind;
use proto::Method;
use proto::catalog::{Access, Parameter};
use serde_json::{Map, Value, json};

use super::schema::{Schemas, is_timestamp};

/// What a method's path answers to.
pub(super) fn operations(method: &Method, schemas: &mut Schemas) -> Value {
    let mut operations = Map::new();
    if !method.is_post_only() {
        let mut get = operation(method, schemas, "get");
        let parameters: Vec<Value> = method.parameters().iter().map(|parameter| in_query(parameter, schemas)).collect();
        get.insert("parameters".to_owned(), parameters.into());
        operations.insert("get".to_owned(), get.into());
    }
    let mut post = operation(method, schemas, "post");
    if let Some(body) = body(method, schemas) {
        post.insert("requestBody".to_owned(), body);
    }
    operations.insert("post".to_owned(), post.into());
    operations.into()
}

fn operation(method: &Method, schemas: &mut Schemas, verb: &str) -> Map<String, Value> {
    let documentation = method.documentation();
    let summary = documentation.split_once(". ").map_or(documentation, |(first, _)| first);
    let mut operation = Map::from_iter([
        ("operationId".to_owned(), json!(format!("{}.{verb}", method.name()))),
        ("tags".to_owned(), json!([method.group()])),
        ("summary".to_owned(), json!(summary.trim_end_matches('.'))),
        ("description".to_owned(), json!(documentation)),
        ("responses".to_owned(), responses(method, schemas)),
        ("x-portcullis".to_owned(), rule(method, schemas)),
    ]);
    let security = match method.access() {
        Some(Access::Public) | None => json!([]),
        Some(_) => json!([{ "bearer": [] }, { "session": [] }]),
    };
    operation.insert("security".to_owned(), security);
    operation
}

/// Who may call it.
fn rule(method: &Method, schemas: &Schemas) -> Value {
    let mut rule = Map::from_iter([
        ("method".to_owned(), json!(method.name())),
        ("access".to_owned(), json!(method.access().map_or("nobody", Access::name))),
        ("safe".to_owned(), json!(method.is_safe())),
    ]);
    if let Some(id) = method.permission() {
        rule.insert("permission".to_owned(), json!(id.0));
        rule.insert("sets".to_owned(), json!(schemas.sets(method)));
    }
    rule.into()
}

fn responses(method: &Method, schemas: &mut Schemas) -> Value {
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let output = method.descriptor().output();
    if method.is_streaming() {
        let events: Map<String, Value> = output
            .fields()
            .map(|field| (field.json_name().to_owned(), schemas.value(&field)))
            .chain([("end".to_owned(), json!({ "$ref": "#/components/schemas/Result" }))])
            .collect();
        let text = "The events, each with an object as its data: `x-events` says which. An error that comes before the first event \
                    is answered as those of other methods are.";
        return json!({
            "200": {
                "description": text,
                "content": {
                    "text/event-stream": { "schema": { "type": "string" }, "x-events": events },
                    "application/json": { "schema": { "$ref": "#/components/schemas/Failure" } },
                },
            },
            "default": problem,
        });
    }
    let success = schemas.success(method);
    json!({
        "200": {
            "description": "What came of it: `result` is 0 where the call succeeded.",
            "content": { "application/json": {
                "schema": { "oneOf": [success, { "$ref": "#/components/schemas/Failure" }] },
            } },
        },
        "default": problem,
    })
}

fn in_query(parameter: &Parameter, schemas: &mut Schemas) -> Value {
    let mut written = Map::from_iter([
        ("name".to_owned(), json!(parameter.name())),
        ("in".to_owned(), json!("query")),
        ("required".to_owned(), json!(parameter.is_required())),
        ("description".to_owned(), json!(description(parameter))),
    ]);
    let schema = sent(parameter, schemas);
    if is_structured(parameter) {
        written.insert("content".to_owned(), json!({ "application/json": { "schema": schema } }));
    } else {
        written.insert("schema".to_owned(), schema);
        if parameter.field().is_list() {
            written.insert("style".to_owned(), json!("form"));
            // A list can be repeated whatever parts its values otherwise.
            written.insert("explode".to_owned(), json!(true));
        }
    }
    written.into()
}

/// The form of a POST; none where there are no parameters.
fn body(method: &Method, schemas: &mut Schemas) -> Option<Value> {
    if method.parameters().is_empty() {
        return None;
    }
    let mut properties = Map::new();
    let mut encoding = Map::new();
    for parameter in method.parameters() {
        let mut schema = sent(parameter, schemas);
        if let Some(members) = schema.as_object_mut() {
            members.insert("description".to_owned(), json!(description(parameter)));
        }
        properties.insert(parameter.name().to_owned(), schema);
        if is_structured(parameter) {
            encoding.insert(parameter.name().to_owned(), json!({ "contentType": "application/json" }));
        }
    }
    let required: Vec<&str> =
        method.parameters().iter().filter(|parameter| parameter.is_required()).map(Parameter::name).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let mut media = Map::from_iter([("schema".to_owned(), schema)]);
    if !encoding.is_empty() {
        media.insert("encoding".to_owned(), encoding.into());
    }
    Some(json!({
        "required": !required.is_empty(),
        "content": { "application/x-www-form-urlencoded": media },
    }))
}

/// What is sent for a parameter.
fn sent(parameter: &Parameter, schemas: &mut Schemas) -> Value {
    let mut schema = schemas.sent(parameter.field());
    if parameter.wildcard().is_some() {
        schema["items"] = json!({ "anyOf": [schema["items"], { "const": "*" }] });
    }
    if let Some(members) = schema.as_object_mut()
        && parameter.is_secret()
    {
        members.insert("format".to_owned(), json!("password"));
        members.insert("writeOnly".to_owned(), json!(true));
    }
    schema
}

fn description(parameter: &Parameter) -> String {
    let mut text = parameter.documentation().to_owned();
    let mut add = |more: String| {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&more);
    };
    if parameter.field().is_list() && !is_structured(parameter) {
        let separators: Vec<String> = parameter.separators().chars().map(|letter| format!("`{letter}`")).collect();
        add(format!("Its values can be in one text, parted by {}, too.", separators.join(" or ")));
    }
    if parameter.wildcard().is_some() {
        add("`*` stands for all there is.".to_owned());
    }
    match parameter.aliases() {
        [] => {}
        aliases => {
            let aliases: Vec<String> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
            add(format!("Also read as {}.", aliases.join(", ")));
        }
    }
    text
}

/// Whether it is sent as JSON text.
fn is_structured(parameter: &Parameter) -> bool {
    let field = parameter.field();
    field.is_map() || (matches!(field.kind(), Kind::Message(_)) && !is_timestamp(field))
}
