use std::fmt;

/// Stands for a secret where a message is printed.
pub struct Redacted {
    /// Whether there is no secret to hide.
    pub absent: bool,
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.absent { "absent" } else { "[redacted]" })
    }
}

include!(concat!(env!("OUT_DIR"), "/redacted.rs"));

#[cfg(test)]
mod tests {
    use crate::token::v1::{ApiToken, SigninRequest};

    #[test]
    fn secrets_are_not_printed() {
        let request = SigninRequest { login: "alice".into(), password: "correct horse".into() };
        assert_eq!(format!("{request:?}"), "SigninRequest { login: \"alice\", password: [redacted] }");
        let token = ApiToken { key: Some("pcl_pat_x".into()), ..ApiToken::default() };
        assert!(format!("{token:?}").contains("key: [redacted]"));
        assert!(format!("{:?}", ApiToken::default()).contains("key: absent"));
    }
}
