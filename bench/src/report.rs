use std::fmt::Write;

use serde_json::{Map, Value};

/// A number, and what it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) key: &'static str,
    pub(crate) value: f64,
    pub(crate) goal: Goal,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtMost(f64),
    Below(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::Below(limit) => value < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::Below(limit) => format!("< {limit}"),
        }
    }
}

pub(crate) fn table(measured: &[Measured]) -> String {
    let width = measured.iter().map(|one| one.key.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  {:>9}  {:>8}\n", "", "measured", "goal");
    for Measured { key, value, goal } in measured {
        let verdict = if goal.is_met(*value) { "ok" } else { "MISSED" };
        let _ = writeln!(text, "{key:width$}  {value:>9.2}  {:>8}  {verdict}", goal.text());
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

    const MEASURED: [Measured; 2] = [
        Measured { key: "short", value: 1.25, goal: Goal::AtMost(1.25) },
        Measured { key: "longer", value: 400.0, goal: Goal::Below(400.0) },
    ];

    #[test]
    fn goals_stand_beside_the_numbers() {
        assert_eq!(
            table(&MEASURED),
            "         measured      goal\nshort        1.25   <= 1.25  ok\nlonger     400.00     < 400  MISSED\n"
        );
    }

    #[test]
    fn the_file_has_the_keys_and_nothing_else() {
        assert_eq!(json(&MEASURED).to_string(), r#"{"longer":400.0,"short":1.25}"#);
    }
}
