use prost_reflect::{ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::{decode_option, documentation};
use crate::api::v1::FieldRule;

/// A parameter of a method: a field of its request.
#[derive(Debug)]
pub struct Parameter {
    field: FieldDescriptor,
    rule: FieldRule,
    documentation: String,
}

impl Parameter {
    pub(super) fn of(request: &MessageDescriptor, option: &ExtensionDescriptor) -> Vec<Self> {
        request
            .fields()
            .map(|field| Self {
                rule: decode_option(field.options().get_extension(option).as_ref()),
                documentation: documentation(&field.parent_file(), field.path()),
                field,
            })
            .collect()
    }

    /// The name in REST: `envName`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.field.json_name()
    }

    /// Other names under which REST clients send it.
    #[must_use]
    pub fn aliases(&self) -> &[String] {
        &self.rule.aliases
    }

    /// Whether `name` is its name or an alias, without regard to case.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name) || self.rule.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// Whether a call without it is refused.
    #[must_use]
    pub fn is_required(&self) -> bool {
        if self.field.is_list() || self.field.is_map() {
            return self.rule.required || self.rule.sent;
        }
        !self.field.field_descriptor_proto().proto3_optional()
    }

    /// Whether it may be empty where it has to be sent: a map, `{}`.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.rule.sent
    }

    /// Whether its value must be shown nowhere.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.rule.secret
    }

    /// Whether its value names an environment.
    #[must_use]
    pub fn is_environment(&self) -> bool {
        self.rule.environment
    }

    /// The characters that part the values of a list in text form.
    #[must_use]
    pub fn separators(&self) -> &str {
        if self.rule.separators.is_empty() { "," } else { &self.rule.separators }
    }

    /// The field to set where the value is `*`.
    #[must_use]
    pub fn wildcard(&self) -> Option<FieldDescriptor> {
        self.field.parent_message().get_field_by_name(&self.rule.wildcard)
    }

    /// The request's field.
    #[must_use]
    pub fn field(&self) -> &FieldDescriptor {
        &self.field
    }

    /// What the contract says of it.
    #[must_use]
    pub fn documentation(&self) -> &str {
        &self.documentation
    }

    /// What its value is, in words: `string`, `integer`, `list of integer`, `JSON object`.
    #[must_use]
    pub fn type_name(&self) -> String {
        let one = match self.field.kind() {
            Kind::Bool => "boolean",
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => "integer",
            Kind::Float | Kind::Double => "number",
            Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => "date",
            Kind::Message(_) => "JSON object",
            _ => "string",
        };
        if self.field.is_list() { format!("list of {one}") } else { one.to_owned() }
    }
}
