use prost_reflect::{DynamicMessage, ReflectMessage, Value};

/// Whether two messages say the same. Their own comparison tells what is not set from what is set to what it would be anyway.
pub(crate) fn say_the_same(one: &DynamicMessage, other: &DynamicMessage) -> bool {
    one.descriptor() == other.descriptor()
        && one.descriptor().fields().all(|field| {
            one.has_field(&field) == other.has_field(&field)
                && is_same(&one.get_field(&field), &other.get_field(&field))
        })
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Message(one), Value::Message(other)) => say_the_same(one, other),
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            let held = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(held)
        }
        // What is no number is not equal to itself.
        (Value::F32(one), Value::F32(other)) => one.to_bits() == other.to_bits(),
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits(),
        (one, other) => one == other,
    }
}
