use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{EnumDescriptor, Kind, Value};
use proto::Failure;
use proto::catalog::Parameter;

/// One value of a simple type. The text is not repeated in errors: it can be a secret that went astray.
pub(super) fn decode(parameter: &Parameter, text: &str) -> Result<Value, Failure> {
    let field = parameter.field();
    match field.kind() {
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bool => boolean(parameter, text),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(parameter, text, i32::MIN, i32::MAX).map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(parameter, text, i64::MIN, i64::MAX).map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => integer(parameter, text, u32::MIN, u32::MAX).map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => integer(parameter, text, u64::MIN, u64::MAX).map(Value::U64),
        Kind::Double => number(parameter, text, f64::MAX).map(Value::F64),
        #[expect(clippy::cast_possible_truncation, reason = "it is within the range, and a float is no exact number")]
        Kind::Float => number(parameter, text, f64::from(f32::MAX)).map(|number| Value::F32(number as f32)),
        Kind::Enum(kind) => choice(parameter, text, &kind),
        Kind::Bytes => match STANDARD.decode(text.trim()) {
            // Blanks are as little a value of this type as of a number.
            Ok(bytes) if !bytes.is_empty() => Ok(Value::Bytes(bytes.into())),
            _ => Err(Failure::invalid(parameter.name(), "must be base64")),
        },
        // Messages are structures, and read as such.
        Kind::Message(_) => Err(Failure::internal(format!("{} is no simple value", field.full_name()))),
    }
}

fn boolean(parameter: &Parameter, text: &str) -> Result<Value, Failure> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        text if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        _ => Err(Failure::invalid(parameter.name(), "must be `true` or `false`")),
    }
}

fn integer<N: FromStr + Display + Copy>(parameter: &Parameter, text: &str, least: N, most: N) -> Result<N, Failure> {
    let text = text.trim();
    // Rust's own parsing takes a plus sign, which in a query is a space.
    let digits = !text.starts_with('+');
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| Failure::invalid(parameter.name(), format!("must be a whole number from {least} to {most}")))
}

fn number(parameter: &Parameter, text: &str, most: f64) -> Result<f64, Failure> {
    let text = text.trim();
    // Rust's own parsing takes `inf` and `nan` in several ways of writing them.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"-.eE".contains(&byte));
    let number = text.parse::<f64>().ok().filter(|number| digits && number.abs() <= most);
    number.ok_or_else(|| Failure::invalid(parameter.name(), format!("must be a number, at most {most:e} from zero")))
}

/// A value of an enum: its name in the contract, as answers have it, without regard to case.
fn choice(parameter: &Parameter, text: &str, kind: &EnumDescriptor) -> Result<Value, Failure> {
    let mut values = kind.values();
    let chosen = values.find(|value| value.name().eq_ignore_ascii_case(text.trim()));
    chosen.map(|value| Value::EnumNumber(value.number())).ok_or_else(|| {
        let names: Vec<String> = kind.values().map(|value| format!("`{}`", value.name())).collect();
        Failure::invalid(parameter.name(), format!("must be one of {}", names.join(", ")))
    })
}
