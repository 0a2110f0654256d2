use proto::Failure;
use proto::catalog::Parameter;
use serde_json::Value;

use super::structured;

/// The values of a list, in whichever way they were sent: parted by the parameter's separators, as a JSON array (with single
/// quotes as well), by repeating the parameter, or mixed. Empty ones count for nothing.
pub(super) fn items(parameter: &Parameter, values: &[&str]) -> Result<Vec<String>, Failure> {
    let mut items = Vec::new();
    for value in values {
        let value = value.trim();
        if value.starts_with('[') {
            items.extend(array(parameter, value)?);
        } else if value != "null" {
            let parts = value.split(|letter| parameter.separators().contains(letter));
            items.extend(parts.map(|part| unquote(part).to_owned()).filter(|part| !part.is_empty()));
        }
    }
    Ok(items)
}

fn array(parameter: &Parameter, text: &str) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::invalid(parameter.name(), "must be a list of simple values");
    let Value::Array(values) = structured::parse(parameter, text)? else { return Err(wrong()) };
    let items = values.into_iter().map(|value| match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(boolean) => Ok(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong()),
    });
    let mut items = items.collect::<Result<Vec<String>, Failure>>()?;
    items.retain(|item| !item.is_empty());
    Ok(items)
}

/// `'a'` is `a`.
fn unquote(text: &str) -> &str {
    let text = text.trim();
    let inside = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inside('\'').or_else(|| inside('"')).unwrap_or(text).trim()
}
