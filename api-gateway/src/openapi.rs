//! The contract as an OpenAPI 3.1 document: what [`crate::parameters`] reads and [`crate::answer`] writes, said once more for
//! programs and people. Nothing in it is written by hand but what holds for every method.

mod operation;
mod schema;

use std::sync::LazyLock;

use http::header::ALLOW;
use http::{HeaderValue, Method as Verb, StatusCode};
use proto::{Catalog, ErrorKind, Failure, Method, catalog};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Form};
use operation::operations;
use schema::Schemas;

/// Where the document is.
pub(crate) const PATH: &str = "/openapi.json";

const INTRODUCTION: &str = "\
Every method is called by GET with its parameters in the query, or by POST with them in a form in the body; methods that change \
what credentials may do are called by POST only. Names of methods and parameters are read without regard to case. \
Every answer is HTTP 200 with a `result`: 0 is success, anything else an error, whose text is in `error`. Who asks for \
`application/problem+json` gets errors after RFC 9457 instead, under their true HTTP status. \
What is absent is left out of answers, and what is empty is not. Moments are `yyyy-MM-dd HH:mm:ss` in UTC. \
A method that answers with a stream answers with server-sent events; the last one is `end`, with the `result` of the stream. \
The extension `x-portcullis` says who may call a method: `access`, the number of the `permission` that opens it to tokens, the \
predefined `sets` that hold that, and whether the method is `safe`, which is to change nothing.";

/// The document, as it is served.
pub fn document() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", of(catalog())));
    &TEXT
}

/// The answer to a request of the document.
pub(crate) fn answer(verb: &Verb) -> Answer {
    if !matches!(*verb, Verb::GET | Verb::HEAD) {
        let failure = Failure::new(ErrorKind::PostOnly, "the document is read by GET");
        return Answer::failure(&failure, Form::Problem, None).with(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    // Not a copy for each that asks: nobody is asked who it is.
    Answer::json(StatusCode::OK, 0, document())
}

fn of(catalog: &Catalog) -> Value {
    let mut methods: Vec<&Method> = catalog.methods().iter().filter(|method| method.rest_path().is_some()).collect();
    methods.sort_by_key(|method| (method.group(), method.name()));
    let mut schemas = Schemas::new(catalog);
    let mut paths = Map::new();
    for method in &methods {
        if let Some(path) = method.rest_path() {
            paths.insert(path, operations(method, &mut schemas));
        }
    }
    let groups = methods.chunk_by(|one, other| one.group() == other.group());
    let described =
        |group: &[&Method]| json!({ "name": group[0].group(), "description": group[0].group_documentation() });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Environments, and the tokens that scripts control them with.",
            "description": INTRODUCTION,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "tags": groups.map(described).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "responses": { "Problem": {
                "description": "The error, to whoever asks for `application/problem+json`.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "session",
                    "description": "A token or a session. `token` is another name of the parameter; of a POST it can be in the form.",
                },
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token or a session." },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_method_is_in_it_and_no_other() {
        let document: Value = serde_json::from_str(document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let mut expected: Vec<String> = catalog().methods().iter().filter_map(Method::rest_path).collect();
        expected.sort();
        let mut there: Vec<String> = paths.keys().cloned().collect();
        there.sort();
        assert_eq!(there, expected);
        for method in catalog().methods() {
            let Some(path) = method.rest_path() else { continue };
            assert_eq!(paths[&path].get("get").is_some(), !method.is_post_only(), "{path}");
            assert!(paths[&path].get("post").is_some(), "{path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(document()).unwrap();
        let mut pending = vec![&document];
        let mut count = 0;
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        count += 1;
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    pending.extend(members.values());
                }
                Value::Array(items) => pending.extend(items),
                _ => {}
            }
        }
        assert!(count > 100);
    }
}
