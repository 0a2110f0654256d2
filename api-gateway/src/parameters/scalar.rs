use std::fmt::Display;
use std::str::FromStr;

use prost_reflect::{Kind, Value};
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
        Kind::Float | Kind::Double | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => {
            Err(Failure::internal(format!("{} is of a type that no client can send", field.full_name())))
        }
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
