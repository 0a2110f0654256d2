//! A contract other than ours: nothing in the gateway knows the methods, so nothing may depend on the types that they use.

use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use prost_reflect::{DescriptorPool, SerializeOptions};
use proto::{Catalog, Failure, Method};
use serde_json::{Value, json};

use super::{Parameters, request};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let folders =
        [concat!(env!("CARGO_MANIFEST_DIR"), "/src/parameters"), concat!(env!("CARGO_MANIFEST_DIR"), "/../proto")];
    let mut compiler = protox::Compiler::new(folders).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file("every_type.proto").unwrap();
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();
    Catalog::read(&pool).unwrap()
});

fn method() -> &'static Method {
    CATALOG.by_name("example.types.Take").unwrap()
}

/// What is understood of a parameter, as protobuf's own JSON has it.
fn take(name: &str, value: &str) -> Result<Value, Failure> {
    let mut parameters = Parameters::default();
    parameters.add_encoded(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)).as_bytes())?;
    let message = request(method(), &parameters, 100_000)?;
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut serializer, &SerializeOptions::new()).unwrap();
    Ok(serde_json::from_slice::<Value>(&text).unwrap()[name].take())
}

#[test]
fn every_type_is_taken() {
    for (name, text, understood) in [
        ("double", "-1.5e300", json!(-1.5e300)),
        ("float", "0.5", json!(0.5)),
        ("int32", "-2147483648", json!(i32::MIN)),
        ("sfixed64", "-9223372036854775808", json!(i64::MIN.to_string())),
        ("uint32", "4294967295", json!(u32::MAX)),
        ("fixed64", "18446744073709551615", json!(u64::MAX.to_string())),
        ("bool", "TRUE", json!(true)),
        ("string", "null", json!("null")),
        ("bytes", "AP8=", json!("AP8=")),
        ("colour", "colour_red", json!("COLOUR_RED")),
        ("moment", "2030-01-02 03:04:05", json!("2030-01-02T03:04:05Z")),
        ("inner", "{'inner':[{'colour':'COLOUR_RED'}]}", json!({"inner": [{"colour": "COLOUR_RED"}]})),
        ("doubles", "1,-2.5", json!([1.0, -2.5])),
        ("bools", "[true,'False']", json!([true, false])),
        ("strings", "a,b  c", json!(["a,b", "c"])),
        ("blobs", "AA==,/w==", json!(["AA==", "/w=="])),
        ("colours", "COLOUR_RED,COLOUR_UNSPECIFIED", json!(["COLOUR_RED", "COLOUR_UNSPECIFIED"])),
        ("moments", "['2030-01-02T03:04:05Z']", json!(["2030-01-02T03:04:05Z"])),
        ("inner", "{'x':1,'inner':[{'y':{'z':[]}}]}", json!({"inner": [{}]})),
        ("byNumber", "{'7':{'x':1}}", json!({"7": {}})),
        ("inners", "[{},{'colour':1}]", json!([{}, {"colour": "COLOUR_RED"}])),
        ("texts", "{'A':'1','B':''}", json!({"A": "1", "B": ""})),
        ("byNumber", "{'7':{}}", json!({"7": {}})),
    ] {
        assert_eq!(take(name, text).unwrap(), understood, "{name}={text}");
        assert_eq!(take(name, "").unwrap(), Value::Null, "{name} is not given");
    }
}

#[test]
fn every_type_names_what_it_does_not_take() {
    for (name, text) in [
        ("double", "inf"),
        ("double", "NaN"),
        ("double", "1e999"),
        ("double", "1,5"),
        ("float", "1e39"),
        ("int32", "2147483648"),
        ("uint32", "-1"),
        ("fixed64", "18446744073709551616"),
        ("bool", "yes"),
        ("bytes", "?"),
        ("bytes", " "),
        ("colour", "COLOUR_BLUE"),
        ("colour", "1"),
        ("moment", "2030-01-02T03:04:05Z"),
        ("inner", "[]"),
        ("inner", "{'colour':'COLOUR_BLUE'}"),
        ("doubles", "1;2"),
        ("bools", "[{}]"),
        ("blobs", "AA==,?"),
        ("colours", "[1]"),
        ("moments", "2030-01-02 03:04:05"),
        ("inners", "{}"),
        ("texts", "{'A':{}}"),
        ("texts", "['A']"),
        ("byNumber", "{'x':{}}"),
    ] {
        let failure = take(name, text).unwrap_err();
        assert_eq!(failure.detail("parameter"), Some(name), "{name}={text}: {failure:?}");
    }
}

proptest! {
    #[test]
    fn no_value_panics(value in "\\PC*") {
        for parameter in method().parameters() {
            let _ = take(parameter.name(), &value);
        }
    }

    #[test]
    fn no_structure_panics(value in "[\\[\\]{}'\",:a0.\\\\/* -]{0,40}") {
        for parameter in method().parameters() {
            let _ = take(parameter.name(), &value);
        }
    }

    #[test]
    fn integers_are_exact(value: i64) {
        let fits = i32::try_from(value).is_ok();
        prop_assert_eq!(take("sfixed64", &value.to_string()).unwrap(), json!(value.to_string()));
        prop_assert_eq!(take("int32", &value.to_string()).is_ok(), fits);
    }

    #[test]
    fn strings_in_single_quotes_arrive_as_they_are(text in "[^'\\\\\\x00-\\x1f]{0,30}") {
        let value = format!("{{'A': '{text}', 'True': 'None'}}");
        prop_assert_eq!(take("texts", &value).unwrap(), json!({"A": text, "True": "None"}));
    }
}
