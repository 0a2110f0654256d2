//! Every parameter of every method of the catalog, each wrong in every way that its type allows. A method that is added is
//! held to the same; where it has a number or a name that is new, one row in [`meaning`] says what it stands for.

mod caller;
mod foreign;
mod meaning;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Answer, LOGIN, stacks};
use prost_reflect::Kind;
use proto::Method;
use proto::catalog::Parameter;
use serde_json::json;

use caller::{Caller, another_account, assert_unchanged, call, encoded, escaped};
use meaning::{Meaning, Object};
use place::{Place, is_timestamp, names, number, published};

/// Longer than any parameter may be.
const TOO_LONG: usize = 64 * 1024 + 1;
/// As long as a parameter may be, within a structure too, and longer than any text that is kept.
const LONG: usize = 60_000;

/// A way of being wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    Missing,
    Empty,
    WrongType,
    WrongEncoding,
    TooLong,
    /// A text that is taken by the gateway, and longer than what any text stands for.
    Long,
    OutOfRange,
    /// Names of variables that none can have, and more of them than a node may have.
    Names,
    Twice,
}

/// The ways in which a parameter can be wrong, by its declaration.
fn flaws(method: &'static Method, parameter: &'static Parameter) -> BTreeSet<Flaw> {
    let field = parameter.field();
    let within = |of: fn(&Place) -> bool| Place::in_parameter(method, parameter).iter().any(of);
    let ranged = |place: &Place| place.is_number() || is_timestamp(place.field());
    let can_be = [
        (Flaw::Missing, parameter.is_required()),
        (Flaw::Empty, parameter.is_required()),
        (Flaw::WrongType, !matches!(field.kind(), Kind::String | Kind::Bytes)),
        (Flaw::WrongEncoding, true),
        (Flaw::TooLong, true),
        // A secret of that length is a wrong guess, and those are counted.
        (Flaw::Long, within(Place::is_text) && !parameter.is_secret()),
        (Flaw::OutOfRange, within(ranged)),
        (Flaw::Names, within(Place::is_map)),
        (Flaw::Twice, !field.is_list()),
    ];
    can_be.into_iter().filter(|(_, can)| *can).map(|(flaw, _)| flaw).collect()
}

/// Texts that are no value of the parameter's type.
fn mistyped(place: &Place) -> Vec<String> {
    let field = place.field();
    let texts: &[&str] = match field.kind() {
        _ if place.is_nested() && field.is_map() => {
            return [json!("x"), json!([]), json!({"A": {}}), json!({"A": 1})].map(|wrong| place.with(&wrong)).to_vec();
        }
        // Every structure stands in its own parameter; what stands in it can be one itself.
        _ if place.is_nested() => return vec![place.with(&json!({})), place.with(&json!([{}]))],
        _ if field.is_map() => &[],
        Kind::String | Kind::Bytes => &[],
        Kind::Bool => &["maybe", "2"],
        Kind::Enum(_) => &["nonsense"],
        _ if is_timestamp(field) => &["tomorrow", "2999-02-30 00:00:00", "31-02-2999", "99999999999999999999"],
        _ => &["seven", "1.5", "99999999999999999999", "0x10", "--1"],
    };
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Texts that are no structure of the parameter's.
fn misshapen(parameter: &Parameter) -> &'static [&'static str] {
    let field = parameter.field();
    match field.kind() {
        Kind::Message(_) if is_timestamp(field) => &[],
        _ if field.is_map() => &["{", "[]", "1", "nonsense", "{\"A\":{}}", "{\"A\":1}", "{'A':null}", "{\"A\""],
        Kind::Message(_) if field.is_list() => &["{", "{}", "[1]", "nonsense", "[{]"],
        Kind::Message(_) => &["{", "[]", "1", "nonsense", "{\"a\""],
        _ => &[],
    }
}

/// One parameter that is tried, and how it was wrong so far.
struct Trial<'a> {
    caller: &'a Caller<'a>,
    method: &'static Method,
    parameter: &'static Parameter,
    applied: BTreeSet<Flaw>,
}

