//! Structured parameters: JSON text, and as two clients send it, with single quotes.

use std::borrow::Cow;
use std::fmt;

use access::Credential;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, Value};
use proto::Failure;
use proto::catalog::Parameter;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use serde_path_to_error::Track;

use super::names::NUL;

/// How deep arrays and objects may stand in each other.
const MAX_DEPTH: usize = 32;

/// A field of messages, one or a list or a map of them. Members that the contract does not know are ignored, as parameters are.
pub(super) fn decode(parameter: &Parameter, text: &str) -> Result<Value, Failure> {
    let field = parameter.field();
    let value = parse(parameter, text)?;
    let fits = if field.is_list() { value.is_array() } else { value.is_object() };
    if !fits {
        let form = if field.is_list() { "a JSON array of objects" } else { "a JSON object" };
        return Err(Failure::invalid(parameter.name(), format!("must be {form}")));
    }
    let mut request = Json::Object(Map::from_iter([(field.json_name().to_owned(), value)]));
    drop_unknown(&mut request, field.parent_message());
    let options = DeserializeOptions::new();
    let mut track = Track::new();
    let request = serde_path_to_error::Deserializer::new(request, &mut track);
    let message = DynamicMessage::deserialize_with_options(field.parent_message().clone(), request, &options);
    let message = message.map_err(|error| {
        let path = track.path().to_string();
        let member = path.strip_prefix(field.json_name()).unwrap_or_default().trim_start_matches('.');
        // The names in a map are the caller's own: what went astray into one is not repeated.
        let told = !member.is_empty() && !Credential::may_be_in(member);
        let at = if told { format!(" at `{member}`") } else { String::new() };
        Failure::invalid(parameter.name(), format!("does not fit{at}{}", expected(&error.to_string())))
    })?;
    Ok(message.get_field(field).into_owned())
}

/// What was expected, without what was there: it can be a secret.
fn expected(error: &str) -> String {
    error.rsplit_once(", expected ").map_or_else(String::new, |(_, expected)| format!(": it must be {expected}"))
}

/// Drops the members that the contract does not know. Decoding could ignore them, but then it ignores unknown values of enums too.
fn drop_unknown(value: &mut Json, message: &MessageDescriptor) {
    // The JSON of these is not that of their fields.
    if message.full_name().starts_with("google.protobuf.") {
        return;
    }
    let Json::Object(members) = value else { return };
    let known = |name: &str| message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name));
    members.retain(|name, _| known(name).is_some());
    for (name, value) in members {
        let Some(field) = known(name) else { continue };
        match (field.kind(), value) {
            (Kind::Message(entry), Json::Object(entries)) if field.is_map() => {
                if let Kind::Message(inner) = entry.map_entry_value_field().kind() {
                    entries.values_mut().for_each(|value| drop_unknown(value, &inner));
                }
            }
            (Kind::Message(inner), Json::Array(values)) => {
                values.iter_mut().for_each(|value| drop_unknown(value, &inner));
            }
            (Kind::Message(inner), value) => drop_unknown(value, &inner),
            _ => {}
        }
    }
}

/// Reads JSON, or JSON with single quotes; in both a member that is there twice is refused.
pub(super) fn parse(parameter: &Parameter, text: &str) -> Result<Json, Failure> {
    let wrong = |error: &dyn fmt::Display| Failure::invalid(parameter.name(), format!("must be JSON: {error}"));
    let mut strict = serde_json::Deserializer::from_str(text);
    let error = match AnyValue(0).deserialize(&mut strict).and_then(|value| strict.end().map(|()| value)) {
        Ok(value) => return Ok(value),
        // It is JSON, and what is wrong with it is not its quotes.
        Err(error) if error.is_data() => return Err(wrong(&error)),
        Err(error) => error,
    };
    let single_quoted = text.contains('\'').then(|| json5::from_str::<Json5Value>(&without_python(text)));
    match single_quoted {
        Some(Ok(value)) => Ok(value.0),
        Some(Err(error)) => Err(wrong(&error)),
        None => Err(wrong(&error)),
    }
}

/// Python writes its values with single quotes, and three words in its own way: `True`, `False` and `None`.
fn without_python(text: &str) -> Cow<'_, str> {
    if !["True", "False", "None"].iter().any(|word| text.contains(word)) {
        return text.into();
    }
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\'' | '"' => quoted(rest, letter),
            _ if letter.is_alphanumeric() => rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let (piece, behind) = rest.split_at(length);
        json.push_str(match piece {
            "True" => "true",
            "False" => "false",
            "None" => "null",
            other => other,
        });
        rest = behind;
    }
    json.into()
}

/// The length of the string that a text begins with, both quotes included; to the end where it is not closed.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if !escaped && letter == quote {
            return at + letter.len_utf8();
        }
        escaped = !escaped && letter == '\\';
    }
    text.len()
}

struct Json5Value(Json);

impl<'de> serde::Deserialize<'de> for Json5Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnyValue(0).deserialize(deserializer).map(Self)
    }
}

/// Any value at a depth, in which no member is there twice.
#[derive(Clone, Copy)]
struct AnyValue(usize);

impl AnyValue {
    /// What stands in this one. The readers call themselves for it, so here is where they end.
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH { Ok(Self(self.0 + 1)) } else { Err(E::custom("it is nested too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        serde_json::Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        if value.contains(NUL) { Err(E::custom("a text contains the character NUL")) } else { Ok(value.into()) }
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = values.next_element_seed(self.inner()?)? {
            array.push(value);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.inner()?)?;
            if object.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format_args!("the member `{name}` is there twice")));
            }
        }
        Ok(Json::Object(object))
    }
}
