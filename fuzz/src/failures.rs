//! What has to hold of every failure.

use std::error::Error;

use api_gateway::rest::{self, Form};
use proto::{ErrorKind, Failure, Method};
use serde_json::Value;

/// How each of our credentials begins.
const PREFIXES: [&str; 3] = ["pcl_pat_", "pcl_ses_", "pcl_svc_"];

/// A failure of reading a call is the caller's, tells which parameter it is about, and holds nothing that begins like a credential,
/// neither for the caller nor for the log.
pub(crate) fn look_at(method: &Method, failure: &Failure) {
    let kind = failure.kind();
    assert!(matches!(kind, ErrorKind::InvalidParameter | ErrorKind::RequestTooLarge), "{failure:?}");
    if let Some(name) = failure.detail("parameter") {
        let known = name == "session" || method.parameters().iter().any(|parameter| parameter.name() == name);
        assert!(known, "{name} is no parameter of {}", method.name());
        assert!(failure.message().starts_with(&format!("`{name}` ")), "{failure:?}");
    }
    for (form, text) in [(Form::Platform, "error"), (Form::Problem, "detail")] {
        let answer = rest::failure(failure, form, Some(method));
        let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        assert_eq!((&answer["result"], &answer[text]), (&kind.result().into(), &failure.message().into()));
    }
    for text in everything(failure) {
        assert!(!PREFIXES.iter().any(|prefix| text.contains(prefix)), "a failure repeats a credential: {text}");
    }
}

/// Whatever can be printed of a failure.
pub(crate) fn everything(failure: &Failure) -> Vec<String> {
    let mut texts = vec![failure.to_string(), format!("{failure:?}")];
    texts.extend(failure.details().map(|(_, value)| value.to_owned()));
    let mut cause = failure.source();
    while let Some(source) = cause {
        texts.extend([source.to_string(), format!("{source:?}")]);
        cause = source.source();
    }
    texts
}
