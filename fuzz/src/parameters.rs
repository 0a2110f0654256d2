use api_gateway::rest::{Call, Limits};
use http::Method as Verb;
use http::header::AUTHORIZATION;
use prost_reflect::DynamicMessage;

use crate::calls::{self, LIMITS, WIDE};
use crate::parting::{self, Pairs};
use crate::same::say_the_same;
use crate::{Outcome, failures};

/// The decoder of parameters, with a call ([the format](crate)). What it takes it takes in every form, in the query, in a form, in
/// parts and under names in capitals, and understands the same; of what it does not take it tells the parameter, and not the value.
///
/// # Panics
/// Where one of it does not hold.
pub fn parameters(input: &[u8]) -> Outcome {
    let Some(request) = calls::request(input) else { return Outcome::Nothing };
    let path = request.uri().path().to_owned();
    let method = calls::method(&path);
    let sent_twice = request.headers().contains_key(AUTHORIZATION);
    let read = if request.method() == Verb::POST { LIMITS } else { WIDE };
    let call = match calls::read(request, read) {
        Ok(call) => call,
        Err(failure) => {
            failures::look_at(method, &failure);
            return Outcome::Refused;
        }
    };
    let (message, credential) = understood(&call);
    for failure in [call.message().err(), call.credential().err()].into_iter().flatten() {
        assert!(failure.detail("parameter").is_some(), "{failure:?}");
        failures::look_at(method, &failure);
    }
    let pairs = pairs(&call);
    let capitals = pairs.iter().map(|(name, value)| (name.to_ascii_uppercase(), value.clone())).collect();
    let forms = [
        (&pairs, parting::in_query(&path, &pairs)),
        (&pairs, parting::in_form(&path, &pairs)),
        (&pairs, parting::in_parts(&path, &pairs)),
        (&capitals, parting::in_query(&path, &capitals)),
    ];
    for (sent, request) in forms.into_iter().filter_map(|(sent, request)| Some((sent, request?))) {
        let limits = Limits { body: WIDE.body, ..read };
        let again = calls::read(request, limits).expect("what was taken is taken in every form");
        assert_eq!(&self::pairs(&again), sent, "the parameters of {path} in another form");
        let (same, shown) = understood(&again);
        let same = match (&same, &message) {
            (Ok(same), Ok(message)) => say_the_same(same, message),
            (Err(same), Err(told)) => same == told,
            _ => false,
        };
        assert!(same, "the call of {path} in another form");
        // A header is in no form.
        assert!(sent_twice || shown == credential, "the credential of {path} in another form");
    }
    if message.is_ok() && credential.is_ok() { Outcome::Accepted } else { Outcome::Refused }
}

fn pairs(call: &Call<'_>) -> Pairs {
    call.parameters().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// What a call asks for, and what it shows for it.
fn understood(call: &Call<'_>) -> (Result<DynamicMessage, String>, Result<Option<String>, String>) {
    let credential = call.credential().map(|shown| shown.map(|shown| shown.to_string()));
    (call.message().map_err(|failure| failure.to_string()), credential.map_err(|failure| failure.to_string()))
}
