use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, Kind, Value};
use proto::Failure;
use proto::catalog::Parameter;

/// A moment in the platform's form, `yyyy-MM-dd HH:mm:ss` UTC, or a day as the dashboard writes it, `dd-mm-yyyy`: its end.
pub(super) fn decode(parameter: &Parameter, text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::invalid(parameter.name(), "must be `yyyy-MM-dd HH:mm:ss` (UTC) or `dd-mm-yyyy`");
    let text = text.trim();
    let civil = if text.len() == "dd-mm-yyyy".len() {
        Date::strptime("%d-%m-%Y", text).ok().map(|day| day.at(23, 59, 59, 0))
    } else {
        DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()
    };
    let moment = civil.and_then(|civil| TimeZone::UTC.to_timestamp(civil).ok()).ok_or_else(wrong)?;
    let Kind::Message(descriptor) = parameter.field().kind() else { return Err(wrong()) };
    let wire = proto::time::to_wire(moment);
    let mut message = DynamicMessage::new(descriptor);
    message.merge(wire.encode_to_vec().as_slice()).map_err(Failure::internal)?;
    Ok(Value::Message(message))
}
