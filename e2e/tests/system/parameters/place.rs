//! Where in a request a value stands.

use prost_reflect::{FieldDescriptor, Kind};
use proto::catalog::{POOL, Parameter};
use proto::{Method, catalog};
use serde_json::{Value, json};

/// A value of a method's request: a parameter, or what stands in one that is a structure.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) method: &'static Method,
    pub(super) parameter: &'static Parameter,
    /// The members on the way from the parameter to the value.
    way: Vec<FieldDescriptor>,
}

/// The methods that are open to callers of the REST API.
pub(super) fn published() -> impl Iterator<Item = &'static Method> {
    catalog().methods().iter().filter(|method| method.rest_path().is_some())
}

impl Place {
    /// Every value of every published method that is no structure itself.
    pub(super) fn all() -> Vec<Self> {
        let parameters = published().flat_map(|method| method.parameters().iter().map(move |one| (method, one)));
        parameters.flat_map(|(method, parameter)| Self::in_parameter(method, parameter)).collect()
    }

    /// The values within a parameter; itself, where it is no structure.
    pub(super) fn in_parameter(method: &'static Method, parameter: &'static Parameter) -> Vec<Self> {
        let mut places = Vec::new();
        let mut open = vec![Self { method, parameter, way: Vec::new() }];
        while let Some(place) = open.pop() {
            match place.field().kind() {
                Kind::Message(inner) if !is_timestamp(place.field()) && !place.is_map() => {
                    open.extend(inner.fields().map(|field| {
                        let way = [place.way.as_slice(), &[field]].concat();
                        Self { way, ..place.clone() }
                    }));
                }
                _ => places.push(place),
            }
        }
        places
    }

    pub(super) fn field(&self) -> &FieldDescriptor {
        self.way.last().unwrap_or(self.parameter.field())
    }

    /// Whether it is a map of texts to texts: a JSON object.
    pub(super) fn is_map(&self) -> bool {
        self.field().is_map()
    }

    pub(super) fn is_nested(&self) -> bool {
        !self.way.is_empty()
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.field().kind(), Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64)
    }

    pub(super) fn is_text(&self) -> bool {
        self.field().kind() == Kind::String && !self.is_map()
    }

    /// `envName`, `nodes.count`.
    pub(super) fn name(&self) -> String {
        let members = self.way.iter().map(FieldDescriptor::json_name);
        std::iter::once(self.parameter.name()).chain(members).collect::<Vec<_>>().join(".")
    }

    /// Whether the contract says that the value names an environment.
    pub(super) fn names_environment(&self) -> bool {
        let option = POOL.get_extension_by_name("portcullis.api.v1.field").unwrap();
        let options = self.field().options();
        let rule = options.get_extension(&option);
        let named = rule.as_message().and_then(|rule| rule.get_field_by_name("environment"));
        named.is_some_and(|named| named.as_bool() == Some(true))
    }

    /// The parameter's text with this value in its place, in a structure that is all right otherwise.
    pub(super) fn with(&self, value: &Value) -> String {
        if !self.is_nested() {
            return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        }
        let image = self.way.first().is_some_and(|member| member.json_name() == "docker");
        let structure = if image { r#"[{"docker":{"image":"nginx"}}]"# } else { structure(self.parameter.name()) };
        let mut structure: Value = serde_json::from_str(structure).unwrap();
        let mut at = if structure.is_array() { &mut structure[0] } else { &mut structure };
        for member in &self.way {
            at = &mut at[member.json_name()];
        }
        *at = value.clone();
        structure.to_string()
    }

    /// Whether an answer's text names the value.
    pub(super) fn is_named_in(&self, text: &str) -> bool {
        let member = self.way.last().is_none_or(|member| text.contains(member.json_name()));
        member && names(text, self.parameter)
    }

    /// For the text of an assertion.
    pub(super) fn what(&self) -> String {
        format!("{} {}", self.method.name(), self.name())
    }
}

/// Whether an answer's text names a parameter, or something within it.
pub(super) fn names(text: &str, parameter: &Parameter) -> bool {
    let quoted = format!("`{}", parameter.name());
    text.split(&quoted).skip(1).any(|behind| behind.starts_with(['`', '.', '[']))
}

/// A structure that is all right.
pub(super) fn structure(parameter: &str) -> &'static str {
    match parameter {
        "env" => r#"{"shortdomain":"never-made"}"#,
        "nodes" => r#"[{"nodeType":"worker"}]"#,
        "commandList" => r#"[{"command":"true"}]"#,
        "vars" | "data" => r#"{"COLOUR":"red"}"#,
        _ => panic!("{parameter}: say here what is a right one"),
    }
}

pub(super) fn is_timestamp(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp")
}

/// What JSON has for a number of any size.
pub(super) fn number(number: i128) -> Value {
    json!(serde_json::Number::from_i128(number).unwrap())
}