impl Trial<'_> {
    fn what(&self, flaw: Flaw) -> String {
        format!("{}: {} {} {flaw:?}", self.caller.stack.engine, self.method.name(), self.parameter.name())
    }

    /// Calls with a value that is already encoded; with none, where the text is none.
    async fn call(&mut self, flaw: Flaw, values: &[&str]) -> Answer {
        self.applied.insert(flaw);
        let mut body = encoded(&self.caller.form(self.method, self.parameter));
        for value in values {
            let separator = if body.is_empty() { "" } else { "&" };
            body.push_str(&format!("{separator}{}={value}", self.parameter.name()));
        }
        call(self.caller.stack, self.method, body).await
    }

    async fn refused(&mut self, flaw: Flaw, values: &[&str]) {
        let answer = self.call(flaw, values).await;
        assert_eq!(answer.result(), 3, "{}: {values:.40?}: {answer:?}", self.what(flaw));
        assert!(names(&answer.error(), self.parameter), "{}: {values:.40?}: {answer:?}", self.what(flaw));
    }

    async fn refused_text(&mut self, flaw: Flaw, text: &str) {
        self.refused(flaw, &[&escaped(text)]).await;
    }

    async fn all(&mut self) {
        if self.parameter.is_required() {
            self.refused(Flaw::Missing, &[]).await;
            self.refused(Flaw::Empty, &[""]).await;
        }
        for text in misshapen(self.parameter) {
            self.refused_text(Flaw::WrongType, text).await;
        }
        for raw in ["%ff%fe", "a%c0%80", "%ed%a0%80", "a%00b"] {
            self.refused(Flaw::WrongEncoding, &[raw]).await;
        }
        self.refused_text(Flaw::TooLong, &"1".repeat(TOO_LONG)).await;
        if !self.parameter.field().is_list() {
            let value = escaped(&self.caller.right(self.method, self.parameter));
            self.refused(Flaw::Twice, &[&value, &value]).await;
        }
        for place in Place::in_parameter(self.method, self.parameter) {
            for text in mistyped(&place) {
                self.refused_text(Flaw::WrongType, &text).await;
            }
            if place.is_text() && !self.parameter.is_secret() {
                self.long(&place).await;
            }
            if is_timestamp(place.field()) {
                self.moments().await;
            }
            if place.is_number() {
                self.numbers(&place).await;
            }
            if place.is_map() {
                self.variables(&place).await;
            }
        }
    }

    /// A search finds nothing, a sign-in is refused, and all else is told.
    async fn long(&mut self, place: &Place) {
        let text = escaped(&place.with(&json!("x".repeat(LONG))));
        let answer = self.call(Flaw::Long, &[&text]).await;
        let told = match place.meaning() {
            Some(Meaning::Object(Object::Login)) => answer.result() == 701,
            Some(Meaning::File) => answer.result() == 5 && answer.error().contains("no such file"),
            None if self.method.is_safe() && answer.result() == 0 => {
                let lists = answer.json();
                lists.as_object().unwrap().values().filter_map(|list| list.as_array()).all(Vec::is_empty)
            }
            _ => answer.result() == 3 && place.is_named_in(&answer.error()),
        };
        assert!(told, "{} at {}: {:.300}", self.what(Flaw::Long), place.name(), answer.body);
    }

    /// Moments that no expiry can be: all that have passed, and those that cannot be told everywhere.
    async fn moments(&mut self) {
        for text in [
            "0000-01-01 00:00:00",
            "0001-01-01 00:00:00",
            "-0001-01-01 00:00:00",
            "1969-12-31 23:59:59",
            "2001-01-01 00:00:00",
            "01-01-1970",
            "9999-12-31 23:59:59",
            "31-12-9999",
            "10000-01-01 00:00:00",
        ] {
            self.refused_text(Flaw::OutOfRange, text).await;
        }
    }

    /// Variables that no node can have.
    async fn variables(&mut self, place: &Place) {
        let many: serde_json::Map<_, _> = (0..513).map(|number| (format!("V{number}"), json!("x"))).collect();
        for wrong in [json!({"1A": "x"}), json!({"": "x"}), json!({"A=B": "x"}), json!({"PORT": "x"}), many.into()] {
            let answer = self.call(Flaw::Names, &[&escaped(&place.with(&wrong))]).await;
            let case = format!("{} {wrong:.60}", self.what(Flaw::Names));
            assert!(answer.result() == 3 && place.is_named_in(&answer.error()), "{case}: {answer:?}");
        }
    }

    async fn numbers(&mut self, place: &Place) {
        let meaning = place.meaning().unwrap_or_else(|| panic!("{} is in no row of the table", place.what()));
        for wrong in out_of_range(meaning) {
            let mut texts = vec![place.with(&number(wrong))];
            if place.field().is_list() {
                // What is right is not done without the rest.
                texts.push(format!("{},{wrong}", self.caller.right(self.method, self.parameter)));
            }
            let fits = fits(place, wrong);
            for text in texts {
                let answer = self.call(Flaw::OutOfRange, &[&escaped(&text)]).await;
                let expected = match meaning {
                    Meaning::Object(_) if fits => 5,
                    Meaning::Page(first) if fits && wrong >= first => 0,
                    _ => 3,
                };
                let case = format!("{} {text}", self.what(Flaw::OutOfRange));
                assert_eq!(answer.result(), expected, "{case}: {answer:?}");
                assert!(expected != 3 || place.is_named_in(&answer.error()), "{case}: {answer:?}");
                assert!(expected != 5 || answer.error().contains(&wrong.to_string()), "{case}: {answer:?}");
            }
        }
    }
}

