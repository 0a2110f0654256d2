use std::fmt::Write;

use serde_json::{Map, Value};

/// A number, and what it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) key: &'static str,
    /// Nothing where it could not be measured; what was missing has been said by then.
    pub(crate) value: Option<f64>,
    pub(crate) goal: Goal,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
            Self::Below(limit) => value < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(limit) => format!(">= {limit}"),
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::Below(limit) => format!("< {limit}"),
        }
    }
}

pub(crate) fn table(measured: &[Measured]) -> String {
    let width = measured.iter().map(|one| one.key.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  {:>9}  {:>8}\n", "", "measured", "goal");
    for Measured { key, value, goal } in measured {
        let (shown, verdict) = match value {
            Some(value) if goal.is_met(*value) => (format!("{value:.2}"), "ok"),
            Some(value) => (format!("{value:.2}"), "MISSED"),
            None => ("-".to_owned(), "NOT MEASURED"),
        };
        let _ = writeln!(text, "{key:width$}  {shown:>9}  {:>8}  {verdict}", goal.text());
    }
    text
}

pub(crate) fn json(measured: &[Measured]) -> Value {
    let members = measured.iter().map(|one| (one.key.to_owned(), Value::from(one.value)));
    Value::Object(members.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURED: [Measured; 3] = [
        Measured { key: "short", value: Some(1.25), goal: Goal::AtMost(1.25) },
        Measured { key: "longer", value: Some(400.0), goal: Goal::Below(400.0) },
        Measured { key: "absent", value: None, goal: Goal::AtLeast(3.0) },
    ];

    #[test]
    fn goals_stand_beside_the_numbers() {
        assert_eq!(
            table(&MEASURED),
            "         measured      goal\nshort        1.25   <= 1.25  ok\nlonger     400.00     < 400  MISSED\nabsent          -      >= 3  NOT MEASURED\n"
        );
    }

    #[test]
    fn the_file_has_the_keys_and_nothing_else() {
        assert_eq!(json(&MEASURED).to_string(), r#"{"absent":null,"longer":400.0,"short":1.25}"#);
    }
}
