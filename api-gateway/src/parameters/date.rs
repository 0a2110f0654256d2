use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, Kind, Value};
use proto::Failure;
use proto::catalog::Parameter;
use proto::time::OutOfRange;

/// A moment as the platform writes it, in UTC.
const MOMENT: &str = "%Y-%m-%d %H:%M:%S";
/// A day as the dashboard writes it.
const DAY: &str = "%d-%m-%Y";

/// A moment, `yyyy-MM-dd HH:mm:ss` in UTC, or a day, `dd-mm-yyyy`, of which the end is meant.
pub(super) fn decode(parameter: &Parameter, text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::invalid(parameter.name(), "must be `yyyy-MM-dd HH:mm:ss` (UTC) or `dd-mm-yyyy`");
    let text = text.trim();
    let civil = moment(text).or_else(|| day(text)).ok_or_else(wrong)?;
    let out_of_range = || Failure::invalid(parameter.name(), OutOfRange);
    let moment = TimeZone::UTC.to_timestamp(civil).map_err(|_| out_of_range())?;
    let Kind::Message(descriptor) = parameter.field().kind() else { return Err(wrong()) };
    let wire = proto::time::to_wire(moment);
    proto::time::from_wire(&wire).map_err(|_| out_of_range())?;
    let mut message = DynamicMessage::new(descriptor);
    message.merge(wire.encode_to_vec().as_slice()).map_err(Failure::internal)?;
    Ok(Value::Message(message))
}

// Parsing takes single digits, signs and a second 60 as well; what is exactly in the form is written as it was read.

fn moment(text: &str) -> Option<DateTime> {
    DateTime::strptime(MOMENT, text).ok().filter(|moment| moment.strftime(MOMENT).to_string() == text)
}

fn day(text: &str) -> Option<DateTime> {
    let day = Date::strptime(DAY, text).ok().filter(|day| day.strftime(DAY).to_string() == text);
    day.map(|day| day.at(23, 59, 59, 0))
}