/// Numbers at the ends of what integers can be, and just beyond what the contract allows.
fn out_of_range(meaning: Meaning) -> BTreeSet<i128> {
    let ends = [i64::MIN.into(), i32::MIN.into(), -1, 0, i128::from(i32::MAX) + 1, i128::from(u32::MAX) + 1];
    let far = [i64::MAX.into(), i128::from(i64::MAX) + 1, u64::MAX.into()];
    let all = ends.into_iter().chain(far);
    match meaning {
        Meaning::Between(first, last) => {
            all.chain([first - 1, last + 1]).filter(|number| !(first..=last).contains(number)).collect()
        }
        _ => all.collect(),
    }
}

/// Whether the value's type has the number.
fn fits(place: &Place, number: i128) -> bool {
    match place.field().kind() {
        Kind::Int32 => i32::try_from(number).is_ok(),
        Kind::Int64 => i64::try_from(number).is_ok(),
        Kind::Uint32 => u32::try_from(number).is_ok(),
        _ => u64::try_from(number).is_ok(),
    }
}

#[tokio::test]
async fn every_parameter_of_every_method_is_refused_by_name_and_nothing_is_changed() {
    for stack in stacks().await {
        another_account(&stack, "bob").await;
        let bob = Caller::new(&stack, "bob", "bobs").await;
        // The administrator, to whom every method is open.
        let caller = Caller::new(&stack, LOGIN, "my-project").await;
        let accounts = async || {
            let form = [("session", caller.session.as_str())];
            stack.client.post("/1.0/users/account/rest/getaccounts", &form).await.success()
        };
        let before = (caller.state().await, bob.state().await, accounts().await);
        let (mut applied, mut declared) = (BTreeMap::new(), BTreeMap::new());
        for method in published() {
            for parameter in method.parameters() {
                let mut trial = Trial { caller: &caller, method, parameter, applied: BTreeSet::new() };
                trial.all().await;
                applied.insert((method.name(), parameter.name()), trial.applied);
                declared.insert((method.name(), parameter.name()), flaws(method, parameter));
            }
        }
        assert_eq!(applied, declared, "every parameter was wrong in every way that it can be");
        assert_unchanged(&before.0, &caller.state().await, stack.engine);
        assert_unchanged(&before.1, &bob.state().await, stack.engine);
        assert_eq!(before.2, accounts().await, "{}", stack.engine);
    }
}
