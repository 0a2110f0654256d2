use std::error::Error;
use std::fmt::Write;

/// What a look at one thing that a service needs has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What it is, or what is wrong with it.
    pub found: Result<String, String>,
}

impl Finding {
    /// One that is as it should be, or an error with its causes.
    pub fn of<E: Error>(what: &'static str, found: Result<String, E>) -> Self {
        Self { what, found: found.map_err(|error| causes(&error)) }
    }
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let Ok(()) = write!(text, ": {cause}") else { unreachable!("a String takes all") };
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes() {
        let cause = std::io::Error::other("the disk is full");
        let error = std::io::Error::other(cause);
        let finding = Finding::of("database", Err(error));
        assert!(finding.found.unwrap_err().contains("the disk is full"));
        assert_eq!(Finding::of::<std::io::Error>("files", Ok("can be read".into())).found, Ok("can be read".into()));
    }
}
