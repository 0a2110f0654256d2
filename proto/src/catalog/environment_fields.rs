use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};

use super::decode_option;
use crate::api::v1::FieldRule;

/// How deep in a request an environment may be named.
const DEPTH: usize = 8;

/// Where in a request environments are named: the ways from the message to fields that say so.
#[derive(Debug)]
pub(super) struct EnvironmentFields(Vec<Vec<FieldDescriptor>>);

impl EnvironmentFields {
    pub(super) fn of(request: &MessageDescriptor, option: &ExtensionDescriptor) -> Self {
        let mut ways = Vec::new();
        collect(request, option, &[], &mut ways);
        Self(ways)
    }

    /// The names in a request.
    pub(super) fn named(&self, request: &DynamicMessage) -> Vec<String> {
        let mut names = Vec::new();
        for way in &self.0 {
            follow(request, way, &mut names);
        }
        names
    }
}

fn collect(
    message: &MessageDescriptor,
    option: &ExtensionDescriptor,
    way: &[FieldDescriptor],
    ways: &mut Vec<Vec<FieldDescriptor>>,
) {
    for field in message.fields() {
        let rule: FieldRule = decode_option(field.options().get_extension(option).as_ref());
        let here = || [way, std::slice::from_ref(&field)].concat();
        match field.kind() {
            Kind::String if rule.environment => ways.push(here()),
            Kind::Message(inner) if !field.is_map() && way.len() < DEPTH => collect(&inner, option, &here(), ways),
            _ => {}
        }
    }
}

fn follow(message: &DynamicMessage, way: &[FieldDescriptor], names: &mut Vec<String>) {
    let Some((field, rest)) = way.split_first() else { return };
    debug_assert_eq!(&message.descriptor(), field.parent_message());
    if field.supports_presence() && !message.has_field(field) {
        return;
    }
    let value = message.get_field(field);
    let values = match value.as_ref() {
        Value::List(values) => values.as_slice(),
        single => std::slice::from_ref(single),
    };
    for value in values {
        match value {
            Value::String(name) => names.push(name.clone()),
            Value::Message(inner) => follow(inner, rest, names),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_request_and_in_messages_within() {
        let method = crate::catalog().by_name("environment.control.CreateEnvironment").unwrap();
        let mut request = DynamicMessage::new(method.descriptor().input());
        assert!(method.environments(&request).is_empty());
        let mut environment = match request.get_field_by_name("env").unwrap().into_owned() {
            Value::Message(message) => message,
            other => panic!("{other:?}"),
        };
        environment.set_field_by_name("shortdomain", Value::String("mine".into()));
        request.set_field_by_name("env", Value::Message(environment));
        assert_eq!(method.environments(&request), ["mine"]);

        let method = crate::catalog().by_name("environment.control.StopEnv").unwrap();
        let mut request = DynamicMessage::new(method.descriptor().input());
        request.set_field_by_name("env_name", Value::String("other".into()));
        assert_eq!(method.environments(&request), ["other"]);
    }
}
