//! What templates of all drivers have in common.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::is_reserved;

/// What is wrong with a template: the key, and what it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct TemplateError {
    /// The key within the template.
    pub key: String,
    /// What it must be, to be read after the key.
    pub problem: String,
}

/// Whether what has ended by itself is launched again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// It stays as it is, and shows as broken.
    #[default]
    Never,
    /// However it ended.
    Always,
}

impl TemplateError {
    pub(super) fn new(key: &str, problem: &str) -> Self {
        Self { key: key.to_owned(), problem: problem.to_owned() }
    }
}

/// Whether these can be the variables of a program.
///
/// # Errors
/// Says which cannot.
pub(super) fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), TemplateError> {
    for (variable, value) in variables {
        let error = |problem| Err(TemplateError::new(&format!("environment.{variable}"), problem));
        if variable.is_empty() || variable.contains(['=', '\0']) || value.contains('\0') {
            return error("must be a variable's name and value");
        }
        if is_reserved(variable) {
            return error("must not be PORT or begin with PORTCULLIS_: the service sets those");
        }
    }
    Ok(())
}
